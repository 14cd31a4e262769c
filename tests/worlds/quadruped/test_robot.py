"""The description of the robot against what the two simulators make of it."""

import mujoco
import numpy as np
import pytest

from metahebb.worlds.quadruped import STANDARD, BulletQuadruped, Leg, Morphology
from metahebb.worlds.quadruped.mujoco_model import mujoco_model
from metahebb.worlds.quadruped.robot import JOINT_HIGH, JOINT_LOW, leg_parts, trunk

BODIES = [
    STANDARD,
    Morphology(Leg(0.3, 1.7), Leg(2.5, 0.1), Leg(1.0, 4.0), Leg(0.8, 0.25)),
]


@pytest.fixture(scope="module")
def bullet():
    return pytest.importorskip("pybullet", reason="PyBullet has no wheels for this platform")


@pytest.mark.parametrize("morphology", BODIES)
def test_masses_and_inertias_are_those_of_bullets_importer(bullet, morphology):
    world = BulletQuadruped(1)
    world.reset(0, seed=0, morphology=morphology)
    robot = world._robots[0]

    def dynamics(link):
        mass, _, inertia, centre = bullet.getDynamicsInfo(robot._body, link, robot._client)[:4]
        return [mass, *inertia, *centre]

    solids = {4 * leg + leg + offset: leg_parts(morphology, leg) for leg in range(4) for offset in (0, 2, 4)}
    for link, parts in solids.items():
        solid = (parts.stub, parts.upper, parts.lower)[link % 5 // 2]
        assert dynamics(link) == pytest.approx([solid.mass, *solid.inertia, *solid.centre], rel=1e-6)
    # The trunk is the torso and the stubs: without these, by the parallel-axis theorem, the torso is left.
    whole = trunk(morphology)
    stubs = [leg_parts(morphology, leg).stub for leg in range(4)]
    torso = dynamics(-1)
    assert torso[0] == pytest.approx(whole.mass - sum(stub.mass for stub in stubs))
    assert torso[1] == pytest.approx(whole.inertia[0] - sum(s.inertia[0] + s.mass * 0.1**2 for s in stubs))
    assert torso[3] == pytest.approx(whole.inertia[2] - sum(s.inertia[2] + s.mass * 0.02 for s in stubs))
    world.close()


@pytest.mark.parametrize("morphology", BODIES)
def test_the_merged_robot_weighs_what_the_description_says(bullet, morphology):
    world = BulletQuadruped(1, merged=True)
    world.reset(0, seed=0, morphology=morphology)
    robot = world._robots[0]
    solids = [trunk(morphology)]
    for leg in range(4):
        solids += [leg_parts(morphology, leg).upper, leg_parts(morphology, leg).lower]
    for link, solid in enumerate(solids, start=-1):
        mass, friction, inertia, centre = bullet.getDynamicsInfo(robot._body, link, robot._client)[:4]
        assert [mass, *inertia, *centre] == pytest.approx([solid.mass, *solid.inertia, *solid.centre])
        assert friction == 1.5
    assert bullet.getNumJoints(robot._body, robot._client) == 8
    world.close()


def test_joint_limits_are_bullets_to_the_bit(bullet):
    world = BulletQuadruped(1)
    world.reset(0, seed=0)
    robot = world._robots[0]
    limits = [bullet.getJointInfo(robot._body, joint, robot._client)[8:10] for joint in robot.JOINTS]
    assert np.array_equal(np.array(limits).T, [JOINT_LOW, JOINT_HIGH])
    world.close()


@pytest.mark.parametrize("morphology", BODIES)
def test_mujoco_compiles_the_description(morphology):
    model = mujoco_model(morphology)
    solids = [trunk(morphology)]
    for leg in range(4):
        solids += [leg_parts(morphology, leg).upper, leg_parts(morphology, leg).lower]
    assert model.nbody == 1 + len(solids)
    for body, solid in enumerate(solids, start=1):
        # MuJoCo sorts the moments and turns the frame to match; turned back, they are the description's.
        turn = np.empty(9)
        mujoco.mju_quat2Mat(turn, model.body_iquat[body])
        turn = turn.reshape(3, 3)
        inertia = turn @ np.diag(model.body_inertia[body]) @ turn.T
        assert inertia == pytest.approx(np.diag(solid.inertia), abs=1e-9)
        assert model.body_mass[body] == pytest.approx(solid.mass)
        assert model.body_ipos[body] == pytest.approx(solid.centre)
    np.testing.assert_allclose(model.jnt_range[1:].T, [JOINT_LOW, JOINT_HIGH], rtol=1e-6)
    assert not model.dof_damping.any()
    assert not model.dof_armature.any()


def test_the_standard_robot_weighs_182_kilograms():
    assert mujoco_model(STANDARD).body_mass.sum() == pytest.approx(182.176, abs=1e-3)
