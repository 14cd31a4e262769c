"""The quadruped in MuJoCo: the whole batch of lives advances in one call of the C library.

Masses, inertias, frictions, torques and times are those of the robot in Bullet. What differs: an ankle
accelerates twice as fast under the same torque (Bullet's does not normalise the axis), joint limits push back
at any depth, and nothing drags the links. So agents do not carry over: a gait found in one loses half of its
speed or more in the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import mujoco
import numpy as np
from mujoco import rollout

from metahebb.worlds import BODY, Condition
from metahebb.worlds.quadruped.kinematics import Pose, leg_lengths, mean_place, roll_pitch_yaw, sole_heights
from metahebb.worlds.quadruped.life import SETTLING_STEPS
from metahebb.worlds.quadruped.morphology import STANDARD, Morphology, parse_morphology
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

__all__ = ["HUGE", "TOUCH", "MujocoQuadruped"]

TOUCH = 0.01  # m: a sole so near touches the floor; Bullet's contacts too begin before the surfaces meet
HUGE = 1e10  # MuJoCo's own bound for a number that has diverged

# A life's state: the time, then the positions and the velocities of the joints, the torso's first.
_POSITIONS, _VELOCITIES = slice(1, 16), slice(16, 30)


class MujocoQuadruped:
    """A simulator of ``slots`` lives of the quadruped, each in a body of its own.

    ``threads`` step them beside the one that calls; their number changes no result.
    """

    observation_space = OBSERVATION_SPACE
    action_space = ACTION_SPACE
    conditions: Mapping[str, Condition] = MappingProxyType(
        {
            "friction": Condition("The floor's friction, as a factor", least=0),
            "motor-strength": Condition("The motors' torque, as a factor", least=0),
            "side-force": Condition("A force on the torso to the robot's left at the start (+y), newtons", 0.0),
            BODY: Condition("The body, such as front-left=1.0,0.25", 0.0),
        }
    )

    def __init__(self, slots: int, threads: int = 0) -> None:
        self.slots = slots
        standard = mujoco_model(STANDARD)
        size = mujoco.mj_stateSize(standard, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        self._rollout = rollout.Rollout(nthread=threads)
        self._scratch = [mujoco.MjData(standard) for _ in range(max(1, threads))]
        self._morphologies = [STANDARD] * slots
        self._models = [standard] * slots
        self._friction, self._strength, self._side_force = np.ones(slots), np.ones(slots), np.zeros(slots)
        self._lengths = np.tile(leg_lengths(STANDARD), (slots, 1, 1))
        self._states = np.zeros((slots, size))
        self._feet = np.zeros((slots, 4), bool)
        self._potentials = np.zeros(slots)
        self._cameras = Cameras()

    def reset(self, slot: int, seed: int, morphology: Morphology = STANDARD) -> np.ndarray:
        """Begin a life: its first observation, float32 [28], a function of seed and morphology alone."""
        self._friction[slot] = self._strength[slot] = 1.0
        self._side_force[slot] = 0.0
        self._take_body(slot, morphology)
        self._states[slot] = 0.0
        self._states[slot, _POSITIONS] = [0.0, 0.0, START_HEIGHT, 1.0, 0.0, 0.0, 0.0, *start_angles(seed)]
        self._feet[slot] = False
        observation: np.ndarray = self._sense(np.array([slot]))[0]
        return observation

    def set_condition(self, slot: int, name: str, value: float | str) -> None:
        """Change one of ``conditions`` for the rest of a slot's life; another body is in the pose of the one before."""
        if name == BODY:
            assert isinstance(value, str)
            self._take_body(slot, parse_morphology(value))
            return
        values = {"friction": self._friction, "motor-strength": self._strength, "side-force": self._side_force}
        values[name][slot] = value
        self._take_body(slot, self._morphologies[slot])

    def _take_body(self, slot: int, morphology: Morphology) -> None:
        self._morphologies[slot] = morphology
        self._models[slot] = mujoco_model(morphology, float(self._friction[slot]), float(self._strength[slot]))
        self._lengths[slot] = leg_lengths(morphology)

    def settle(self, *slots: int) -> None:
        """Take ``SETTLING_STEPS`` steps with an action of zero, looking at none of them."""
        settling, torques = np.array(slots), np.zeros((len(slots), ACTIONS))
        for _ in range(SETTLING_STEPS):
            self._simulate(settling, torques)
        with np.errstate(invalid="ignore", over="ignore"):
            self._sense(settling)

    def placed(self, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The joints' positions and velocities of lives, the torso's first, and which of their feet touch the floor:
        float64 [n, 15], float64 [n, 14] and bool [n, 4].
        """
        states = self._states[slots]
        return states[:, _POSITIONS], states[:, _VELOCITIES], self._feet[slots]

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance the lives in ``slots`` (int [n], each once) by ``actions`` [n, 8], clipped to ±1.

        Returns observations float32 [n, 28], progress float64 [n] and ended bool [n]: the robot has fallen,
        from which a life can go on, or its physics or its action is not finite, which makes the progress NaN.
        """
        sound = np.isfinite(actions).all(axis=1)
        before = self._potentials[slots]
        self._simulate(slots, np.where(sound[:, None], actions, 0.0))
        # MuJoCo was told to leave diverged numbers as they are. NaN compares as false.
        sound &= (np.abs(self._states[slots]) < HUGE).all(axis=1)
        with np.errstate(invalid="ignore", over="ignore"):
            observations = self._sense(slots)
            progress = self._potentials[slots] - before
        return observations, np.where(sound, progress, np.nan), has_fallen(observations) | ~sound

    def _simulate(self, slots: np.ndarray, actions: np.ndarray) -> None:
        """One step of the physics, the actions held over its sub-steps."""
        controls = np.repeat(actions[:, None].astype(np.float64), SUB_STEPS, axis=1)
        spec = int(mujoco.mjtState.mjSTATE_CTRL)
        if self._side_force[slots].any():
            # Forces and torques on every body in turn; the torso is the first after the world.
            forces = np.zeros((len(slots), SUB_STEPS, 6 * self._models[0].nbody))
            forces[:, :, 6 + 1] = self._side_force[slots, None]
            controls = np.concatenate([controls, forces], axis=2)
            spec |= int(mujoco.mjtState.mjSTATE_XFRC_APPLIED)
        trajectories = np.empty((len(slots), SUB_STEPS, self._states.shape[1]))
        # Nothing but the states carries over, the solver starts cold at each call: so a life is the same
        # beside any others. The model clips the actions.
        self._rollout.rollout(
            [self._models[slot] for slot in slots],
            self._scratch,
            self._states[slots],
            controls,
            control_spec=spec,
            skip_checks=True,
            nstep=SUB_STEPS,
            state=trajectories,
        )
        self._states[slots] = trajectories[:, -1]

    def _sense(self, slots: np.ndarray) -> np.ndarray:
        """The observations of lives; what the next step needs of this one is kept."""
        states = self._states[slots]
        positions, velocities = states[:, _POSITIONS], states[:, _VELOCITIES]
        pose = Pose(positions[:, :3], positions[:, [4, 5, 6, 3]], positions[:, 7:], self._lengths[slots])
        reading = Reading(
            position=pose.position,
            roll_pitch_yaw=roll_pitch_yaw(pose.quaternion),
            velocity=velocities[:, :3],
            angles=pose.angles,
            rates=velocities[:, 6:],
            centre=mean_place(pose),
        )
        observations = observe(reading, self._feet[slots])
        self._potentials[slots] = potential(reading.centre)
        self._feet[slots] = sole_heights(pose) < TOUCH
        return observations

    def render(self, slot: int) -> np.ndarray:
        """The life in a slot as a picture, uint8 [480, 640, 3], from a camera that follows the robot."""
        return self._cameras.picture(self._morphologies[slot], self._states[slot, _POSITIONS])

    def close(self) -> None:
        """Free the simulator; harmless when called twice."""
        self._cameras.close()
        self._rollout.close()
