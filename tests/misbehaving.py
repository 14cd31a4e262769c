"""Environments that break Gymnasium's rules, each in one of many ways; for ``--import``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


def exits(*_: Any) -> Any:
    sys.exit("I leave")


def interrupts(*_: Any) -> Any:
    raise KeyboardInterrupt


Result = tuple[Any, Any, Any, Any, Any]

STEPS: dict[str, Callable[[Result], Any]] = {
    # how: what becomes of what its step would return
    "four values": lambda r: (r[0], r[1], r[2] or r[3], r[4]),
    "a reward of shape (1,)": lambda r: (r[0], np.array([0.5]), *r[2:]),
    "a reward of None": lambda r: (r[0], None, *r[2:]),
    "a reward of text": lambda r: (r[0], "much", *r[2:]),
    "an end of None": lambda r: (r[0], r[1], None, *r[3:]),
    "an info of None": lambda r: (*r[:4], None),
    "another shape": lambda r: (np.zeros(4, np.float32), *r[1:]),
    "a scalar": lambda r: (np.float32(0.5), *r[1:]),
    "an observation of None": lambda r: (None, *r[1:]),
    "an observation with None": lambda r: ([0.1, None, 0.2], *r[1:]),
    "a ragged observation": lambda r: ([0.1, [0.2]], *r[1:]),
    "SystemExit": exits,
    "KeyboardInterrupt": interrupts,
    "ZeroDivisionError": lambda r: 1 // 0,
    "a reward of NaN": lambda r: (r[0], np.nan, *r[2:]),
    "a huge reward": lambda r: (r[0], 1e300, *r[2:]),
    "an observation of NaN": lambda r: (np.full(3, np.nan, np.float32), *r[1:]),
}


class Misbehaving(gymnasium.Env[Any, Any]):
    """Ten steps in which nothing happens, but for what it does wrong, in lives with seeds ``since`` and above."""

    observation_space: spaces.Space[Any] = spaces.Box(-1, 1, (3,))
    action_space: spaces.Space[Any] = spaces.Box(-1, 1, (1,))

    def __init__(self, how: str = "", since: int = 0, step: int = 1) -> None:
        self.how, self.since, self.which = how, since, step
        if how == "SystemExit in the constructor":
            exits()
        if how == "KeyboardInterrupt in the constructor":
            interrupts()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.seed, self.age = seed, 0
        observation = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return observation if self.how == "a reset without info" else (observation, {})

    def step(self, action: Any) -> Any:
        self.age += 1
        result = (np.zeros(3, np.float32), 0.5, self.age == 10, False, {})
        assert self.seed is not None
        wrong = self.how in STEPS and self.seed >= self.since and self.age >= self.which
        return STEPS[self.how](result) if wrong else result


class Seedless(Misbehaving):
    def reset(self) -> Any:  # type: ignore[override]
        return super().reset()


class Spaceless(gymnasium.Env[Any, Any]):
    action_space = spaces.Discrete(2)


class Numbered(Misbehaving):
    """Observes one of four, or so it says."""

    observation_space: spaces.Space[Any] = spaces.Discrete(4)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return 3, {}

    def step(self, action: Any) -> Any:
        return 9, *super().step(action)[1:]


class Bytes(Misbehaving):
    """An image of bytes whose values are between 0 and 1."""

    observation_space: spaces.Space[Any] = spaces.Box(0, 255, (40, 40, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.full((40, 40, 3), 0.5), {}


class Partial(Misbehaving):
    """Leaves a part of its observation out."""

    observation_space: spaces.Space[Any] = spaces.Dict(place=spaces.Box(-1, 1, (2,)), goal=spaces.Discrete(3))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return {"place": np.zeros(2)}, {}


class Remembering(Misbehaving):
    """What is observed and rewarded depends on the lives before."""

    lives = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.lives += 1
        return np.full(3, self.lives / 100, np.float32), {}

    def step(self, action: Any) -> Any:
        observation, _, *rest = super().step(action)
        return observation, self.lives + float(action[0]), *rest


class Chancy(Misbehaving):
    """Draws from elsewhere than its own generator."""

    def step(self, action: Any) -> Any:
        return np.random.uniform(-1, 1, 3), *super().step(action)[1:]


class Unending(Misbehaving):
    """Never ends by itself."""

    def step(self, action: Any) -> Any:
        observation, reward, _, truncated, info = super().step(action)
        return observation, reward, False, truncated, info


with warnings.catch_warnings():
    for environment in (
        Misbehaving, Seedless, Spaceless, Numbered, Bytes, Partial, Remembering, Chancy, Unending,
    ):  # fmt: skip
        limit = None if environment is Unending else 100
        gymnasium.register(f"{environment.__name__}-v0", entry_point=environment, max_episode_steps=limit)
