"""Where the parts of the robot are, from its joints' angles, for many robots at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metahebb.worlds.quadruped.morphology import Morphology
from metahebb.worlds.quadruped.robot import (
    ANKLE_SIGNS,
    CAPSULE_RADIUS,
    DIRECTIONS,
    LOWER_LENGTH,
    STUB_LENGTH,
    UPPER_LENGTH,
)

__all__ = ["PARTS", "Pose", "leg_lengths", "mean_place", "roll_pitch_yaw", "sole_heights"]

PARTS = 22
"""The torso, five parts a leg (stub, hip, upper segment, ankle, lower segment) and the floor."""

_DIRECTION_X, _DIRECTION_Y = np.array(DIRECTIONS).T
_SINK = np.sqrt(2.0) * np.array(ANKLE_SIGNS)  # a segment's length is √2 of its extent along x


class Pose(NamedTuple):
    """The configuration of n robots, float64."""

    position: np.ndarray
    """of the torso, [n, 3]"""
    quaternion: np.ndarray
    """of the torso, [n, 4] as x, y, z, w"""
    angles: np.ndarray
    """of the joints, [n, 8]"""
    lengths: np.ndarray
    """of the legs, [n, 4, 2] as :func:`leg_lengths` gives them"""


def leg_lengths(morphology: Morphology) -> np.ndarray:
    """The extents along x of each leg's upper and lower segment, float64 [4, 2]."""
    return np.array(morphology.legs) * (UPPER_LENGTH, LOWER_LENGTH)


def roll_pitch_yaw(quaternion: np.ndarray) -> np.ndarray:
    """The angles of a rotation about x, then y, then z: [n, 4] as x, y, z, w → [n, 3]."""
    x, y, z, w = quaternion.T
    sine = np.clip(2 * (w * y - x * z), -1.0, 1.0)
    return np.stack(
        [
            np.arctan2(2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
            np.arcsin(sine),
            np.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z)),
        ],
        axis=1,
    )


def _legs(pose: Pose) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The legs in the torso's axes, each [n, 4]: the direction (x, y) after the hip, then level and fall of the foot."""
    cosine, sine = np.cos(pose.angles), np.sin(pose.angles)
    hip_cosine, hip_sine = cosine[:, ::2], sine[:, ::2]
    along_x = hip_cosine * _DIRECTION_X - hip_sine * _DIRECTION_Y
    along_y = hip_sine * _DIRECTION_X + hip_cosine * _DIRECTION_Y
    lower = pose.lengths[:, :, 1]
    return along_x, along_y, lower * cosine[:, 1::2], -lower * _SINK * sine[:, 1::2]


def mean_place(pose: Pose) -> np.ndarray:
    """The mean place on the floor's plane of the 22 parts, each at its centre, float64 [n, 2]."""
    along_x, along_y, level, fall = _legs(pose)
    # Of a leg's five parts one lies half an upper segment out and two lie a whole one, the last by half a lower one
    # more; stubs and hips cancel among the four legs.
    reach = 2.5 * pose.lengths[:, :, 0] + 0.5 * level
    sum_x, sum_y, sum_z = (reach * along_x).sum(1), (reach * along_y).sum(1), 0.5 * fall.sum(1)
    x, y, z, w = pose.quaternion.T
    turned_x = (1 - 2 * (y * y + z * z)) * sum_x + 2 * (x * y - w * z) * sum_y + 2 * (x * z + w * y) * sum_z
    turned_y = 2 * (x * y + w * z) * sum_x + (1 - 2 * (x * x + z * z)) * sum_y + 2 * (y * z - w * x) * sum_z
    turned = np.stack([turned_x, turned_y], axis=1)
    return ((PARTS - 1) * pose.position[:, :2] + turned) / PARTS


def sole_heights(pose: Pose) -> np.ndarray:
    """The height above the floor of the lowest point of each foot, float64 [n, 4]."""
    along_x, along_y, level, fall = _legs(pose)
    x, y, z, w = pose.quaternion.T[:, :, None]
    up_x, up_y, up_z = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    slope = up_x * along_x + up_y * along_y
    ankle = STUB_LENGTH * (up_x * _DIRECTION_X + up_y * _DIRECTION_Y) + pose.lengths[:, :, 0] * slope
    tip = ankle + level * slope + up_z * fall
    return pose.position[:, 2:] + np.minimum(ankle, tip) - CAPSULE_RADIUS
