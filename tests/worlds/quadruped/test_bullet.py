"""Bullet's world against AntBulletEnv-v0 itself."""

import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from metahebb.worlds.quadruped import (
    FRONT_LEFT_DAMAGED,
    FRONT_RIGHT_DAMAGED,
    SETTLING_STEPS,
    STANDARD,
    BulletQuadruped,
    parse_morphology,
)
from metahebb.worlds.quadruped.bullet_robot import ExactRobot, MergedRobot
from metahebb.worlds.quadruped.kinematics import leg_lengths

pybullet = pytest.importorskip("pybullet", reason="PyBullet has no wheels for this platform")
locomotion = pytest.importorskip("pybullet_envs_gymnasium.gym_locomotion_envs")
pybullet_data = pytest.importorskip("pybullet_data")

OWN = parse_morphology("front-left=1.0,0.5 back-right=0.8,1.0")

# What a body changes in the original's model file: (old, new) in turn.
EDITS = {
    STANDARD: [],
    FRONT_RIGHT_DAMAGED: [("0.0 0.4 -0.4 0.0", "0.0 0.1 -0.1 0.0")],
    FRONT_LEFT_DAMAGED: [("0.0 0.4 0.4 0.0", "0.0 0.1 0.1 0.0")],
    OWN: [
        ("0.0 0.4 0.4 0.0", "0.0 0.2 0.2 0.0"),
        ('-0.2 -0.2 0.0" name="back_leg_geom"', '-0.16 -0.16 0.0" name="back_leg_geom"'),
        ('pos="-0.2 -0.2 0" name="left_back_foot"', 'pos="-0.16 -0.16 0" name="left_back_foot"'),
    ],
}


@pytest.fixture
def original(request, tmp_path):
    """AntBulletEnv-v0 with the body asked for, after its first life, which starts without the floor."""
    model = (Path(pybullet_data.getDataPath()) / "mjcf" / "ant.xml").read_text()
    for old, new in EDITS[request.param]:
        assert model.count(old) == 1
        model = model.replace(old, new)
    (tmp_path / "ant.xml").write_text(model)
    env = locomotion.AntBulletEnv()
    env.robot.model_xml = str(tmp_path / "ant.xml")
    env.reset(seed=0)
    yield request.param, env
    env.close()


def actions_for(random, steps):
    """Smooth torques of changing strength, some beyond the bounds."""
    noise = random.normal(size=(steps, 8))
    for step in range(1, steps):
        noise[step] = 0.8 * noise[step - 1] + 0.6 * noise[step]
    return (noise * random.uniform(0.3, 1.2)).astype(np.float32)


@pytest.mark.parametrize("original", EDITS, indirect=True, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_whole_lives_are_the_originals_to_the_bit(original, seed):
    morphology, env = original
    world = BulletQuadruped(2)
    random = np.random.default_rng(seed)
    slot = seed % 2
    world.reset(slot, seed=99)  # what a slot held before leaves no trace
    world.step(np.array([slot]), np.ones((1, 8)))

    expected, _ = env.reset(seed=seed)
    observation = world.reset(slot, seed, morphology)
    assert observation.dtype == np.float32
    assert np.array_equal(observation, expected)
    touched = 0
    for action in actions_for(random, 1000):
        expected, _, done, _, _ = env.step(action)
        observations, progress, ended = world.step(np.array([slot]), action[None])
        assert np.array_equal(observations[0], expected)
        assert progress[0] == env.rewards[1]
        assert ended[0] == done
        touched += expected[24:].any()
    assert touched > 100  # the life had contacts to get right
    world.close()


@pytest.mark.parametrize("merged", [False, True])
def test_a_life_depends_neither_on_its_slot_nor_on_its_company(merged):
    actions = actions_for(np.random.default_rng(0), 300)
    alone, shared = BulletQuadruped(1, merged=merged), BulletQuadruped(4, merged=merged)
    company = np.random.default_rng(1)
    for slot, morphology in enumerate([OWN, FRONT_RIGHT_DAMAGED, OWN, STANDARD]):
        shared.reset(slot, seed=slot + 10, morphology=morphology)
    shared.settle(3)
    assert np.array_equal(alone.reset(0, 7, OWN), shared.reset(2, 7, OWN))
    for step, action in enumerate(actions):
        if step == 100:
            shared.reset(0, seed=5)
        slots = np.array([[2], [3, 2], [1, 0, 2, 3]][step % 3])
        mixed = company.uniform(-1, 1, (len(slots), 8)).astype(np.float32)
        mixed[slots == 2] = action
        expected = alone.step(np.array([0]), action[None])
        found = shared.step(slots, mixed)
        for one, many in zip(expected, found, strict=True):
            assert np.array_equal(one[0], many[slots == 2][0])
    alone.close()
    shared.close()


@pytest.mark.parametrize("merged", [False, True])
def test_settling_is_forty_steps_of_nothing(merged):
    world = BulletQuadruped(2, merged=merged)
    for slot in range(2):
        world.reset(slot, seed=3)
    world.settle(0)
    for _ in range(SETTLING_STEPS):
        world.step(np.array([1]), np.zeros((1, 8)))
    left, right = (np.array([part]) for part in (0, 1))
    action = np.full((1, 8), 0.5)
    for one, other in zip(world.step(left, action), world.step(right, action), strict=True):
        assert np.array_equal(one, other)
    world.close()


def test_the_merged_robot_sees_its_parts_where_the_exact_one_does():
    world = BulletQuadruped(1)
    world.reset(0, 3, OWN)
    lengths = leg_lengths(OWN)[None]
    for action in actions_for(np.random.default_rng(0), 300):
        world.step(np.array([0]), action[None])
        reading = np.array([world._robots[0].read()])
        seen = ExactRobot.mean_places(reading, lengths)
        assert MergedRobot.mean_places(reading, lengths) == pytest.approx(seen, abs=1e-6)
    world.close()


# Two gaits that walk, found by a random search: frequency (Hz), then for all joints the middle, the amplitude
# and the phase of the swing, on the scale of the observed angles.
GAITS = [
    [
        *(3.1, 0.57, 0.04, -0.59, -0.06, 0.21, 0.35, -0.47, -0.38, 1.12, 0.89, -0.34, 0.77, 0.65, 0.08, 1.16),
        *(0.66, 0.77, 0.07, 6.09, 1.0, 2.2, 5.42, 0.56, 3.01),
    ],
    [
        *(2.86, 0.4, -0.22, -0.68, -0.13, 0.41, 0.34, -0.3, -0.25, 1.12, 1.12, -0.39, 0.87, 0.91, 0.04, 1.33),
        *(0.85, 0.79, 0.15, 5.65, 1.57, 2.06, 5.84, 0.68, 3.42),
    ],
]


def scores(world, gait, morphology, lives=16, actions=240):
    """The progress of lives of a gait that feeds the joints' angles and rates back."""
    frequency, middle, amplitude, phase = gait[0], *np.array(gait[1:]).reshape(3, 8)
    slots = np.arange(lives)
    observations = np.stack([world.reset(slot, 100 + int(slot), morphology) for slot in slots])
    for slot in slots:
        world.settle(slot)
    total = np.zeros(lives)
    for action in range(actions):
        target = middle + amplitude * np.sin(2 * np.pi * frequency * 0.0165 * action + phase)
        torques = 2 * (target - observations[:, 8:24:2]) - 0.3 * observations[:, 9:24:2]
        observations, progress, _ = world.step(slots, torques)
        total += progress
    return total


def test_the_merged_robot_scores_policies_as_the_exact_one():
    exact, merged = BulletQuadruped(16), BulletQuadruped(16, merged=True)
    for gait, morphology in [(GAITS[0], STANDARD), (GAITS[1], STANDARD), (GAITS[1], FRONT_RIGHT_DAMAGED)]:
        one, other = scores(exact, gait, morphology), scores(merged, gait, morphology)
        error = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / len(one))
        assert abs(one.mean() - other.mean()) < 3 * error
        if morphology == STANDARD:
            assert one.mean() > 250  # it walks, so there is something to score
            assert error < 0.1 * one.mean()
    exact.close()
    merged.close()


def test_a_physics_that_diverges_ends_the_life_and_spoils_no_other():
    world, fresh = BulletQuadruped(2), BulletQuadruped(1)
    for slot in range(2):
        world.reset(slot, seed=slot)
    robot = world._robots[0]
    pybullet.resetBaseVelocity(robot._body, [np.nan] * 3, [0, 0, 0], physicsClientId=robot._client)
    observations, progress, ended = world.step(np.array([0, 1]), np.zeros((2, 8)))
    assert np.isnan(progress[0])
    assert np.isfinite(progress[1])
    assert ended.tolist() == [True, False]
    assert np.isfinite(observations[1]).all()
    assert np.array_equal(world.reset(0, seed=4), fresh.reset(0, seed=4))
    for action in actions_for(np.random.default_rng(0), 100):
        expected = fresh.step(np.array([0]), action[None])
        for one, other in zip(expected, world.step(np.array([0]), action[None]), strict=True):
            assert np.array_equal(one, other)
    world.close()
    fresh.close()


def test_a_robot_that_diverges_while_settling_does_so_silently():
    world = BulletQuadruped(1)
    world.reset(0, seed=0)
    robot = world._robots[0]
    # More than a float32 holds.
    pybullet.resetJointState(robot._body, robot.JOINTS[0], 1e40, 1e40, physicsClientId=robot._client)
    with warnings.catch_warnings(action="error"):
        world.settle(0)
    assert max(map(abs, robot.read())) > float(np.finfo(np.float32).max)
    world.close()


def test_an_action_that_is_not_finite_ends_the_life():
    world = BulletQuadruped(2)
    for slot in range(2):
        world.reset(slot, seed=slot)
    actions = np.zeros((2, 8), np.float32)
    actions[1, 3] = np.nan
    _, progress, ended = world.step(np.array([0, 1]), actions)
    assert np.isnan(progress).tolist() == ended.tolist() == [False, True]
    world.close()


def test_it_has_its_spaces_and_closes_twice():
    world = BulletQuadruped(2)
    observation = world.reset(1, seed=0)
    assert world.observation_space == gymnasium.spaces.Box(-5.0, 5.0, (28,), np.float32)
    assert observation in world.observation_space
    assert world.action_space == locomotion.AntBulletEnv().action_space
    world.close()
    world.close()


def test_without_pybullet_the_remedy_is_named():
    code = (
        "import sys; sys.modules['pybullet'] = None\n"
        "from metahebb.worlds.quadruped import BulletQuadruped\n"
        "BulletQuadruped(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "ImportError: Task 'quadruped-bullet' needs PyBullet" in done.stderr
    assert "pip install 'metahebb[bullet]'" in done.stderr
