"""Environments of a user's own, registered on import: one that is well, others that misbehave."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any, ClassVar

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


class Hanging(Target):
    """Does not come back, in worker processes, from where it is told to hang, until the file ``well`` exists.

    In all lives, or those with certain ``seeds``.
    """

    def __init__(self, where: str, seeds: Sequence[int] | None = None, well: str = "") -> None:
        # The trial before a run, in the run's own process, is well.
        self.where = where if "metahebb.evolution.serving" in sys.modules else ""
        self.seeds, self.well = seeds, well
        self._hang("constructor", None)

    def _hang(self, where: str, seed: int | None) -> None:
        if where == self.where and (self.seeds is None or seed in self.seeds) and not os.path.exists(self.well):
            time.sleep(1000)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._hang("reset", seed)
        return super().reset(seed=seed)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._hang("step", self.seed)
        return super().step(action)


class Forking(Target):
    """Leaves a child behind that holds all of the process's pipes, then ends the process, once."""

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if "metahebb.evolution.serving" in sys.modules and not os.path.exists(f"{self.folder}/child"):
            child = os.fork()
            if child == 0:
                time.sleep(120)
                os._exit(0)
            with open(f"{self.folder}/child", "w") as file:
                file.write(str(child))
            os._exit(9)
        return super().step(action)


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
    """Sees a hundred million numbers, or acts by as many."""

    def __init__(self, sees: int = 10**8, acts: int = 3) -> None:
        self.observation_space = spaces.Box(-1, 1, (sees,))
        self.action_space = spaces.Box(-1, 1, (acts,))


class TextObservation(Target):
    observation_space = spaces.Text(10)


class SeveralSwitches(Target):
    """Two choices, in the right one of which is all the reward."""

    observation_space: spaces.Space[Any] = spaces.Dict(place=spaces.Box(-1, 1, (2,)), room=spaces.MultiDiscrete([2, 3]))
    action_space = spaces.MultiDiscrete([2, 3])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return {"place": np.zeros(2), "room": np.array([1, 2])}, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.age += 1
        return {"place": np.ones(2), "room": np.array([0, 0])}, float(action.sum()), self.age == 10, False, {}


class Grey(Target):
    """Renders itself in grey, or otherwise."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, shape: Sequence[int] = (40, 60), dtype: str = "uint8", render_mode: str | None = None) -> None:
        self.shape, self.dtype, self.render_mode = tuple(shape), dtype, render_mode

    def render(self) -> Any:
        return (np.full(self.shape, self.age) / (20 if self.dtype == "float32" else 1)).astype(self.dtype)


class Tupled(Target):
    action_space = spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)])


for environment in (
    Target, Deadly, Endless, Hanging, Forking, Faulty, Talkative, Unrewarding, Wide,
    TextObservation, SeveralSwitches, Grey, Tupled,
):  # fmt: skip
    gymnasium.register(f"{environment.__name__}-v0", entry_point=environment, max_episode_steps=100)
