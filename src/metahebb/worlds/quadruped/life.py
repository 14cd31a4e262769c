"""What a life of the quadruped is, as the paper's reference has it.

A life is 1,000 steps. The first 40 are settling steps with an action of zero, which bring the robot down to
the floor; the network sees nothing of them, and its first forward pass sees the observation of the reset. 960
actions follow. Up to the 201st the life goes on whatever the world says. From the 202nd on it ends when the
robot falls, or after more than 30 consecutive actions of negative progress, counted from there. Fitness is
the sum of the actions' progress.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metahebb.worlds.quadruped.kinematics import Array

__all__ = ["LIFE_ACTIONS", "LIFE_STEPS", "SETTLING_STEPS", "LifeProgress", "begin_lives", "follow_lives"]

LIFE_STEPS = 1000
SETTLING_STEPS = 40
LIFE_ACTIONS = LIFE_STEPS - SETTLING_STEPS

_SHELTERED_ACTIONS = 201  # the first actions, during which nothing but a diverged physics ends a life
_MAX_BACKWARD = 30


class LifeProgress(NamedTuple):
    """How far n lives have come."""

    actions: Array
    """actions taken, int64 [n]; int32 in JAX"""
    backward: Array
    """the latest consecutive actions of negative progress, int64 [n]; int32 in JAX"""


def begin_lives(lives: int) -> LifeProgress:
    """Lives that have settled and not acted yet."""
    return LifeProgress(np.zeros(lives, np.int64), np.zeros(lives, np.int64))


def follow_lives(lives: LifeProgress, progress: Array, ended: Array) -> tuple[LifeProgress, Array]:
    """Count one more action of every life, and say which lives are over, bool [n].

    ``progress``, floats [n], and ``ended``, bool [n], are what the world's step returned; a progress of NaN
    is that of a physics that diverged, which ends the life at once.
    """
    xp = progress.__array_namespace__()
    actions = lives.actions + 1
    judged = actions > _SHELTERED_ACTIONS
    backward = xp.where(judged & (progress < 0), lives.backward + 1, 0)
    over = xp.isnan(progress) | (judged & (ended | (backward > _MAX_BACKWARD))) | (actions >= LIFE_ACTIONS)
    return LifeProgress(actions, backward), over
