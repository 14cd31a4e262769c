"""Trying an environment before a run: does it keep Gymnasium's rules, and does a life depend on those before it?"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from metahebb.errors import RunError, UsageError
from metahebb.interrupts import ctrl_c_told_apart
from metahebb.worlds.gymnasium.world import GymnasiumWorld

__all__ = ["needs_fresh_environments"]

logger = logging.getLogger("metahebb")

STEPS = 50
LIVES = 10
COMPARED = (2, 8, 9)
"""The lives of a used environment that are lived in a new one as well. With fewer lives before them and without the
earliest, one of Gymnasium's two BipedalWalkers passes for one without a memory."""


class _Life(NamedTuple):
    """What came of a life."""

    observations: list[np.ndarray]
    rewards: list[float]
    reset_seconds: float

    def same(self, other: _Life) -> bool:
        """Whether all is alike, to the last bit."""
        return (
            len(self.observations) == len(other.observations)
            and all(map(_equal, self.observations, other.observations))
            and _equal(np.array(self.rewards), np.array(other.rewards))
        )


def needs_fresh_environments(
    make_world: Callable[[], GymnasiumWorld], actions: np.ndarray, fresh: bool | None = None
) -> bool:
    """Live a few lives of some tens of steps; whether each life needs an environment of its own.

    It does where the same life, of the same seed and ``actions`` [steps, …], comes to something else in an environment
    in which others have lived. With ``fresh`` given that is not looked for: one life is lived. Raises UsageError for an
    environment that breaks Gymnasium's rules; logs what a user should know.
    """
    # A KeyboardInterrupt of the environment's own is one more way to break them.
    with ctrl_c_told_apart():
        used = make_world()
        try:
            for remark in used.remarks:
                logger.warning("%s", remark)
            if fresh is not None:
                _live(used, 0, actions)
                return fresh
            return _remembers(used, make_world, actions)
        except RunError as e:
            raise UsageError(str(e)) from e
        finally:
            used.close()


def _remembers(used: GymnasiumWorld, make_world: Callable[[], GymnasiumWorld], actions: np.ndarray) -> bool:
    for seed in range(LIVES):
        life = _live(used, seed, actions)
        if seed not in COMPARED:
            continue
        new = _live_anew(make_world, seed, actions)
        if life.same(new):
            continue
        if not _live_anew(make_world, seed, actions).same(new):
            logger.warning(
                "Environment %r is not repeatable: the same life, with the same seed and actions, came to different "
                "observations or rewards in two new environments. Results cannot be made again; it should draw from "
                "self.np_random alone.",
                used.name,
            )
            return False
        logger.warning(
            "Environment %r keeps something of its lives after a reset, on which later ones depend. So that results do "
            "not depend on the workers, each life gets a new environment, which takes about %.0f ms where a reset "
            "takes %.1f; --no-fresh-environments goes without.",
            used.name,
            1e3 * new.reset_seconds,
            1e3 * life.reset_seconds,
        )
        return True
    return False


def _live_anew(make_world: Callable[[], GymnasiumWorld], seed: int, actions: np.ndarray) -> _Life:
    began = time.perf_counter()
    world = make_world()
    made = time.perf_counter() - began
    try:
        life = _live(world, seed, actions)
    finally:
        world.close()
    return life._replace(reset_seconds=life.reset_seconds + made)


def _live(world: GymnasiumWorld, seed: int, actions: np.ndarray) -> _Life:
    began = time.perf_counter()
    observations, rewards = [world.reset(0, seed)], []
    seconds = time.perf_counter() - began
    for action in np.roll(actions, seed, axis=0)[:STEPS]:
        observation, reward, ended = world.step(np.array([0]), action[None])
        observations.append(observation[0])
        rewards.append(float(reward[0]))
        if ended[0]:
            break
    return _Life(observations, rewards, seconds)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
