"""The quadruped, described once: both simulators' models are written from here.

A sphere with four legs. Each leg is a stub that is fixed to the torso and points along a diagonal, an upper segment
that turns on the hip about the vertical, and a lower segment, the foot, that bends on the ankle about the horizontal
line across the leg. At rest all twelve capsules lie in the plane z = 0 of the torso.

Lengths in metres, masses in kilograms, angles in degrees as the model files have them; the numbers are those of Bullet's
Ant. Its importer takes every density as 1000 kg/m³ and every segment's inertia as that of the box that bounds it.
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
    "START_ANGLE",
    "START_HEIGHT",
    "STUB_LENGTH",
    "SUB_STEPS",
    "TIME_STEP",
    "TORQUE",
    "TORSO_RADIUS",
    "UPPER_LENGTH",
    "LegParts",
    "Solid",
    "ankle_range",
    "leg_parts",
    "start_angles",
    "torso",
    "trunk",
]

ACTIONS = 8
TIME_STEP = 0.0165  # seconds of an environment's step
SUB_STEPS = 4  # of the simulator in one step of the environment
GRAVITY = 9.8
START_HEIGHT = 0.75
START_ANGLE = 0.1  # every joint starts uniformly within ± this many radians
TORQUE = 250.0  # newton metres at an action of 1
ROBOT_FRICTION = 1.5
FLOOR_FRICTION = 0.8  # Bullet multiplies the two

TORSO_RADIUS = 0.25
CAPSULE_RADIUS = 0.08
STUB_LENGTH = 0.2  # along x and along y, as the two below
UPPER_LENGTH = 0.2
LOWER_LENGTH = 0.4
HIP_RANGE = (-40.0, 40.0)

# The legs in the order of LEGS: where they point, the axis of the ankle and the sign of the angle that lowers the foot.
DIRECTIONS = ((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))
ANKLE_AXES = ((-1.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (1.0, 1.0))
ANKLE_SIGNS = (1.0, -1.0, -1.0, 1.0)
_ANKLE_RANGE = (30.0, 100.0)

_DENSITY = 1000.0
_BOX_MARGIN = 0.04  # Bullet's collision margin, which widens the bounding box on every side


def ankle_range(leg: int) -> tuple[float, float]:
    """The limits of a leg's ankle in degrees, lower first."""
    low, high = sorted(ANKLE_SIGNS[leg] * limit for limit in _ANKLE_RANGE)
    return low, high


# Bullet turns the limits into radians in single precision, and the observation is made of them.
_RANGES = np.array([limits for leg in range(4) for limits in (HIP_RANGE, ankle_range(leg))], np.float32)
JOINT_LOW, JOINT_HIGH = (_RANGES * np.float32(np.pi) / np.float32(180)).T.astype(np.float64)
"""The joints' limits in radians, float64 [8]: hip and ankle of each leg in turn."""


@dataclass(frozen=True)
class Solid:
    """A rigid body: its mass, its centre of mass and the moments of inertia about axes through that."""

    mass: float
    centre: tuple[float, float, float]
    inertia: tuple[float, float, float]


@dataclass(frozen=True)
class LegParts:
    """A leg's capsules, each as its far end (x, y, 0) seen from its near end, and as a solid in that frame."""

    stub_end: tuple[float, float, float]
    stub: Solid
    upper_end: tuple[float, float, float]
    upper: Solid
    lower_end: tuple[float, float, float]
    lower: Solid


def leg_parts(morphology: Morphology, leg: int) -> LegParts:
    """The parts of one leg of a body."""
    upper_factor, lower_factor = morphology.legs[leg]
    ends = [
        (length * DIRECTIONS[leg][0], length * DIRECTIONS[leg][1], 0.0)
        for length in (STUB_LENGTH, UPPER_LENGTH * upper_factor, LOWER_LENGTH * lower_factor)
    ]
    stub, upper, lower = (_capsule(end) for end in ends)
    return LegParts(ends[0], stub, ends[1], upper, ends[2], lower)


def _capsule(end: tuple[float, float, float]) -> Solid:
    """A capsule from the origin to ``end`` in the plane z = 0, its inertia that of its bounding box."""
    length = math.hypot(*end)
    mass = _DENSITY * math.pi * CAPSULE_RADIUS**2 * (length + 4 / 3 * CAPSULE_RADIUS)
    x, y, z = (abs(coordinate) / 2 + CAPSULE_RADIUS + _BOX_MARGIN for coordinate in end)
    inertia = (mass / 3 * (y * y + z * z), mass / 3 * (x * x + z * z), mass / 3 * (x * x + y * y))
    return Solid(mass, (end[0] / 2, end[1] / 2, 0.0), inertia)


def torso() -> Solid:
    """The sphere alone."""
    mass = _DENSITY * 4 / 3 * math.pi * TORSO_RADIUS**3
    moment = 2 / 5 * mass * TORSO_RADIUS**2
    return Solid(mass, (0.0, 0.0, 0.0), (moment, moment, moment))


def trunk(morphology: Morphology) -> Solid:
    """The torso and the four stubs as one solid, by the parallel-axis theorem.

    The stubs are each other's mirror images: the centre stays at the origin and the products of inertia cancel.
    """
    solids = [torso(), *(leg_parts(morphology, leg).stub for leg in range(4))]
    inertia = [0.0, 0.0, 0.0]
    for solid in solids:
        square = sum(coordinate**2 for coordinate in solid.centre)
        for axis in range(3):
            inertia[axis] += solid.inertia[axis] + solid.mass * (square - solid.centre[axis] ** 2)
    return Solid(sum(solid.mass for solid in solids), (0.0, 0.0, 0.0), (inertia[0], inertia[1], inertia[2]))


def start_angles(seed: int) -> np.ndarray:
    """The joints' angles at the start of a life, float64 [8]: those of AntBulletEnv-v0 reset with the same seed."""
    return np.random.default_rng(seed).uniform(-START_ANGLE, START_ANGLE, ACTIONS)
