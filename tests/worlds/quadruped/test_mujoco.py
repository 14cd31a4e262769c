"""MuJoCo's world: by itself, and against Bullet's, whose robot it is."""

import subprocess
import sys
import warnings

import mujoco
import numpy as np
import pytest

from metahebb.worlds.quadruped import (
    FRONT_LEFT_DAMAGED,
    FRONT_RIGHT_DAMAGED,
    SETTLING_STEPS,
    STANDARD,
    BulletQuadruped,
    MujocoQuadruped,
    parse_morphology,
)
from metahebb.worlds.quadruped.mujoco_model import mujoco_model

OWN = parse_morphology("front-left=1.0,0.5 back-right=0.8,1.0")
ONE = np.array([0])


@pytest.fixture
def bullet():
    pytest.importorskip("pybullet", reason="PyBullet has no wheels for this platform")
    world = BulletQuadruped(1)
    yield world
    world.close()


@pytest.mark.parametrize("morphology", [STANDARD, FRONT_RIGHT_DAMAGED, FRONT_LEFT_DAMAGED, OWN], ids=str)
def test_a_life_begins_with_bullets_observation(bullet, morphology):
    world = MujocoQuadruped(1)
    for seed in range(5):
        expected = bullet.reset(0, seed, morphology)
        observation = world.reset(0, seed, morphology)
        assert observation == pytest.approx(expected, abs=1e-6)
        assert observation.dtype == np.float32


def test_it_falls_and_turns_its_hips_as_in_bullet(bullet):
    """In the air, where contacts and limits have no say."""
    world = MujocoQuadruped(1)
    for joint in (0, 2, 4, 6):
        action = np.zeros((1, 8))
        action[0, joint] = 0.4
        results = []
        for robot in (bullet, world):
            robot.reset(0, seed=3)
            for _ in range(5):
                observations, progress, _ = robot.step(ONE, action)
            results.append((*observations[0, [0, 5, 8 + 2 * joint, 9 + 2 * joint]], progress[0]))
        assert results[1] == pytest.approx(results[0], rel=0.01, abs=2e-3)
        assert results[0][0] < -0.03  # it did fall
        assert results[0][3] > 0.2  # and turn


def test_bullets_ankles_accelerate_half_as_much(bullet):
    world = MujocoQuadruped(1)
    for ankle, lowering in ((1, 1), (7, 1)):
        action = np.zeros((1, 8))
        action[0, ankle] = 0.4 * lowering
        rates = []
        for robot in (bullet, world):
            robot.reset(0, seed=3)
            rates.append(robot.step(ONE, action)[0][0, 9 + 2 * ankle])
        assert rates[1] == pytest.approx(2 * rates[0], rel=0.02)


def test_it_comes_to_rest_where_bullets_robot_does(bullet):
    world = MujocoQuadruped(1)
    for seed in range(5):
        rest = []
        for robot in (bullet, world):
            robot.reset(0, seed)
            robot.settle(0)
            rest.append(robot.step(ONE, np.zeros((1, 8)))[0][0])
        assert rest[1][0] == pytest.approx(rest[0][0], abs=0.02)  # height
        assert rest[1][3:8] == pytest.approx(rest[0][3:8], abs=0.03)  # at rest, level
        assert rest[1][24:].tolist() == rest[0][24:].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("morphology", [STANDARD, OWN], ids=str)
def test_a_life_depends_neither_on_its_slot_nor_on_its_company(morphology):
    random, company = np.random.default_rng(0), np.random.default_rng(1)
    alone, shared = MujocoQuadruped(1), MujocoQuadruped(4)
    for slot, other in enumerate([OWN, FRONT_RIGHT_DAMAGED, OWN, STANDARD]):
        shared.reset(slot, seed=slot + 10, morphology=other)
    shared.settle(3)
    assert np.array_equal(alone.reset(0, 7, morphology), shared.reset(2, 7, morphology))
    for step in range(500):
        if step == 100:
            shared.reset(0, seed=5)
        slots = np.array([[2], [3, 2], [1, 0, 2, 3]][step % 3])
        actions = company.uniform(-1.2, 1.2, (len(slots), 8)).astype(np.float32)
        actions[slots == 2] = action = random.uniform(-1.2, 1.2, (1, 8)).astype(np.float32)
        for one, many in zip(alone.step(ONE, action), shared.step(slots, actions), strict=True):
            assert np.array_equal(one[0], many[slots == 2][0])


def test_settling_is_forty_steps_of_nothing():
    world = MujocoQuadruped(2)
    for seed in range(8):
        for slot in range(2):
            world.reset(slot, seed=seed)
        world.settle(0)
        for _ in range(SETTLING_STEPS):
            world.step(np.array([1]), np.zeros((1, 8)))
        assert np.array_equal(world._states[0], world._states[1])
        action = np.full((1, 8), 0.5)
        for one, other in zip(world.step(ONE, action), world.step(np.array([1]), action), strict=True):
            assert np.array_equal(one, other)


def test_progress_is_what_the_mean_of_the_parts_gained():
    """Over a life it sums to the way of the 22 parts, which is the torso's but for the legs."""
    world = MujocoQuadruped(1)
    world.reset(0, seed=1)
    random = np.random.default_rng(2)
    total = 0.0
    for _ in range(300):
        total += world.step(ONE, random.uniform(-1, 1, (1, 8)))[1][0]
    gained = world._states[0, 1] * 21 / 22 / 0.0165
    assert abs(gained) > 5
    assert total == pytest.approx(gained, abs=0.05 / 0.0165)


def test_feet_are_seen_on_the_floor_one_step_late():
    world = MujocoQuadruped(1)
    world.reset(0, seed=0)
    model = mujoco_model(STANDARD)
    data = mujoco.MjData(model)
    feet = [int(model.body_geomadr[body]) for body in (3, 5, 7, 9)]
    random = np.random.default_rng(3)
    touched, apart = np.zeros(4), np.zeros(4)
    for step in range(1500):
        if step % 15 == 0:
            action = random.choice([-1.0, 0.0, 1.0], (1, 8))
        data.qpos[:] = world._states[0, 1:16]
        mujoco.mj_forward(model, data)
        meeting = np.isin(feet, data.contact.geom[:, 1])
        observed = world.step(ONE, action)[0][0, 24:] == 1
        assert observed[meeting].all()
        touched += meeting
        apart += ~observed
    assert touched.min() > 100
    assert apart.min() > 100


def test_only_the_floor_is_touched_and_with_bullets_friction():
    model = mujoco_model(OWN)
    data = mujoco.MjData(model)
    random = np.random.default_rng(0)
    contacts = 0
    for step in range(2000):
        if step % 40 == 0:
            data.ctrl[:] = random.uniform(-1, 1, 8)
        mujoco.mj_step(model, data)
        floor = int(np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)[0])
        assert (data.contact.geom[:, 0] == floor).all()
        assert np.allclose(data.contact.friction[:, :2], 1.5 * 0.8)
        contacts += data.ncon
    assert contacts > 2000
    assert data.time == pytest.approx(500 * 0.0165)


def test_actions_are_clipped():
    world = MujocoQuadruped(2)
    for slot in range(2):
        world.reset(slot, seed=0)
    random = np.random.default_rng(0)
    for _ in range(20):
        action = random.choice([-1.0, 1.0], 8)
        observations, _, _ = world.step(np.array([0, 1]), np.stack([action, 7 * action]))
        assert np.array_equal(observations[0], observations[1])


def test_a_physics_that_diverges_ends_the_life_and_spoils_no_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log of its warnings
    world, fresh = MujocoQuadruped(3), MujocoQuadruped(1)
    for slot in range(3):
        world.reset(slot, seed=slot)
    world._states[0, 16:] = np.nan
    world._states[1, 16:] = 1e12
    observations, progress, ended = world.step(np.arange(3), np.zeros((3, 8)))
    assert np.isnan(progress).tolist() == ended.tolist() == [True, True, False]
    assert np.isfinite(observations[2]).all()
    assert np.array_equal(world.reset(0, seed=4), fresh.reset(0, seed=4))
    random = np.random.default_rng(0)
    for _ in range(100):
        action = random.uniform(-1, 1, (1, 8))
        for one, other in zip(fresh.step(ONE, action), world.step(ONE, action), strict=True):
            assert np.array_equal(one, other)


def test_a_robot_that_diverges_while_settling_does_so_silently(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log of its warnings
    world = MujocoQuadruped(1)
    world.reset(0, seed=0)
    world._states[0, 16:] = 1e40  # more than a float32 holds
    with warnings.catch_warnings(action="error"):
        world.settle(0)
    assert np.isnan(world.step(ONE, np.zeros((1, 8)))[1][0])


def test_an_action_that_is_not_finite_ends_the_life():
    world = MujocoQuadruped(2)
    for slot in range(2):
        world.reset(slot, seed=slot)
    actions = np.zeros((2, 8), np.float32)
    actions[1, 3] = np.nan
    _, progress, ended = world.step(np.array([0, 1]), actions)
    assert np.isnan(progress).tolist() == ended.tolist() == [False, True]


def test_it_has_its_spaces_and_closes_twice():
    world = MujocoQuadruped(2)
    assert world.reset(1, seed=0) in world.observation_space
    assert world.action_space.shape == (8,)
    world.close()
    world.close()


def test_importing_it_sets_no_environment_variable():
    code = "import os; before = dict(os.environ)\nimport metahebb.worlds.quadruped\nassert dict(os.environ) == before"
    subprocess.run([sys.executable, "-c", code], check=True)
