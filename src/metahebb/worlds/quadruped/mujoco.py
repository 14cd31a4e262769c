"""The quadruped in MuJoCo: the whole batch of lives advances in one call of the C library.

Masses, inertias, friction, torques and times are those of Bullet's robot. What differs: the ankle moves at the speed
that it reports (in Bullet at 0.7 of it), joint limits push back at any depth, and there is no drag on the links. A policy
evolved in one of the two simulators loses about half of its speed in the other.
"""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco import rollout

from metahebb.worlds.quadruped.kinematics import Pose, leg_lengths, mean_place, roll_pitch_yaw, sole_heights
from metahebb.worlds.quadruped.life import SETTLING_STEPS
from metahebb.worlds.quadruped.morphology import STANDARD, Morphology
from metahebb.worlds.quadruped.mujoco_model import mujoco_model
from metahebb.worlds.quadruped.observation import (
    ACTION_SPACE,
    OBSERVATION_SPACE,
    Reading,
    has_fallen,
    observe,
    potential,
)
from metahebb.worlds.quadruped.rendering import Cameras
from metahebb.worlds.quadruped.robot import ACTIONS, START_HEIGHT, SUB_STEPS, start_angles

__all__ = ["MujocoQuadruped"]

_TOUCH = 0.01
"""A sole within this height (m) counts as touching, as Bullet's contacts reach a little beyond the surfaces."""

_HUGE = 1e10  # MuJoCo's own bound of a number that has diverged

_QPOS = slice(1, 16)  # of a state: time, then positions, then velocities
_QVEL = slice(16, 30)


class MujocoQuadruped:
    """A host world: ``slots`` lives of the quadruped, each of a morphology of its own."""

    observation_space = OBSERVATION_SPACE
    action_space = ACTION_SPACE

    def __init__(self, slots: int) -> None:
        standard = mujoco_model(STANDARD)
        self._morphologies = [STANDARD] * slots
        self._models = [standard] * slots
        self._data = mujoco.MjData(standard)
        self._rollout = rollout.Rollout(nthread=0)
        self._states = np.zeros((slots, mujoco.mj_stateSize(standard, mujoco.mjtState.mjSTATE_FULLPHYSICS)))
        self._lengths = np.tile(leg_lengths(STANDARD), (slots, 1, 1))
        self._feet = np.zeros((slots, 4), bool)
        self._potential = np.zeros(slots)
        self._cameras = Cameras()

    def reset(self, slot: int, seed: int, morphology: Morphology = STANDARD) -> np.ndarray:
        """Begin a life in a slot: its first observation, a function of the seed and the morphology alone."""
        self._morphologies[slot] = morphology
        self._models[slot] = mujoco_model(morphology)
        self._lengths[slot] = leg_lengths(morphology)
        state = self._states[slot]
        state[:] = 0.0
        state[_QPOS] = [0.0, 0.0, START_HEIGHT, 1.0, 0.0, 0.0, 0.0, *start_angles(seed)]
        self._feet[slot] = False
        observation, _ = self._sense(np.array([slot]))
        return observation[0]

    def settle(self, slot: int) -> None:
        """Take the first steps of a life with an action of zero, as ``SETTLING_STEPS`` calls of :meth:`step` would."""
        slots = np.array([slot])
        still = np.zeros((1, SUB_STEPS, ACTIONS))
        for _ in range(SETTLING_STEPS):
            self._advance(slots, still)
        self._sense(slots)

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance the lives in ``slots`` (int [n], each once) by ``actions`` [n, 8], clipped to ±1.

        Returns observations float32 [n, 28], progress float64 [n] and ended bool [n]: the robot fell, or its physics
        (or an action) is no longer finite, in which case its progress is NaN. A life can go on after a fall.
        """
        sound = np.isfinite(actions).all(axis=1)
        controls = np.where(sound[:, None], actions, 0.0).astype(np.float64)
        self._advance(slots, np.repeat(controls[:, None], SUB_STEPS, axis=1))
        # MuJoCo leaves a diverged state as it is; a comparison with NaN is false.
        sound &= (np.abs(self._states[slots]) < _HUGE).all(axis=1)
        before = self._potential[slots]
        with np.errstate(invalid="ignore", over="ignore"):
            observations, after = self._sense(slots)
        progress = np.where(sound, after - before, np.nan)
        return observations, progress, has_fallen(observations) | ~sound

    def _advance(self, slots: np.ndarray, controls: np.ndarray) -> None:
        """One step of the physics under controls [n, SUB_STEPS, 8]."""
        trajectory = np.empty((len(slots), SUB_STEPS, self._states.shape[1]))
        # Nothing but the state carries over from one step to the next: the solver starts cold at each, so that a life
        # is the same whatever the shared data last held.
        self._rollout.rollout(
            [self._models[slot] for slot in slots],
            [self._data],
            self._states[slots],
            controls,
            skip_checks=True,
            nstep=SUB_STEPS,
            state=trajectory,
        )
        self._states[slots] = trajectory[:, -1]

    def _sense(self, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The observations and potentials of lives; their feet and potentials are kept for the next step."""
        states = self._states[slots]
        qpos, qvel = states[:, _QPOS], states[:, _QVEL]
        pose = Pose(qpos[:, :3], qpos[:, [4, 5, 6, 3]], qpos[:, 7:], self._lengths[slots])
        centre = mean_place(pose)
        reading = Reading(pose.position, roll_pitch_yaw(pose.quaternion), qvel[:, :3], pose.angles, qvel[:, 6:], centre)
        observations = observe(reading, self._feet[slots])
        self._feet[slots] = sole_heights(pose) < _TOUCH
        self._potential[slots] = after = potential(centre)
        return observations, after

    def render(self, slot: int) -> np.ndarray:
        """The life in a slot as a picture, uint8 [480, 640, 3], from a camera that follows the robot."""
        return self._cameras.picture(self._morphologies[slot], self._states[slot, _QPOS])

    def close(self) -> None:
        """Free the simulator; harmless when called twice."""
        self._cameras.close()
        self._rollout.close()
