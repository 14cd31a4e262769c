"""What the quadruped senses and how far it has come, the same in both simulators.

The 28 observations, float32, clipped to ±5:

====== ======================================================================================
index  meaning
====== ======================================================================================
0      height of the torso above its start (m)
1, 2   sine and cosine of the angle from the heading to the target at (1000, 0)
3–5    0.3 × velocity of the torso, turned by its yaw: forward, left, up (m/s)
6, 7   roll and pitch of the torso (rad)
8–23   for each joint its angle, scaled to ±1 between the limits, and 0.1 × its rate (rad/s)
24–27  1 where a foot touched the floor one step ago, in the order of ``LEGS``
====== ======================================================================================

The 8 actions are the torques of the joints, hip and ankle of each leg in turn, as fractions of 250 N·m.

The progress of a step is what the potential gained: metres towards the target ÷ 0.0165 s. It is measured on
the mean of the robot's 21 parts and the floor, whose place is the origin, and so counts 21/22 of a metre
walked.
"""

from __future__ import annotations

from typing import NamedTuple

import gymnasium
import numpy as np

from metahebb.worlds.quadruped.robot import ACTIONS, JOINT_HIGH, JOINT_LOW, START_HEIGHT, TIME_STEP

__all__ = ["ACTION_SPACE", "OBSERVATION_SPACE", "Reading", "has_fallen", "observe", "potential"]

OBSERVATION_SPACE = gymnasium.spaces.Box(-5.0, 5.0, (28,), np.float32)
ACTION_SPACE = gymnasium.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)

_TARGET_X, _TARGET_Y = 1000.0, 0.0
_FALLEN_HEIGHT = 0.26  # the torso's radius is 0.25


class Reading(NamedTuple):
    """What the observation is made of, for n robots, float64."""

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
    """the mean place of the 22 parts on the floor's plane, [n, 2]"""


def observe(reading: Reading, feet: np.ndarray) -> np.ndarray:
    """The observations, float32 [n, 28]; ``feet``, bool [n, 4], says which touched the floor one step ago."""
    count = len(feet)
    roll, pitch, yaw = reading.roll_pitch_yaw.T
    x, y = reading.centre.T
    angle_to_target = np.arctan2(_TARGET_Y - y, _TARGET_X - x) - yaw
    rotation = np.zeros((count, 3, 3))
    rotation[:, 0, 0] = rotation[:, 1, 1] = np.cos(-yaw)
    rotation[:, 1, 0] = np.sin(-yaw)
    rotation[:, 0, 1] = -rotation[:, 1, 0]
    rotation[:, 2, 2] = 1.0

    observation = np.empty((count, 28), np.float32)
    observation[:, 0] = reading.position[:, 2] - START_HEIGHT
    observation[:, 1] = np.sin(angle_to_target)
    observation[:, 2] = np.cos(angle_to_target)
    observation[:, 3:6] = 0.3 * np.matmul(rotation, reading.velocity[:, :, None])[:, :, 0]
    observation[:, 6] = roll
    observation[:, 7] = pitch
    observation[:, 8:24:2] = 2 * (reading.angles - JOINT_LOW) / (JOINT_HIGH - JOINT_LOW) - 1.0
    observation[:, 9:24:2] = 0.1 * reading.rates
    observation[:, 24:] = feet
    return np.clip(observation, -5, 5, out=observation)


def potential(centre: np.ndarray) -> np.ndarray:
    """Minus the distance of the mean place [n, 2] to the target, in metres ÷ 0.0165 s, float64 [n]."""
    # y before x and by the library's dot product, as the original's norm has it: its rounding is part of the
    # number.
    way = np.stack([_TARGET_Y - centre[:, 1], _TARGET_X - centre[:, 0]], axis=1)
    result: np.ndarray = -np.sqrt(np.vecdot(way, way)) / TIME_STEP
    return result


def has_fallen(observation: np.ndarray) -> np.ndarray:
    """Whether the torso lies on the floor, bool [n]; judged by the observed height, as in the original."""
    return observation[:, 0].astype(np.float64) + START_HEIGHT <= _FALLEN_HEIGHT
