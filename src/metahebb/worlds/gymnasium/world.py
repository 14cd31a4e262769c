"""Slots of environments, stepped one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from gymnasium import spaces

from metahebb.worlds import HostWorld
from metahebb.worlds.gymnasium.environments import Environment
from metahebb.worlds.gymnasium.faults import FLOATS, blame, check_step, checked_reset, checked_reward
from metahebb.worlds.gymnasium.observations import reader_for, stacked
from metahebb.worlds.gymnasium.pictures import as_picture

__all__ = ["GymnasiumWorld"]


class GymnasiumWorld(HostWorld):
    """Slots of environments; each is made when its slot is first used, or anew for each life.

    Observations are what ``reader_for`` makes of the environments', the newest ``frame_stack`` of them one after the
    other in the last axis, the oldest first. Whatever an environment raises, or returns against Gymnasium's rules, is a
    RunError that names it and the life's seed and step.
    """

    def __init__(
        self, make: Callable[[], Environment], slots: int, *, frame_stack: int = 1, fresh: bool = False
    ) -> None:
        """``make`` makes an environment; ``fresh`` says whether each life has one of its own.

        Raises UsageError for an observation space that is not supported, or cannot be stacked.
        """
        self._make = make
        self._fresh = fresh
        self._environments: list[Environment | None] = [None] * slots
        self._environments[0] = first = make()
        self.name = first.spec.id if first.spec is not None else type(first.unwrapped).__name__
        self.action_space = first.action_space
        self._read = reader_for(first.observation_space)
        self._plain = self._read.plain or (None, None)
        self.remarks = self._read.remarks
        self.observation_space = stacked(self._read.space, frame_stack)
        self._frames = None if frame_stack <= 1 else self._empty(slots)
        self._seeds = np.zeros(slots, np.int64)
        self._ages = np.zeros(slots, np.int64)
        self._used = np.zeros(slots, bool)
        self._newborn: set[int] = set()
        """the slots whose lives have not made a step: of these, all of what is returned is checked"""

    def reset(self, slot: int, seed: int, body: str = "") -> np.ndarray:
        """Begin a life: the environment is reset with the seed."""
        environment = self._environments[slot]
        if environment is None or (self._fresh and self._used[slot]):
            environment = self._replaced(slot)
        self._seeds[slot], self._ages[slot], self._used[slot] = seed, 0, True
        self._newborn.add(slot)
        try:
            observation = self._read(checked_reset(environment.reset(seed=seed)))
        except BaseException as error:
            self._blame(error, slot)
        if self._frames is None:
            return np.asarray(observation, self.observation_space.dtype)
        self._frames[slot] = np.tile(observation, self._frames.shape[-1] // observation.shape[-1])
        return self._frames[slot].copy()

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step the environments of ``slots`` (see ``HostWorld.step``)."""
        observations = self._empty(len(slots))
        rewards = np.empty(len(slots))
        ended = np.empty(len(slots), bool)
        self._ages[slots] += 1
        shape, dtype = self._plain
        environments: list[Any] = self._environments
        slot = 0
        try:
            for i, (slot, action) in enumerate(zip(slots.tolist(), self._actions(actions), strict=True)):
                result = environments[slot].step(action)
                if slot in self._newborn:
                    check_step(result)
                    self._newborn.discard(slot)
                observation, reward, terminated, truncated, _ = result
                rewards[i] = reward if type(reward) in FLOATS else checked_reward(reward)
                ended[i] = terminated or truncated
                if observation.__class__ is not np.ndarray or observation.shape != shape or observation.dtype != dtype:
                    observation = self._read(observation)
                observations[i] = observation if self._frames is None else self._pushed(slot, observation)
        except BaseException as error:
            self._blame(error, slot)
        return observations, rewards, ended

    def render(self, slot: int) -> np.ndarray:
        """What the environment renders (made with ``render_mode="rgb_array"``)."""
        try:
            picture = as_picture(self._environment(slot).render())
        except BaseException as error:
            self._blame(error, slot, "the picture after ")
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

    def _replaced(self, slot: int) -> Environment:
        if (old := self._environments[slot]) is not None:
            old.close()
        self._environments[slot] = new = self._make()
        return new

    def _empty(self, lives: int) -> np.ndarray:
        return np.empty((lives, *(self.observation_space.shape or ())), self.observation_space.dtype)

    def _pushed(self, slot: int, observation: np.ndarray) -> np.ndarray:
        """The frames of a slot, with an observation in the place of the oldest."""
        assert self._frames is not None
        frames, size = self._frames[slot], observation.shape[-1]
        frames[..., :-size] = frames[..., size:]
        frames[..., -size:] = observation
        return frames

    def _actions(self, actions: np.ndarray) -> Any:
        """Actions as environments take them."""
        space = self.action_space
        if isinstance(space, spaces.Discrete):
            # A Discrete action is a Python or NumPy integer, never an array.
            return actions.tolist()
        if actions.dtype == space.dtype:
            return actions
        actions = actions.astype(space.dtype)
        # Rounding to another kind of float may have carried an action past its bound.
        return np.clip(actions, space.low, space.high) if isinstance(space, spaces.Box) else actions

    def _blame(self, error: BaseException, slot: int, what: str = "") -> NoReturn:
        age = self._ages[slot]
        where = f"step {age} of" if age else "the reset of"
        blame(error, self.name, f"{what}{where} the life with seed {self._seeds[slot]}")
