"""Environments of a user's own, registered on import: one that is well, others that misbehave."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Target(gymnasium.Env[np.ndarray, np.ndarray]):
    """Ten steps; the reward is how near the action is to the observation."""

    observation_space: spaces.Space[Any] = spaces.Box(-1, 1, (3,))
    action_space: spaces.Space[Any] = spaces.Box(-1, 1, (3,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.seed, self.age = seed, 0
        self.observation = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return self.observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.age += 1
        return self.observation, -float(np.abs(action - self.observation).sum()), self.age == 10, False, {}


class Deadly(Target):
    """Ends the whole process in the fifth step of lives with certain seeds, as a simulator that crashes."""

    def __init__(self, deadly: Sequence[int] = ()) -> None:
        self.deadly = deadly

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self.age == 4 and self.seed in self.deadly:
            os._exit(9)
        return super().step(action)


class Endless(Target):
    """Never comes back from its first step."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        time.sleep(1000)
        raise AssertionError


class Faulty(Target):
    """Raises in its fifth step."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self.age == 4:
            raise ZeroDivisionError("the wheel came off")
        return super().step(action)


class Talkative(Target):
    """Prints a long line at every step."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        print("[the wheel] turns " + "and turns " * 20, flush=True)
        return super().step(action)


class Unrewarding(Target):
    """Rewards lives with odd seeds by NaN, or all lives."""

    def __init__(self, always: bool = False) -> None:
        self.always = always

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        assert self.seed is not None
        return observation, np.nan if self.always or self.seed % 2 else reward, terminated, truncated, info


class Wide(Target):
    """Sees a hundred million numbers."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-1, 1, (10**8,))


class DictObservation(Target):
    observation_space = spaces.Dict({"position": spaces.Box(-1, 1, (3,))})


class TextObservation(Target):
    observation_space = spaces.Text(10)


class SeveralSwitches(Target):
    action_space = spaces.MultiDiscrete([2, 3])


class WholeNumbers(Target):
    action_space = spaces.Box(0, 9, (3,), np.int32)


for environment in (
    Target, Deadly, Endless, Faulty, Talkative, Unrewarding, Wide,
    DictObservation, TextObservation, SeveralSwitches, WholeNumbers,
):  # fmt: skip
    gymnasium.register(f"{environment.__name__}-v0", entry_point=environment)
