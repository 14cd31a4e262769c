"""What the quadruped senses and how far it has come, the same in both simulators.

The 28 observations, float32, clipped to ±5:

====== ==========================================================================================
index  meaning
====== ==========================================================================================
0      height of the torso above its start (m)
1, 2   sine and cosine of the angle from the heading to the target (1000, 0)
3–5    0.3 × velocity of the torso, turned by its yaw: forward, left, up (m/s)
6, 7   roll and pitch of the torso (rad)
8–23   for each joint: its angle on a scale from −1 to 1 between its limits, and 0.1 × its speed (rad/s)
24–27  1 where a foot touched the floor one step ago, legs as in ``LEGS``
====== ==========================================================================================

The progress of a step is the potential's difference: metres gained towards the target ÷ 0.0165 s, of the mean of the
robot's 21 parts and the floor, whose place is the origin. So it counts 21/22 of a metre for a metre walked.
"""

from __future__ import annotations

from typing import NamedTuple

import gymnasium
import numpy as np

from metahebb.worlds.quadruped.robot import ACTIONS, JOINT_HIGH, JOINT_LOW, START_HEIGHT, TIME_STEP

__all__ = ["ACTION_SPACE", "FALLEN_HEIGHT", "OBSERVATION_SPACE", "Reading", "has_fallen", "observe", "potential"]

OBSERVATION_SPACE = gymnasium.spaces.Box(-5.0, 5.0, (28,), np.float32)
ACTION_SPACE = gymnasium.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)

FALLEN_HEIGHT = 0.26
"""The life of a robot whose torso is not higher (m) is over: the torso's radius is 0.25."""

_TARGET = np.array([1000.0, 0.0])


class Reading(NamedTuple):
    """The state of n robots as the observation needs it, float64."""

    position: np.ndarray
    """of the torso, [n, 3]"""
    roll_pitch_yaw: np.ndarray
    """of the torso, [n, 3]"""
    velocity: np.ndarray
    """of the torso in the world's axes, [n, 3]"""
    angles: np.ndarray
    """of the joints, [n, 8]"""
    rates: np.ndarray
    """of the joints, [n, 8]"""
    centre: np.ndarray
    """mean place of the 22 parts on the floor's plane, [n, 2]"""


def observe(reading: Reading, feet: np.ndarray) -> np.ndarray:
    """The observations float32 [n, 28]; ``feet`` bool [n, 4] says which of them touched the floor a step ago."""
    count = len(feet)
    roll, pitch, yaw = reading.roll_pitch_yaw.T
    bearing = np.arctan2(_TARGET[1] - reading.centre[:, 1], _TARGET[0] - reading.centre[:, 0]) - yaw
    turn = np.zeros((count, 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(-yaw)
    turn[:, 1, 0] = np.sin(-yaw)
    turn[:, 0, 1] = -turn[:, 1, 0]
    turn[:, 2, 2] = 1.0

    observation = np.empty((count, 28), np.float32)
    observation[:, 0] = reading.position[:, 2] - START_HEIGHT
    observation[:, 1] = np.sin(bearing)
    observation[:, 2] = np.cos(bearing)
    observation[:, 3:6] = 0.3 * np.matmul(turn, reading.velocity[:, :, None])[:, :, 0]
    observation[:, 6] = roll
    observation[:, 7] = pitch
    observation[:, 8:24:2] = 2 * (reading.angles - JOINT_LOW) / (JOINT_HIGH - JOINT_LOW) - 1.0
    observation[:, 9:24:2] = 0.1 * reading.rates
    observation[:, 24:] = feet
    return np.clip(observation, -5, 5, out=observation)


def potential(centre: np.ndarray) -> np.ndarray:
    """Minus the distance to the target, in metres ÷ 0.0165 s, float64 [n]; its difference is the progress."""
    # In the original's order, y before x, and with the library's dot product, as a norm takes it: the fused rounding of
    # the squares is part of the numbers.
    way = np.ascontiguousarray((_TARGET - centre)[:, ::-1])
    return -np.sqrt(np.vecdot(way, way)) / TIME_STEP


def has_fallen(observation: np.ndarray) -> np.ndarray:
    """bool [n]: the torso lies on the floor. Judged from the observed height, in single precision as the original."""
    return observation[:, 0].astype(np.float64) + START_HEIGHT <= FALLEN_HEIGHT
