"""The quadruped in Bullet: AntBulletEnv-v0 bit for bit, over PyBullet alone.

Bullet's peculiarities are part of this world. An ankle's axis has the length √2, which nothing normalises:
the dynamics take the ankle to turn √2 times as fast as its angle changes, and a torque accelerates it half as
much. The joints start outside of their limits, which stop a movement but do not push back from deeper than
0.04 rad. The links are dragged (0.04, linear and quadratic), and their places are seen one sub-step late.
"""

from __future__ import annotations

import numpy as np

from metahebb.worlds.quadruped.bullet_robot import (
    ANGLES,
    POSITION,
    QUATERNION,
    RATES,
    ROLL_PITCH_YAW,
    VELOCITY,
    ExactRobot,
    MergedRobot,
    Robot,
    import_pybullet,
)
from metahebb.worlds.quadruped.kinematics import leg_lengths
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
from metahebb.worlds.quadruped.robot import ACTIONS, TORQUE, start_angles

__all__ = ["BulletQuadruped"]


class BulletQuadruped:
    """A simulator of ``slots`` lives of the quadruped, each in a simulation of its own (about 30 MB).

    ``merged`` is the same robot with its fixed links merged into those that carry them: faster, no longer the
    same bits, and for training only. Published numbers are measured on the exact one.
    """

    observation_space = OBSERVATION_SPACE
    action_space = ACTION_SPACE

    def __init__(self, slots: int, *, merged: bool = False) -> None:
        """Open the simulations; without PyBullet, ``ImportError`` names the remedy."""
        bullet = import_pybullet()
        self._kind: type[Robot] = MergedRobot if merged else ExactRobot
        self._robots = [self._kind(bullet) for _ in range(slots)]
        self._morphologies = [STANDARD] * slots
        self._lengths = np.tile(leg_lengths(STANDARD), (slots, 1, 1))
        self._feet = np.zeros((slots, 4), bool)
        self._potentials = np.zeros(slots)
        self._cameras = Cameras()

    def reset(self, slot: int, seed: int, morphology: Morphology = STANDARD) -> np.ndarray:
        """Begin a life: its first observation, float32 [28], a function of seed and morphology alone.

        A slot that changes its morphology loads its simulation anew, which takes a few milliseconds.
        """
        self._robots[slot].begin(morphology, start_angles(seed))
        self._morphologies[slot] = morphology
        self._lengths[slot] = leg_lengths(morphology)
        self._feet[slot] = False
        observations, _ = self._sense(np.array([slot]))
        observation: np.ndarray = observations[0]
        return observation

    def settle(self, slot: int) -> None:
        """Take ``SETTLING_STEPS`` steps with an action of zero, looking at none of them."""
        for _ in range(SETTLING_STEPS):
            self._robots[slot].simulate([0.0] * ACTIONS)
        with np.errstate(invalid="ignore", over="ignore"):
            self._sense(np.array([slot]))

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance the lives in ``slots`` (int [n], each once) by ``actions`` [n, 8], clipped to ±1.

        Returns observations float32 [n, 28], progress float64 [n] and ended bool [n]: the robot has fallen,
        from which a life can go on, or its physics or its action is not finite, which makes the progress NaN.
        """
        sound = np.isfinite(actions).all(axis=1)
        # In double precision before the product: 250 × a float32 would be rounded once more.
        torques = TORQUE * np.clip(np.where(sound[:, None], actions, 0.0).astype(np.float64), -1.0, 1.0)
        before = self._potentials[slots]
        for slot, torque in zip(slots, torques.tolist(), strict=True):
            self._robots[slot].simulate(torque)
        with np.errstate(invalid="ignore", over="ignore"):
            observations, finite = self._sense(slots)
            progress = self._potentials[slots] - before
        sound &= finite
        for slot in slots[~finite]:
            self._robots[slot].abandon()
        return observations, np.where(sound, progress, np.nan), has_fallen(observations) | ~sound

    def _sense(self, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The observations of lives, and which are finite; what the next step needs of this one is kept."""
        readings = np.array([self._robots[slot].read() for slot in slots])
        reading = Reading(
            position=readings[:, POSITION],
            roll_pitch_yaw=readings[:, ROLL_PITCH_YAW],
            velocity=readings[:, VELOCITY],
            angles=readings[:, ANGLES],
            rates=readings[:, RATES],
            centre=self._kind.mean_places(readings, self._lengths[slots]),
        )
        observations = observe(reading, self._feet[slots])
        self._potentials[slots] = potential(reading.centre)
        self._feet[slots] = [self._robots[slot].touching() for slot in slots]
        return observations, np.isfinite(readings).all(axis=1)

    def render(self, slot: int) -> np.ndarray:
        """The life in a slot as a picture, uint8 [480, 640, 3], from a camera that follows the robot."""
        reading = np.array(self._robots[slot].read())
        x, y, z, w = reading[QUATERNION]
        qpos = np.array([*reading[POSITION], w, x, y, z, *reading[ANGLES]])
        return self._cameras.picture(self._morphologies[slot], qpos)

    def close(self) -> None:
        """Free the simulations; harmless when called twice."""
        self._cameras.close()
        while self._robots:
            self._robots.pop().close()
