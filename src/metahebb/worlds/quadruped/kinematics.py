"""Where the parts of the robot are, for many robots at once.

The arrays are NumPy's in float64, or JAX's in float32 where the physics is traced: the same formulas serve both.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

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

__all__ = ["PARTS", "Array", "Pose", "leg_lengths", "mean_place", "roll_pitch_yaw", "sole_heights", "turned"]

Array: TypeAlias = Any
"""of NumPy or of JAX; ``__array_namespace__`` has the functions that fit it"""

PARTS = 22
"""The torso, five parts a leg (stub, hip, upper segment, ankle, lower segment) and the floor."""

_DIRECTION_X, _DIRECTION_Y = np.array(DIRECTIONS).T
_SINK = np.sqrt(2.0) * np.array(ANKLE_SIGNS)  # a segment is √2 times as long as its extent along x


class Pose(NamedTuple):
    """The configuration of n robots."""

    position: Array
    """of the torso, [n, 3]"""
    quaternion: Array
    """of the torso, [n, 4] as x, y, z, w"""
    angles: Array
    """of the joints, [n, 8]"""
    lengths: Array
    """of the legs, [n, 4, 2], each as :func:`leg_lengths` gives it"""


def leg_lengths(morphology: Morphology) -> np.ndarray:
    """The extents along x of each leg's upper and lower segment at rest, float64 [4, 2]."""
    lengths: np.ndarray = np.array(morphology.legs) * (UPPER_LENGTH, LOWER_LENGTH)
    return lengths


def roll_pitch_yaw(quaternion: Array) -> Array:
    """The angles of a rotation about x, then y, then z: [n, 4] as x, y, z, w → [n, 3]."""
    xp = quaternion.__array_namespace__()
    x, y, z, w = quaternion.T
    roll = xp.arctan2(2 * (y * z + w * x), 1 - 2 * (x * x + y * y))
    pitch = xp.arcsin(xp.clip(2 * (w * y - x * z), -1.0, 1.0))
    yaw = xp.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))
    return xp.stack([roll, pitch, yaw], axis=1)


def turned(quaternion: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """A rotation [n, 4] (x, y, z, w) followed by a small one [n, 3], a vector in the world's axes (rad)."""
    half, axis, w = rotation / 2, quaternion[:, :3], quaternion[:, 3:]
    change = np.hstack([w * half + np.cross(half, axis), -(half * axis).sum(axis=1, keepdims=True)])
    result: np.ndarray = quaternion + change
    result /= np.sqrt((result * result).sum(axis=1, keepdims=True))
    return result


class _Legs(NamedTuple):
    """The legs in the torso's axes, each [n, 4]."""

    along_x: Array
    along_y: Array
    """where the upper segment points, in units of the diagonal (1, 1)"""
    level: Array
    """the extent of the lower segment in the same direction"""
    fall: Array
    """how much higher the tip is than the ankle (m)"""


def _legs(pose: Pose) -> _Legs:
    xp = pose.angles.__array_namespace__()
    cosine, sine = xp.cos(pose.angles), xp.sin(pose.angles)
    hip_cosine, hip_sine = cosine[:, ::2], sine[:, ::2]
    lower = pose.lengths[:, :, 1]
    return _Legs(
        along_x=hip_cosine * _DIRECTION_X - hip_sine * _DIRECTION_Y,
        along_y=hip_sine * _DIRECTION_X + hip_cosine * _DIRECTION_Y,
        level=lower * cosine[:, 1::2],
        fall=-lower * _SINK * sine[:, 1::2],
    )


def mean_place(pose: Pose) -> Array:
    """The mean place on the floor's plane of the 22 parts, each taken at its centre, [n, 2]."""
    xp = pose.position.__array_namespace__()
    legs = _legs(pose)
    # Of a leg's five parts one lies half an upper segment out, two lie a whole one out, and the last of these
    # half a lower segment further. Stubs and hips cancel among the four legs.
    reach = 2.5 * pose.lengths[:, :, 0] + 0.5 * legs.level
    sum_x, sum_y = (reach * legs.along_x).sum(axis=1), (reach * legs.along_y).sum(axis=1)
    sum_z = 0.5 * legs.fall.sum(axis=1)
    x, y, z, w = pose.quaternion.T
    offset_x = (1 - 2 * (y * y + z * z)) * sum_x + 2 * (x * y - w * z) * sum_y + 2 * (x * z + w * y) * sum_z
    offset_y = 2 * (x * y + w * z) * sum_x + (1 - 2 * (x * x + z * z)) * sum_y + 2 * (y * z - w * x) * sum_z
    total: Array = (PARTS - 1) * pose.position[:, :2] + xp.stack([offset_x, offset_y], axis=1)
    return total / PARTS


def sole_heights(pose: Pose) -> Array:
    """The height above the floor of the lowest point of each foot, [n, 4]."""
    xp = pose.position.__array_namespace__()
    legs = _legs(pose)
    x, y, z, w = pose.quaternion.T[:, :, None]
    up_x, up_y, up_z = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    slope = up_x * legs.along_x + up_y * legs.along_y
    ankle = STUB_LENGTH * (up_x * _DIRECTION_X + up_y * _DIRECTION_Y) + pose.lengths[:, :, 0] * slope
    tip = ankle + legs.level * slope + up_z * legs.fall
    lowest: Array = pose.position[:, 2:] + xp.minimum(ankle, tip)
    return lowest - CAPSULE_RADIUS
