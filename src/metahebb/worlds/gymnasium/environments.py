"""Making environments: by their identifier, with our wrappers, and a sentence where that fails."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import GrayscaleObservation, TimeLimit

from metahebb.errors import UsageError, raised, unknown
from metahebb.importing import REMEDY
from metahebb.interrupts import ctrl_c_told_apart, is_the_users
from metahebb.worlds.gymnasium.faults import missing

__all__ = ["Environment", "make_environment", "own_limit"]

logger = logging.getLogger("metahebb")

Environment = gymnasium.Env[Any, Any]


class FireForLife(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Atari games that wait for the fire button are started: it is pressed after each reset and each lost life.

    The reward of pressing it is added to that of the step which lost the life; a step of the game is not the network's.

    Where no lives are reported (Tennis, Bowling, Pong, …) it is the network's to press after the first time. Of these
    only Tennis stands still without it, until a serve, which pressing it right after each point does not bring about;
    in others (Boxing, FishingDerby) that would take moves from the network.
    """

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._fire = env.unwrapped.get_action_meanings().index("FIRE")  # type: ignore[attr-defined]
        self._lives = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        fired, _, terminated, truncated, fired_info = self.env.step(self._fire)
        if not (terminated or truncated):
            observation, info = fired, fired_info
        self._lives = info.get("lives", 0)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        if info.get("lives", 0) < self._lives and not (terminated or truncated):
            observation, fired, terminated, truncated, info = self.env.step(self._fire)
            reward = float(reward) + float(fired)
        self._lives = info.get("lives", 0)
        return observation, reward, terminated, truncated, info


def make_environment(
    identifier: str,
    arguments: Mapping[str, Any],
    *,
    greyscale: bool = False,
    max_steps: int | None = None,
    render: bool = False,
) -> Environment:
    """A registered environment with the wrappers that the options ask for.

    A life is truncated after ``max_steps``. Raises UsageError for an unknown identifier (naming the nearest), a missing
    package (naming the extra), an environment that cannot be made with its arguments, and ``greyscale`` without
    colours.
    """
    if ":" in identifier:
        # Gymnasium would import what stands before the colon, and an id may come from a file.
        raise UsageError(f"Environment {identifier!r} names a module in its id; give the module with --import instead.")
    if identifier.startswith("ALE/"):
        _register_atari(identifier)
    if render:
        arguments = {**arguments, "render_mode": "rgb_array"}
    with ctrl_c_told_apart():
        env = _made(identifier, arguments, render)
    for name in ("observation_space", "action_space"):
        if not isinstance(space := getattr(env, name, None), gymnasium.Space):
            raise UsageError(f"Environment {identifier!r} has {space!r} for its {name}; Gymnasium asks for a Space.")
    if _waits_for_fire(env):
        env = FireForLife(env)
    if greyscale:
        space = env.observation_space
        if not (isinstance(space, gymnasium.spaces.Box) and space.dtype == np.uint8 and space.shape[2:] == (3,)):
            raise UsageError(f"--greyscale needs coloured images; {identifier!r} has {space}.")
        env = GrayscaleObservation(env)
    return env if max_steps is None else TimeLimit(env, max_steps)


def _made(identifier: str, arguments: Mapping[str, Any], render: bool) -> Environment:
    try:
        # Gymnasium's checker warns once per environment and slot; ours (``faults``) tells the same in sentences.
        with _mujoco_hushed(identifier, render):
            return gymnasium.make(identifier, disable_env_checker=True, **arguments)
    except (gymnasium.error.UnregisteredEnv, gymnasium.error.VersionNotFound) as e:
        raise UsageError(f"{unknown('environment', identifier, _similar(identifier))} {REMEDY}") from e
    except (gymnasium.error.DependencyNotInstalled, ImportError) as e:
        raise UsageError(missing(identifier, str(e))) from e
    except BaseException as e:
        if is_the_users(e):
            raise
        given = ", ".join(f"{k}={v!r}" for k, v in arguments.items())
        raise UsageError(f"Environment {identifier!r} with ({given}) raised {raised(e)}") from e


def own_limit(env: Environment) -> int | None:
    """After how many steps an environment's lives end at most; None where it does not say so by itself."""
    spec = env.spec
    if spec is not None and (limit := spec.max_episode_steps or spec.kwargs.get("max_num_frames_per_episode")):
        return int(limit)
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, TimeLimit):
            return int(env._max_episode_steps)
        env = env.env
    return None


@contextlib.contextmanager
def _mujoco_hushed(identifier: str, render: bool) -> Iterator[None]:
    """Keep what MuJoCo has to say about Gymnasium's models from the terminal and from a file in the user's folder.

    Where there is no screen, Gymnasium is told to draw without one, which it does not find out by itself.
    """
    spec = gymnasium.registry.get(identifier)
    if spec is None or not str(spec.entry_point).startswith("gymnasium.envs.mujoco"):
        yield
        return
    import mujoco

    if render and sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        # Not sooner: with it MuJoCo cannot even be imported where there is no EGL.
        os.environ.setdefault("MUJOCO_GL", "egl")
    mujoco.set_mju_user_warning(lambda message: logger.info("MuJoCo: %s", message))
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(None)


def _register_atari(identifier: str) -> None:
    try:
        gymnasium.register_envs(importlib.import_module("ale_py"))
    except ImportError as e:
        raise UsageError(missing(identifier, str(e))) from e


def _similar(identifier: str) -> list[str]:
    """Registered identifiers that look like one, else the newest of all that Gymnasium brings."""
    known = list(gymnasium.registry)
    return difflib.get_close_matches(identifier, known, n=4, cutoff=0.5) or ["(run `metahebb tasks` for all)"]


def _waits_for_fire(env: Environment) -> bool:
    """Whether the game is one that starts with the fire button: fire is its own action, right after 'no action'."""
    meanings = getattr(env.unwrapped, "get_action_meanings", None)
    return meanings is not None and list(meanings())[1:2] == ["FIRE"]
