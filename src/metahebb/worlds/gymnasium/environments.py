"""Every Gymnasium environment as a host world: one environment a slot, stepped one after another."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import FrameStackObservation, GrayscaleObservation

from metahebb.errors import UsageError, unknown

__all__ = ["GymnasiumWorld", "make_environment"]

logger = logging.getLogger("metahebb")

Environment = gymnasium.Env[Any, Any]

EXTRAS = {"Box2D": "box2d", "pygame": "classic-control", "mujoco": "mujoco", "ale_py": "atari"}
"""Our extra that brings a module which an environment needs."""


class FireOnStart(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Atari games that wait for the fire button are started: it is pressed once after each reset."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        fire = self.env.unwrapped.get_action_meanings().index("FIRE")  # type: ignore[attr-defined]
        fired, _, terminated, truncated, fired_info = self.env.step(fire)
        return (observation, info) if terminated or truncated else (fired, fired_info)


class StackedChannels(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Stacked frames [frames, height, width(, channels)] as the channels of one image; stacked vectors flat."""

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        space = env.observation_space
        assert isinstance(space, gymnasium.spaces.Box)
        self.observation_space = gymnasium.spaces.Box(
            self.observation(space.low), self.observation(space.high), dtype=space.dtype.type
        )

    def observation(self, observation: np.ndarray) -> np.ndarray:
        if observation.ndim < 3:
            return observation.reshape(-1)
        if observation.ndim == 3:
            observation = observation[..., None]
        frames, height, width, channels = observation.shape
        return observation.transpose(1, 2, 0, 3).reshape(height, width, frames * channels)


def make_environment(
    identifier: str,
    arguments: Mapping[str, Any],
    *,
    greyscale: bool = False,
    frame_stack: int = 1,
    render: bool = False,
) -> Environment:
    """A registered environment with the wrappers that the options ask for.

    Raises UsageError for an unknown identifier (naming the nearest), a missing package (naming the extra), arguments
    that the environment refuses, and wrappers that its observations do not allow.
    """
    if identifier.startswith("ALE/"):
        _register_atari(identifier)
    if render:
        arguments = {**arguments, "render_mode": "rgb_array"}
    try:
        # The checker warns once per environment and slot; spaces are checked by the readout and the encoder.
        with _mujoco_hushed(identifier, render):
            env = gymnasium.make(identifier, disable_env_checker=True, **arguments)
    except (gymnasium.error.UnregisteredEnv, gymnasium.error.VersionNotFound) as e:
        raise unknown("environment", identifier, _similar(identifier)) from e
    except gymnasium.error.DependencyNotInstalled as e:
        raise UsageError(_missing(identifier, str(e))) from e
    except ImportError as e:
        raise UsageError(_missing(identifier, str(e))) from e
    except Exception as e:
        given = ", ".join(f"{k}={v!r}" for k, v in arguments.items())
        raise UsageError(f"Environment {identifier!r} with ({given}) raised {type(e).__name__}: {e}") from e
    if _waits_for_fire(env):
        env = FireOnStart(env)
    if greyscale:
        space = env.observation_space
        if not (isinstance(space, gymnasium.spaces.Box) and space.dtype == np.uint8 and space.shape[2:] == (3,)):
            raise UsageError(f"--greyscale needs coloured images; {identifier!r} has {space}.")
        env = GrayscaleObservation(env)
    if frame_stack > 1:
        if not isinstance(env.observation_space, gymnasium.spaces.Box):
            raise UsageError(f"--frame-stack needs Box observations; {identifier!r} has {env.observation_space}.")
        env = StackedChannels(FrameStackObservation(env, frame_stack))
    return env


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
        raise UsageError(_missing(identifier, str(e))) from e


def _similar(identifier: str) -> list[str]:
    """Registered identifiers that look like one, else the newest of all that Gymnasium brings."""
    known = list(gymnasium.registry)
    return difflib.get_close_matches(identifier, known, n=4, cutoff=0.5) or ["(run `metahebb tasks` for all)"]


def _missing(identifier: str, message: str) -> str:
    extra = next((extra for module, extra in EXTRAS.items() if module.lower() in message.lower()), None)
    remedy = f"pip install 'metahebb[{extra}]'" if extra else f"install what it names ({message})"
    return f"Environment {identifier!r} needs a package that is not installed: {remedy}."


def _waits_for_fire(env: Environment) -> bool:
    """Whether the game is one that starts with the fire button: fire is its own action, right after 'no action'."""
    meanings = getattr(env.unwrapped, "get_action_meanings", None)
    return meanings is not None and list(meanings())[1:2] == ["FIRE"]


class GymnasiumWorld:
    """Slots of environments; each is made when its slot is first used.

    An action that an environment refuses with an exception, or any other exception of its own, passes to the caller.
    """

    def __init__(self, make: Callable[[], Environment], slots: int) -> None:
        self._make = make
        self._environments: list[Environment | None] = [None] * slots
        self._environments[0] = first = make()
        self.observation_space = first.observation_space
        self.action_space = first.action_space
        self._discrete = isinstance(first.action_space, gymnasium.spaces.Discrete)

    def reset(self, slot: int, seed: int, body: str = "") -> np.ndarray:
        """Begin a life: the environment is reset with the seed."""
        if self._environments[slot] is None:
            self._environments[slot] = self._make()
        observation, _ = self._environment(slot).reset(seed=seed)
        return np.asarray(observation)

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step the environments of ``slots`` (see ``HostWorld.step``)."""
        observations = np.empty((len(slots), *(self.observation_space.shape or ())), self.observation_space.dtype)
        rewards = np.empty(len(slots))
        ended = np.empty(len(slots), bool)
        # Environments take a Discrete action as a Python or NumPy integer, never as an array.
        steps = zip(slots.tolist(), actions.tolist() if self._discrete else actions, strict=True)
        for i, (slot, action) in enumerate(steps):
            observations[i], rewards[i], terminated, truncated, _ = self._environment(slot).step(action)
            ended[i] = terminated or truncated
        return observations, rewards, ended

    def render(self, slot: int) -> np.ndarray:
        """What the environment renders (made with ``render_mode="rgb_array"``)."""
        environment = self._environment(slot)
        try:
            picture = environment.render()
        except gymnasium.error.DependencyNotInstalled as e:
            raise UsageError(_missing(environment.spec.id if environment.spec else "of this task", str(e))) from e
        if not isinstance(picture, np.ndarray):
            raise UsageError(f"The environment rendered {type(picture).__name__} where a picture was asked for.")
        return picture

    def close(self) -> None:
        """Close all environments."""
        for slot, environment in enumerate(self._environments):
            if environment is not None:
                environment.close()
                self._environments[slot] = None

    def _environment(self, slot: int) -> Environment:
        environment = self._environments[slot]
        assert environment is not None, "a slot is reset before it is stepped"
        return environment
