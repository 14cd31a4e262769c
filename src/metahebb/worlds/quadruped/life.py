"""What a life of the quadruped is, as the paper's reference has it.

A life is 1,000 steps. The first 40 are settling steps with an action of zero, so that the robot stands on the floor; the
network sees nothing of them, its first forward pass sees the observation of the reset. 960 actions follow. Up to the 201st
the life goes on whatever the world says; from the 202nd on it ends when the robot falls, or after more than 30
consecutive actions with negative progress, counted from there. The fitness is the sum of the progress of the actions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = [
    "LIFE_ACTIONS",
    "LIFE_STEPS",
    "MAX_BACKWARD",
    "SETTLING_STEPS",
    "UNTOUCHABLE_ACTIONS",
    "LifeProgress",
    "begin_lives",
    "follow_lives",
]

LIFE_STEPS = 1000
SETTLING_STEPS = 40
LIFE_ACTIONS = LIFE_STEPS - SETTLING_STEPS
UNTOUCHABLE_ACTIONS = 201
"""The actions at the start during which nothing but a diverged physics ends a life."""
MAX_BACKWARD = 30
"""The consecutive actions with negative progress that a life survives."""


class LifeProgress(NamedTuple):
    """How far n lives have come."""

    actions: np.ndarray
    """taken so far, int64 [n]"""
    backward: np.ndarray
    """of these, the last ones with negative progress in a row, int64 [n]"""


def begin_lives(lives: int) -> LifeProgress:
    """Lives after their settling steps and before their first action."""
    return LifeProgress(np.zeros(lives, np.int64), np.zeros(lives, np.int64))


def follow_lives(lives: LifeProgress, progress: np.ndarray, ended: np.ndarray) -> tuple[LifeProgress, np.ndarray]:
    """Count one more action of every life and say which are over, bool [n].

    ``progress`` float64 [n] and ``ended`` bool [n] are what the world's step returned; a progress that is NaN is a physics
    that diverged, and the life is over at once.
    """
    actions = lives.actions + 1
    judged = actions > UNTOUCHABLE_ACTIONS
    backward = np.where(judged & (progress < 0), lives.backward + 1, 0)
    over = np.isnan(progress) | (judged & (ended | (backward > MAX_BACKWARD))) | (actions >= LIFE_ACTIONS)
    return LifeProgress(actions, backward), over
