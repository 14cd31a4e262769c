"""The quadruped in Bullet: AntBulletEnv-v0 bit for bit, over PyBullet alone.

Bullet's peculiarities are part of this world. The ankle's axis has the length √2 and is not normalised, so that an
ankle moves at 0.7 of the speed it reports. The joints start outside of their limits, which stop a movement but do not
push back from deeper than 0.04 rad. The links are dragged (0.04, linear and quadratic), and their poses lag the torso's
by one sub-step.

``merged`` is the same robot with its fixed links merged into those that carry them: much faster, no longer the same
bits, and for training only. Published numbers are measured on the exact one.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np

from metahebb.worlds.quadruped.bullet_model import exact_mjcf, merged_urdf
from metahebb.worlds.quadruped.kinematics import PARTS, Pose, leg_lengths, mean_place
from metahebb.worlds.quadruped.life import SETTLING_STEPS
from metahebb.worlds.quadruped.morphology import STANDARD, Morphology
from metahebb.worlds.quadruped.observation import (
    ACTION_SPACE,
    OBSERVATION_SPACE,
    Reading,
    has_fallen,
    observe,
    potential,
)
from metahebb.worlds.quadruped.rendering import Cameras
from metahebb.worlds.quadruped.robot import (
    ACTIONS,
    FLOOR_FRICTION,
    GRAVITY,
    START_HEIGHT,
    SUB_STEPS,
    TIME_STEP,
    TORQUE,
    start_angles,
)

__all__ = ["BulletQuadruped"]

_SOLVER_ITERATIONS = 5
_CONTACT_ERP = 0.9
_FLOOR_RESTITUTION = 0.5  # without effect: the robot's is 0, and Bullet multiplies the two

# A robot's reading, one row of numbers: the torso's place, quaternion (x, y, z, w), roll-pitch-yaw and velocity, then
# the joints' angles and rates. The exact robot's goes on with its parts' x and y.
_PLACE, _QUATERNION, _ANGLES_OF_TORSO, _VELOCITY = slice(0, 3), slice(3, 7), slice(7, 10), slice(10, 13)
_ANGLES, _RATES, _PART_PLACES = slice(13, 21), slice(21, 29), slice(29, None)


class BulletQuadruped:
    """A host world: ``slots`` lives of the quadruped, each in a simulation of its own (about 30 MB)."""

    observation_space = OBSERVATION_SPACE
    action_space = ACTION_SPACE

    def __init__(self, slots: int, *, merged: bool = False) -> None:
        """Open the simulations; without PyBullet, ``ImportError`` names the remedy."""
        bullet = _pybullet()
        kind = _MergedRobot if merged else _ExactRobot
        self._robots = [kind(bullet) for _ in range(slots)]
        self._centres = kind.centres
        self._lengths = np.tile(leg_lengths(STANDARD), (slots, 1, 1))
        self._feet = np.zeros((slots, 4), bool)
        self._potential = np.zeros(slots)
        self._cameras = Cameras()

    def reset(self, slot: int, seed: int, morphology: Morphology = STANDARD) -> np.ndarray:
        """Begin a life in a slot: its first observation, a function of the seed and the morphology alone.

        A slot whose morphology changes loads its simulation anew, which takes 2.5 ms.
        """
        self._robots[slot].begin(morphology, start_angles(seed))
        self._lengths[slot] = leg_lengths(morphology)
        self._feet[slot] = False
        observations, _, _ = self._sense(np.array([slot]))
        self._feet[slot] = False  # as in the original, which looks for contacts after a step only
        return observations[0]

    def settle(self, slot: int) -> None:
        """Take the first steps of a life with an action of zero, as ``SETTLING_STEPS`` calls of :meth:`step` would."""
        for _ in range(SETTLING_STEPS):
            self._robots[slot].advance([0.0] * ACTIONS)
        self._sense(np.array([slot]))

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance the lives in ``slots`` (int [n], each once) by ``actions`` [n, 8], clipped to ±1.

        Returns observations float32 [n, 28], progress float64 [n] and ended bool [n]: the robot fell, or its physics
        (or an action) is no longer finite, in which case its progress is NaN. A life can go on after a fall.
        """
        sound = np.isfinite(actions).all(axis=1)
        # In double precision before the product: 250 × a float32 would be rounded once more.
        torques = TORQUE * np.clip(np.where(sound[:, None], actions, 0.0).astype(np.float64), -1.0, 1.0)
        for slot, torque in zip(slots, torques.tolist(), strict=True):
            self._robots[slot].advance(torque)
        before = self._potential[slots]
        observations, after, finite = self._sense(slots)
        sound &= finite
        for slot in slots[~sound]:
            self._robots[slot].spoil()
        progress = np.where(sound, after - before, np.nan)
        return observations, progress, has_fallen(observations) | ~sound

    def _sense(self, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observations, potentials and whether all is finite; feet and potentials are kept for the next step."""
        readings = np.array([self._robots[slot].read() for slot in slots])
        finite = np.isfinite(readings).all(axis=1)
        with np.errstate(invalid="ignore", over="ignore"):
            centre = self._centres(readings, self._lengths[slots])
            observations = observe(
                Reading(
                    readings[:, _PLACE],
                    readings[:, _ANGLES_OF_TORSO],
                    readings[:, _VELOCITY],
                    readings[:, _ANGLES],
                    readings[:, _RATES],
                    centre,
                ),
                self._feet[slots],
            )
            self._potential[slots] = after = potential(centre)
        self._feet[slots] = [self._robots[slot].touching() for slot in slots]
        return observations, after, finite

    def render(self, slot: int) -> np.ndarray:
        """The life in a slot as a picture, uint8 [480, 640, 3], from a camera that follows the robot."""
        return self._cameras.picture(*self._robots[slot].pose())

    def close(self) -> None:
        """Free the simulations; harmless when called twice."""
        self._cameras.close()
        while self._robots:
            self._robots.pop().close()


class _ExactRobot:
    """One robot in a simulation of its own, as the original loads it."""

    LINKS = tuple(range(20))
    JOINTS = (1, 3, 6, 8, 11, 13, 16, 18)
    FEET = (4, 9, 14, 19)

    def __init__(self, bullet: ModuleType) -> None:
        self._bullet = bullet
        self._client = bullet.connect(bullet.DIRECT)
        if self._client < 0:
            raise RuntimeError("PyBullet opens no further simulation in this process: use fewer slots.")
        self._morphology: Morphology | None = None
        self._body = self._floor = self._start = -1

    def begin(self, morphology: Morphology, angles: np.ndarray) -> None:
        """Stand a body at the start, its joints at ``angles`` and all at rest."""
        bullet, client = self._bullet, self._client
        if morphology == self._morphology:
            bullet.restoreState(self._start, physicsClientId=client)
        else:
            self._load(morphology)
        for joint, angle in zip(self.JOINTS, angles.tolist(), strict=True):
            bullet.resetJointState(self._body, joint, angle, 0.0, physicsClientId=client)

    def spoil(self) -> None:
        """Give up a simulation that diverged: the next life begins in a fresh one."""
        self._morphology = None

    def advance(self, torques: list[float]) -> None:
        """One step under the joints' torques, held over its sub-steps."""
        bullet = self._bullet
        bullet.setJointMotorControlArray(
            self._body, self.JOINTS, bullet.TORQUE_CONTROL, forces=torques, physicsClientId=self._client
        )
        bullet.stepSimulation(physicsClientId=self._client)

    def read(self) -> list[float]:
        """The reading of this robot."""
        reading = self._read_joints()
        links = self._bullet.getLinkStates(self._body, self.LINKS, physicsClientId=self._client)
        places = [link[0] for link in links]
        # The original's order of the parts, which the rounding of their mean depends on: the first stub, the torso, the
        # other links, the floor.
        places.insert(1, reading[_PLACE])
        reading += [place[0] for place in places]
        reading.append(0.0)
        reading += [place[1] for place in places]
        reading.append(0.0)
        return reading

    @staticmethod
    def centres(readings: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The mean places float64 [n, 2] of the parts of n robots, from their readings and legs' lengths."""
        del lengths
        return readings[:, _PART_PLACES].reshape(-1, 2, PARTS).mean(axis=2)

    def touching(self) -> list[bool]:
        """Which feet touch the floor."""
        contacts = self._bullet.getContactPoints(self._body, self._floor, physicsClientId=self._client)
        links = {contact[3] for contact in contacts}
        return [foot in links for foot in self.FEET]

    def pose(self) -> tuple[Morphology, np.ndarray]:
        """The body and its configuration as MuJoCo has it, float64 [15]."""
        x, y, z, w = (reading := self._read_joints())[_QUATERNION]
        assert self._morphology is not None
        return self._morphology, np.array([*reading[_PLACE], w, x, y, z, *reading[_ANGLES]])

    def close(self) -> None:
        """Free the simulation."""
        self._bullet.disconnect(physicsClientId=self._client)

    def _read_joints(self) -> list[float]:
        bullet, body, client = self._bullet, self._body, self._client
        place, quaternion = bullet.getBasePositionAndOrientation(body, physicsClientId=client)
        velocity, _ = bullet.getBaseVelocity(body, physicsClientId=client)
        joints = bullet.getJointStates(body, self.JOINTS, physicsClientId=client)
        return [
            *place,
            *quaternion,
            *bullet.getEulerFromQuaternion(quaternion),
            *velocity,
            *[joint[0] for joint in joints],
            *[joint[1] for joint in joints],
        ]

    def _load(self, morphology: Morphology) -> None:
        """Make the simulation anew, with a body of this morphology, and remember its start."""
        bullet, client = self._bullet, self._client
        self._morphology = None
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
        plane = bullet.createCollisionShape(bullet.GEOM_PLANE, planeNormal=(0.0, 0.0, 1.0), physicsClientId=client)
        self._floor = bullet.createMultiBody(0.0, plane, physicsClientId=client)
        bullet.changeDynamics(
            self._floor,
            -1,
            lateralFriction=FLOOR_FRICTION,
            restitution=_FLOOR_RESTITUTION,
            physicsClientId=client,
        )
        with tempfile.TemporaryDirectory() as folder:
            self._body = self._load_robot(morphology, Path(folder))
        for joint in self.JOINTS:
            # Bullet's joints come with a motor that holds them.
            bullet.setJointMotorControl2(
                self._body, joint, bullet.POSITION_CONTROL, force=0.0, physicsClientId=client
            )
        self._start = bullet.saveState(physicsClientId=client)
        self._morphology = morphology

    def _load_robot(self, morphology: Morphology, folder: Path) -> int:
        file = folder / "quadruped.xml"
        file.write_text(exact_mjcf(morphology))
        bodies: tuple[int, ...] = self._bullet.loadMJCF(str(file), physicsClientId=self._client)
        return bodies[0]


class _MergedRobot(_ExactRobot):
    """The robot with its fixed links merged: its parts' places come from the joints."""

    JOINTS = tuple(range(8))
    FEET = (1, 3, 5, 7)

    def read(self) -> list[float]:
        return self._read_joints()

    @staticmethod
    def centres(readings: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        # The parts' poses lag by a sub-step in the exact robot.
        lag = TIME_STEP / SUB_STEPS
        place = readings[:, _PLACE] - lag * readings[:, _VELOCITY]
        angles = readings[:, _ANGLES] - lag * readings[:, _RATES]
        return mean_place(Pose(place, readings[:, _QUATERNION], angles, lengths))

    def _load_robot(self, morphology: Morphology, folder: Path) -> int:
        file = folder / "quadruped.urdf"
        file.write_text(merged_urdf(morphology))
        body: int = self._bullet.loadURDF(
            str(file),
            basePosition=(0.0, 0.0, START_HEIGHT),
            flags=self._bullet.URDF_USE_INERTIA_FROM_FILE,
            physicsClientId=self._client,
        )
        return body


def _pybullet() -> ModuleType:
    """PyBullet, or ``ImportError`` in one sentence."""
    try:
        import pybullet
    except ImportError as error:
        raise ImportError(
            "The world 'quadruped-bullet' needs PyBullet, which is not installed: pip install 'metahebb[bullet]' on Linux "
            "or macOS with Python 3.11 (PyBullet has no wheels for newer ones), or use the world 'quadruped'."
        ) from error
    bullet: ModuleType = pybullet
    return bullet
