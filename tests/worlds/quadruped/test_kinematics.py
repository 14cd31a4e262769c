"""Places of the parts against MuJoCo's own kinematics, in any pose and body."""

import mujoco
import numpy as np
import pytest

from metahebb.worlds.quadruped import STANDARD, Leg, Morphology
from metahebb.worlds.quadruped.kinematics import (
    Pose,
    leg_lengths,
    mean_place,
    roll_pitch_yaw,
    sole_heights,
    turned,
)
from metahebb.worlds.quadruped.mujoco_model import mujoco_model

BODIES = [STANDARD, Morphology(Leg(0.3, 1.7), Leg(2.5, 0.1), Leg(1.0, 4.0), Leg(0.8, 0.25))]
POSES = 50


def posed(morphology, seed):
    """Random poses, and MuJoCo's data of each."""
    random = np.random.default_rng(seed)
    model = mujoco_model(morphology)
    quaternions = random.normal(size=(POSES, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    pose = Pose(
        position=random.normal(size=(POSES, 3)),
        quaternion=quaternions,
        angles=random.uniform(-2, 2, (POSES, 8)),
        lengths=np.tile(leg_lengths(morphology), (POSES, 1, 1)),
    )
    datas = []
    for position, (x, y, z, w), angles in zip(pose.position, quaternions, pose.angles, strict=True):
        data = mujoco.MjData(model)
        data.qpos[:] = [*position, w, x, y, z, *angles]
        mujoco.mj_kinematics(model, data)
        datas.append(data)
    return pose, datas


@pytest.mark.parametrize("morphology", BODIES)
def test_the_mean_place_is_that_of_the_22_parts(morphology):
    pose, datas = posed(morphology, seed=1)
    # Bodies: the world, the torso, then each leg's upper and lower segment. Geoms: the floor, the sphere,
    # four stubs, then as the bodies. A part is a geom's middle or a joint's place, its body's origin.
    expected = [
        np.concatenate([data.geom_xpos[1:], data.xpos[2:], np.zeros((1, 3))])[:, :2].mean(axis=0) for data in datas
    ]
    assert len(datas[0].geom_xpos[1:]) + len(datas[0].xpos[2:]) + 1 == 22
    assert mean_place(pose) == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize("morphology", BODIES)
def test_a_sole_is_the_lowest_point_of_the_foots_capsule(morphology):
    pose, datas = posed(morphology, seed=2)
    model = mujoco_model(morphology)
    feet = [model.body_geomadr[body] for body in (3, 5, 7, 9)]
    expected = []
    for data in datas:
        half = [data.geom_xmat[foot].reshape(3, 3)[2, 2] * model.geom_size[foot, 1] for foot in feet]
        expected.append(data.geom_xpos[feet, 2] - np.abs(half) - 0.08)
    assert sole_heights(pose) == pytest.approx(np.array(expected), abs=1e-12)


def test_roll_pitch_yaw_turn_back_into_the_rotation():
    pose, datas = posed(STANDARD, seed=3)
    for (roll, pitch, yaw), data in zip(roll_pitch_yaw(pose.quaternion), datas, strict=True):
        quaternion, matrix = np.empty(4), np.empty(9)
        mujoco.mju_euler2Quat(quaternion, np.array([roll, pitch, yaw]), "XYZ")  # about the world's axes, in turn
        mujoco.mju_quat2Mat(matrix, quaternion)
        assert matrix == pytest.approx(data.xmat[1], abs=1e-9)


def test_turned_integrates_a_small_rotation():
    pose, _ = posed(STANDARD, seed=4)
    small = np.random.default_rng(0).normal(size=(POSES, 3)) * 1e-3
    for before, rotation, after in zip(pose.quaternion, small, turned(pose.quaternion, small), strict=True):
        x, y, z, w = before
        step, expected = np.empty(4), np.empty(4)
        mujoco.mju_axisAngle2Quat(step, rotation / np.linalg.norm(rotation), np.linalg.norm(rotation))
        mujoco.mju_mulQuat(expected, step, np.array([w, x, y, z]))
        assert after == pytest.approx(np.roll(expected, -1), abs=1e-9)
