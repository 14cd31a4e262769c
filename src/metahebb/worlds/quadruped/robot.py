"""The quadruped, described once: the models of both simulators are written from here.

A sphere with four legs. Each leg is a stub that is fixed to the torso and points along a diagonal, an upper
segment that turns on the hip about the vertical, and a lower segment, the foot, that bends on the ankle about
the horizontal line across the leg. With all joints at 0 the twelve capsules lie in the torso's plane z = 0.

Lengths are in metres, masses in kilograms, angles in degrees as the model files have them. The numbers are
those of Bullet's Ant, whose importer gives everything the density 1000 kg/m³ whatever the file says, and a
capsule the moments of inertia of the box that bounds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metahebb.worlds.quadruped.morphology import Morphology

__all__ = [
    "ACTIONS",
    "ANKLE_AXES",
    "ANKLE_SIGNS",
    "CAPSULE_RADIUS",
    "DIRECTIONS",
    "FLOOR_FRICTION",
    "GRAVITY",
    "HIP_RANGE",
    "JOINT_HIGH",
    "JOINT_LOW",
    "LOWER_LENGTH",
    "ROBOT_FRICTION",
    "START_HEIGHT",
    "STUB_LENGTH",
    "SUB_STEPS",
    "TIME_STEP",
    "TORQUE",
    "TORSO_RADIUS",
    "UPPER_LENGTH",
    "LegParts",
    "Point",
    "Solid",
    "ankle_range",
    "leg_parts",
    "numbers",
    "start_angles",
    "trunk",
]

Point = tuple[float, float, float]

ACTIONS = 8
TIME_STEP = 0.0165  # seconds of one step of the environment
SUB_STEPS = 4  # of the simulator in one step of the environment
GRAVITY = 9.8
START_HEIGHT = 0.75
TORQUE = 250.0  # newton metres for an action of 1
ROBOT_FRICTION = 1.5
FLOOR_FRICTION = 0.8  # the two are multiplied

TORSO_RADIUS = 0.25
CAPSULE_RADIUS = 0.08
STUB_LENGTH = 0.2  # along x and again along y, as the next two
UPPER_LENGTH = 0.2
LOWER_LENGTH = 0.4
HIP_RANGE = (-40.0, 40.0)

# In the order of LEGS: where a leg points, its ankle's axis, and the sign of the angles that lower its foot.
DIRECTIONS = ((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))
ANKLE_AXES = ((-1.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (1.0, 1.0))
ANKLE_SIGNS = (1.0, -1.0, -1.0, 1.0)

_ANKLE_RANGE = (30.0, 100.0)
_START_ANGLE = 0.1  # radians: where the joints start, uniformly on either side of 0
_DENSITY = 1000.0
_BOX_MARGIN = 0.04  # Bullet's collision margin, by which it widens the bounding box on every side


def ankle_range(leg: int) -> tuple[float, float]:
    """The limits of a leg's ankle in degrees, the lower one first."""
    low, high = sorted(ANKLE_SIGNS[leg] * limit for limit in _ANKLE_RANGE)
    return low, high


# Bullet turns the limits into radians in single precision, and the observation is made of them.
_RANGES = np.array([limits for leg in range(4) for limits in (HIP_RANGE, ankle_range(leg))], np.float32)
JOINT_LOW, JOINT_HIGH = (_RANGES * np.float32(np.pi) / np.float32(180)).T.astype(np.float64)
"""The joints' limits in radians, float64 [8]: hip and ankle of each leg in turn."""


@dataclass(frozen=True)
class Solid:
    """A rigid body: mass, centre of mass, and moments of inertia about the axes through it."""

    mass: float
    centre: Point
    inertia: Point


@dataclass(frozen=True)
class LegParts:
    """A leg's capsules: the far end of each as seen from its near end, and the solid in the same frame."""

    stub_end: Point
    stub: Solid
    upper_end: Point
    upper: Solid
    lower_end: Point
    lower: Solid


def leg_parts(morphology: Morphology, leg: int) -> LegParts:
    """The parts of one leg of a body."""
    upper_factor, lower_factor = morphology.legs[leg]
    x, y = DIRECTIONS[leg]
    stub_end, upper_end, lower_end = (
        (length * x, length * y, 0.0)
        for length in (STUB_LENGTH, UPPER_LENGTH * upper_factor, LOWER_LENGTH * lower_factor)
    )
    return LegParts(stub_end, _capsule(stub_end), upper_end, _capsule(upper_end), lower_end, _capsule(lower_end))


def trunk(morphology: Morphology) -> Solid:
    """The torso and the four stubs as one solid, by the parallel-axis theorem.

    The stubs mirror each other: the centre stays at the origin, and the products of inertia cancel.
    """
    solids = [_torso(), *(leg_parts(morphology, leg).stub for leg in range(4))]
    about_x, about_y, about_z = 0.0, 0.0, 0.0
    for solid in solids:
        x, y, z = solid.centre
        about_x += solid.inertia[0] + solid.mass * (y * y + z * z)
        about_y += solid.inertia[1] + solid.mass * (x * x + z * z)
        about_z += solid.inertia[2] + solid.mass * (x * x + y * y)
    return Solid(sum(solid.mass for solid in solids), (0.0, 0.0, 0.0), (about_x, about_y, about_z))


def _torso() -> Solid:
    mass = _DENSITY * 4 / 3 * math.pi * TORSO_RADIUS**3
    moment = 2 / 5 * mass * TORSO_RADIUS**2
    return Solid(mass, (0.0, 0.0, 0.0), (moment, moment, moment))


def _capsule(end: Point) -> Solid:
    """A capsule from the origin to ``end``, its moments of inertia those of its bounding box."""
    mass = _DENSITY * math.pi * CAPSULE_RADIUS**2 * (math.hypot(*end) + 4 / 3 * CAPSULE_RADIUS)
    x, y, z = (abs(coordinate) / 2 + CAPSULE_RADIUS + _BOX_MARGIN for coordinate in end)
    inertia = (mass / 3 * (y * y + z * z), mass / 3 * (x * x + z * z), mass / 3 * (x * x + y * y))
    return Solid(mass, (end[0] / 2, end[1] / 2, end[2] / 2), inertia)


def numbers(values: tuple[float, ...]) -> str:
    """Numbers as the models' files have them: no digit is lost."""
    return " ".join(map(repr, values))


def start_angles(seed: int) -> np.ndarray:
    """The joints' angles at the start of a life, float64 [8]: AntBulletEnv-v0's after a reset with this
    seed.
    """
    return np.random.default_rng(seed).uniform(-_START_ANGLE, _START_ANGLE, ACTIONS)
