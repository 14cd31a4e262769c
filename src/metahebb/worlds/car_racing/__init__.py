"""CarRacing in JAX: Gymnasium's CarRacing-v3, batched and traced.

For JAX, ``CarRacing``: ``reset`` and a ``step`` to be traced. For Gymnasium, ``register()``, after which
``gymnasium.make("metahebb/CarRacing-v0")`` and ``gymnasium.make_vec("metahebb/CarRacing-v0", num_envs=64)``
work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gymnasium.envs import registration

if TYPE_CHECKING:
    from metahebb.worlds.car_racing.world import CarRacing

__all__ = ["ENV_ID", "CarRacing", "register"]

ENV_ID = "metahebb/CarRacing-v0"


def register() -> None:
    """Enter the environment in Gymnasium's registry, once; imports nothing else."""
    if ENV_ID in registration.registry:
        return
    module = "metahebb.worlds.car_racing.gymnasium_env"
    registration.register(
        ENV_ID,
        entry_point=f"{module}:CarRacingEnv",
        vector_entry_point=f"{module}:CarRacingVectorEnv",
        max_episode_steps=1000,
        reward_threshold=900,
    )


def __getattr__(name: str) -> Any:
    if name == "CarRacing":
        from metahebb.worlds.car_racing.world import CarRacing

        return CarRacing
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
