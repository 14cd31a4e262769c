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

from metahebb.worlds.quadruped.kinematics import Array
from metahebb.worlds.quadruped.robot import ACTIONS, JOINT_HIGH, JOINT_LOW, START_HEIGHT, TIME_STEP

__all__ = ["ACTION_SPACE", "OBSERVATION_SPACE", "Reading", "gained", "has_fallen", "observe", "potential"]

OBSERVATION_SPACE = gymnasium.spaces.Box(-5.0, 5.0, (28,), np.float32)
ACTION_SPACE = gymnasium.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)

_TARGET_X, _TARGET_Y = 1000.0, 0.0
# A rotation about z is cos·_LEVEL + sin·_ACROSS + _UPRIGHT.
_LEVEL, _UPRIGHT = np.diag([1.0, 1.0, 0.0]), np.diag([0.0, 0.0, 1.0])
_ACROSS = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
_FALLEN_HEIGHT = 0.26  # the torso's radius is 0.25


class Reading(NamedTuple):
    """What the observation is made of, for n robots: NumPy's arrays in float64, or JAX's."""

    position: Array
    """of the torso, [n, 3]"""
    roll_pitch_yaw: Array
    """of the torso, [n, 3]"""
    velocity: Array
    """of the torso in the world's axes, [n, 3]"""
    angles: Array
    """of the joints, [n, 8]"""
    rates: Array
    """of the joints, [n, 8]"""
    centre: Array
    """the mean place of the 22 parts on the floor's plane, [n, 2]"""


def observe(reading: Reading, feet: Array) -> Array:
    """The observations, float32 [n, 28]; ``feet``, bool [n, 4], says which touched the floor one step ago."""
    xp = feet.__array_namespace__()
    count = len(feet)
    yaw = reading.roll_pitch_yaw[:, 2]
    x, y = reading.centre.T
    angle_to_target = xp.arctan2(_TARGET_Y - y, _TARGET_X - x) - yaw
    rotation = xp.cos(-yaw)[:, None, None] * _LEVEL + xp.sin(-yaw)[:, None, None] * _ACROSS + _UPRIGHT
    velocity = xp.matmul(rotation, reading.velocity[:, :, None])[:, :, 0]
    angles = 2 * (reading.angles - JOINT_LOW) / (JOINT_HIGH - JOINT_LOW) - 1.0
    height = reading.position[:, 2] - START_HEIGHT
    parts = [
        *(number[:, None] for number in (height, xp.sin(angle_to_target), xp.cos(angle_to_target))),
        0.3 * velocity,
        reading.roll_pitch_yaw[:, :2],
        xp.stack([angles, 0.1 * reading.rates], axis=2).reshape(count, 16),
        feet,
    ]
    return xp.clip(xp.concatenate(parts, axis=1).astype(xp.float32), -5, 5)


def potential(centre: np.ndarray) -> np.ndarray:
    """Minus the distance of the mean place [n, 2] to the target, in metres ÷ 0.0165 s, float64 [n]."""
    # y before x and by the library's dot product, as the original's norm has it: its rounding is part of the
    # number.
    way = np.stack([_TARGET_Y - centre[:, 1], _TARGET_X - centre[:, 0]], axis=1)
    result: np.ndarray = -np.sqrt(np.vecdot(way, way)) / TIME_STEP
    return result


def gained(before: Array, after: Array) -> Array:
    """What the potential gained between two mean places [n, 2], [n]: as its difference, for numbers in float32.

    There the potential itself, some 60,000, is good to 0.004 alone, a quarter of a millimetre each step.
    """
    xp = before.__array_namespace__()
    target = xp.asarray([_TARGET_X, _TARGET_Y], before.dtype)
    was, now = target - before, target - after
    way = ((after - before) * (was + now)).sum(axis=1)
    return way / (xp.sqrt((was * was).sum(axis=1)) + xp.sqrt((now * now).sum(axis=1))) / TIME_STEP


def has_fallen(observation: Array) -> Array:
    """Whether the torso lies on the floor, bool [n]; judged by the observed height, as in the original."""
    xp = observation.__array_namespace__()
    return observation[:, 0].astype(xp.result_type(float)) + START_HEIGHT <= _FALLEN_HEIGHT
