"""A quadruped in a Bullet simulation of its own, through PyBullet: the exact one, and one with merged links.

A robot's reading is a list of numbers: the torso's position, quaternion (x, y, z, w), roll-pitch-yaw,
velocity and angular velocity, then the joints' angles and rates; the exact robot's goes on with x and then y
of its parts.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import ClassVar

import numpy as np

from metahebb.interrupts import undone
from metahebb.worlds.quadruped.bullet_model import exact_mjcf, merged_urdf
from metahebb.worlds.quadruped.kinematics import PARTS, Pose, mean_place, turned
from metahebb.worlds.quadruped.morphology import Morphology
from metahebb.worlds.quadruped.robot import FLOOR_FRICTION, GRAVITY, START_HEIGHT, SUB_STEPS, TIME_STEP

__all__ = [
    "ANGLES",
    "POSITION",
    "QUATERNION",
    "RATES",
    "ROLL_PITCH_YAW",
    "VELOCITY",
    "ExactRobot",
    "MergedRobot",
    "Robot",
    "import_pybullet",
]

POSITION, QUATERNION, ROLL_PITCH_YAW, VELOCITY, _SPIN, ANGLES, RATES, _PARTS = (
    slice(start, stop) for start, stop in itertools.pairwise((0, 3, 7, 10, 13, 16, 24, 32, None))
)
"""The columns of a reading."""

_SOLVER_ITERATIONS = 5
_CONTACT_ERP = 0.9


def import_pybullet() -> ModuleType:
    """PyBullet, or an ``ImportError`` that names the remedy."""
    try:
        with _silence():
            import pybullet
    except ImportError as error:
        raise ImportError(
            "Task 'quadruped-bullet' needs PyBullet: pip install 'metahebb[bullet]' (it has wheels for Python 3.11 on "
            "Linux and macOS); task 'quadruped' needs no more than MuJoCo."
        ) from error
    module: ModuleType = pybullet
    return module


@contextmanager
def _silence() -> Iterator[None]:
    """Let nothing through to standard error, where PyBullet says from C when it was built."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Robot(ABC):
    """One robot and the floor, in a simulation of their own."""

    JOINTS: ClassVar[tuple[int, ...]]
    """Bullet's numbers of the joints, hip and ankle of each leg in turn"""
    FEET: ClassVar[tuple[int, ...]]
    """Bullet's numbers of the links that are feet"""

    def __init__(self, bullet: ModuleType) -> None:
        self._bullet = bullet
        self._client: int = bullet.connect(bullet.DIRECT)
        if self._client < 0:
            raise RuntimeError("PyBullet opens no further simulation in this process: use fewer slots.")
        self._loaded: Morphology | None = None
        self._body = self._floor = self._start = -1

    def begin(self, morphology: Morphology, angles: np.ndarray) -> None:
        """Stand a body at the start, at rest with its joints at ``angles``, float64 [8]."""
        bullet, client = self._bullet, self._client
        if morphology != self._loaded:
            self._load(morphology)
        bullet.restoreState(self._start, physicsClientId=client)
        for joint, angle in zip(self.JOINTS, angles.tolist(), strict=True):
            bullet.resetJointState(self._body, joint, angle, 0.0, physicsClientId=client)

    def simulate(self, torques: list[float]) -> None:
        """One step of the environment under the joints' torques (N·m), held over its sub-steps."""
        bullet, client = self._bullet, self._client
        bullet.setJointMotorControlArray(
            self._body, self.JOINTS, bullet.TORQUE_CONTROL, forces=torques, physicsClientId=client
        )
        bullet.stepSimulation(physicsClientId=client)

    def read(self) -> list[float]:
        """The reading of this robot."""
        bullet, body, client = self._bullet, self._body, self._client
        position, quaternion = bullet.getBasePositionAndOrientation(body, physicsClientId=client)
        velocity, spin = bullet.getBaseVelocity(body, physicsClientId=client)
        joints = bullet.getJointStates(body, self.JOINTS, physicsClientId=client)
        return [
            *position,
            *quaternion,
            *bullet.getEulerFromQuaternion(quaternion),
            *velocity,
            *spin,
            *[joint[0] for joint in joints],
            *[joint[1] for joint in joints],
        ]

    @staticmethod
    @abstractmethod
    def mean_places(readings: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The mean places of n robots' parts, float64 [n, 2]; the legs' ``lengths`` are [n, 4, 2]."""

    def touching(self) -> list[bool]:
        """Which feet touch the floor, or are about to."""
        contacts = self._bullet.getContactPoints(self._body, self._floor, physicsClientId=self._client)
        links = {contact[3] for contact in contacts}
        return [foot in links for foot in self.FEET]

    def abandon(self) -> None:
        """Give up a simulation that diverged: the next life begins in a fresh one."""
        self._loaded = None

    def close(self) -> None:
        """Free the simulation."""
        self._bullet.disconnect(physicsClientId=self._client)

    def _load(self, morphology: Morphology) -> None:
        """Empty the simulation, put the floor and a body into it, and remember this as the start."""
        bullet, client = self._bullet, self._client
        self._loaded = None
        bullet.resetSimulation(physicsClientId=client)
        bullet.setGravity(0.0, 0.0, -GRAVITY, physicsClientId=client)
        bullet.setDefaultContactERP(_CONTACT_ERP, physicsClientId=client)
        bullet.setPhysicsEngineParameter(
            fixedTimeStep=TIME_STEP,
            numSubSteps=SUB_STEPS,
            numSolverIterations=_SOLVER_ITERATIONS,
            deterministicOverlappingPairs=1,
            physicsClientId=client,
        )
        plane = bullet.createCollisionShape(bullet.GEOM_PLANE, planeNormal=(0, 0, 1), physicsClientId=client)
        self._floor = bullet.createMultiBody(0.0, plane, physicsClientId=client)
        bullet.changeDynamics(self._floor, -1, lateralFriction=FLOOR_FRICTION, physicsClientId=client)
        self._body = self._load_body(morphology)
        # Only the robot and the floor can meet. So it is without this, but Bullet has fewer pairs to look at.
        bullet.setCollisionFilterGroupMask(self._floor, -1, 1, 2, physicsClientId=client)
        for link in range(-1, bullet.getNumJoints(self._body, physicsClientId=client)):
            bullet.setCollisionFilterGroupMask(self._body, link, 2, 1, physicsClientId=client)
        for joint in self.JOINTS:
            # Bullet's joints come with a motor that brakes them.
            bullet.setJointMotorControl2(self._body, joint, bullet.POSITION_CONTROL, force=0.0, physicsClientId=client)
        self._start = bullet.saveState(physicsClientId=client)
        self._loaded = morphology

    @abstractmethod
    def _load_body(self, morphology: Morphology) -> int:
        """Put a body into the simulation: Bullet's number of it."""


class ExactRobot(Robot):
    """The robot as the original loads it, in 20 links beside the torso."""

    JOINTS = (1, 3, 6, 8, 11, 13, 16, 18)
    FEET = (4, 9, 14, 19)
    _LINKS = tuple(range(20))

    def read(self) -> list[float]:
        reading = super().read()
        links = self._bullet.getLinkStates(self._body, self._LINKS, physicsClientId=self._client)
        places = [link[0] for link in links]
        # The rounding of the mean depends on the order: the original has the torso second and the floor last.
        places.insert(1, tuple(reading[POSITION]))
        places.append((0.0, 0.0, 0.0))
        return [*reading, *[place[0] for place in places], *[place[1] for place in places]]

    @staticmethod
    def mean_places(readings: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        places: np.ndarray = readings[:, _PARTS].reshape(-1, 2, PARTS).mean(axis=2)
        return places

    def _load_body(self, morphology: Morphology) -> int:
        with _model_file(exact_mjcf(morphology), ".xml") as path:
            bodies: tuple[int] = self._bullet.loadMJCF(path, physicsClientId=self._client)
        return bodies[0]


class MergedRobot(Robot):
    """The robot with its fixed links merged, in 8 links beside the torso; where its parts are is computed."""

    JOINTS = (0, 1, 2, 3, 4, 5, 6, 7)
    FEET = (1, 3, 5, 7)

    @staticmethod
    def mean_places(readings: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        # As the exact robot's parts are seen: all but the torso where they were one sub-step ago.
        lag = TIME_STEP / SUB_STEPS
        moved = lag * readings[:, VELOCITY]
        seen = Pose(
            position=readings[:, POSITION] - moved,
            quaternion=turned(readings[:, QUATERNION], -lag * readings[:, _SPIN]),
            angles=readings[:, ANGLES] - lag * readings[:, RATES],
            lengths=lengths,
        )
        return mean_place(seen) + moved[:, :2] / PARTS

    def _load_body(self, morphology: Morphology) -> int:
        with _model_file(merged_urdf(morphology), ".urdf") as path:
            body: int = self._bullet.loadURDF(
                path,
                basePosition=(0.0, 0.0, START_HEIGHT),
                flags=self._bullet.URDF_USE_INERTIA_FROM_FILE,
                physicsClientId=self._client,
            )
        return body


@contextmanager
def _model_file(text: str, suffix: str) -> Iterator[str]:
    """The path of a file with this text: PyBullet reads models from nothing else."""
    with tempfile.NamedTemporaryFile("w", suffix=suffix) as file, undone(functools.partial(os.unlink, file.name)):
        file.write(text)
        file.flush()
        yield file.name
