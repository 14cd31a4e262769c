"""CarRacing as Gymnasium's users see it."""

from __future__ import annotations

import re
import warnings

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.error import InvalidAction
from gymnasium.utils.env_checker import check_env

from metahebb.worlds.car_racing import ENV_ID, CarRacing, register
from metahebb.worlds.car_racing.gymnasium_env import CarRacingEnv

register()


@pytest.mark.parametrize("options", [{}, {"continuous": False}, {"domain_randomize": True}])
def test_gymnasiums_checker_is_content(options: dict[str, bool]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(ENV_ID, render_mode="rgb_array", **options).unwrapped)


def test_a_life_is_the_originals() -> None:
    ours, theirs = (gymnasium.make(name, render_mode="rgb_array") for name in (ENV_ID, "CarRacing-v3"))
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    frames = [ours.reset(seed=7)[0], theirs.reset(seed=7)[0]]
    for step in range(60):
        action = np.array([0.1, 0.5, 0.0], np.float32)
        frame, reward, *_ = ours.step(action)
        their_frame, their_reward, *_ = theirs.step(action)
        assert reward == pytest.approx(their_reward, abs=1e-4), step
    frames = [frame, their_frame]
    assert np.abs(frames[0].astype(int) - frames[1]).mean() <= 0.6
    pictures = [ours.render().astype(int), theirs.render()]
    assert pictures[0].shape == (400, 600, 3)
    # The original also draws skid marks here, and its smoothscale loses grey levels.
    assert (np.abs(pictures[0] - pictures[1]).max(-1) > 20).mean() <= 0.01
    # Without a seed the next track is the next of the same random numbers, as in the original.
    frames = [ours.reset()[0], theirs.reset()[0]]
    assert np.abs(frames[0].astype(int) - frames[1]).mean() <= 0.6


def test_the_step_limit_is_1000() -> None:
    env = gymnasium.make(ENV_ID)
    env.reset(seed=0)
    for step in range(1000):
        *_, terminated, truncated, _ = env.step(np.zeros(3, np.float32))
        assert not terminated
        assert truncated == (step == 999)


def test_vector_lives_are_single_lives_and_begin_again() -> None:
    vector = gymnasium.make_vec(ENV_ID, num_envs=3, max_episode_steps=20)
    single = gymnasium.make(ENV_ID)
    frames, _ = vector.reset(seed=5)
    rng = np.random.default_rng(0)
    actions = rng.uniform([-1, 0, 0], [1, 1, 0.2], (20, 3, 3)).astype(np.float32)
    for life in range(3):
        np.testing.assert_array_equal(single.reset(seed=5 + life)[0], frames[life])
    rewards = np.zeros((20, 3))
    for step in range(20):
        frames, rewards[step], terminated, truncated, _ = vector.step(actions[step])
        assert not terminated.any()
        assert truncated.all() == (step == 19)
    for life in range(3):
        single.reset(seed=5 + life)
        ours = [single.step(actions[step, life])[1] for step in range(20)]
        np.testing.assert_allclose(rewards[:, life], ours, atol=1e-4)
    frames, reward, terminated, truncated, _ = vector.step(actions[0])
    assert (reward == 0).all()
    assert not (terminated | truncated).any()
    for life in range(3):
        single.reset(seed=5 + life)
        np.testing.assert_array_equal(frames[life], single.reset()[0])


def test_bad_actions_are_named() -> None:
    env = gymnasium.make(ENV_ID).unwrapped
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match=r"^the action \[ 0. nan  0.\] is NaN in at least one place$"):
        env.step(np.array([0.0, np.nan, 0.0], np.float32))
    with pytest.raises(InvalidAction, match=r"shape \(2,\); it must be \(3,\)"):
        env.step(np.zeros(2, np.float32))
    vector = gymnasium.make_vec(ENV_ID, num_envs=3)
    vector.reset(seed=0)
    actions = np.zeros((3, 3), np.float32)
    with pytest.raises(InvalidAction, match=r"shape \(2, 3\); it must be \(3, 3\)"):
        vector.step(actions[:2])
    actions[1:, 2] = np.nan
    with pytest.raises(InvalidAction, match=r"^the actions of lives 1, 2 are NaN in at least one place$"):
        vector.step(actions)
    discrete = gymnasium.make(ENV_ID, continuous=False).unwrapped
    discrete.reset(seed=0)
    with pytest.raises(InvalidAction, match="none of 0 to 4"):
        discrete.step(5)
    with pytest.raises(ValueError, match="render_mode is 'ansi'"):
        CarRacingEnv(render_mode="ansi")


def test_the_functional_form_knows_bad_actions_from_good_ones() -> None:
    world = CarRacing()
    state, _ = world.reset(np.arange(2))
    step = jax.jit(world.step)
    within, beyond = (np.array(2 * [action], np.float32) for action in ([1, 1, 0], [5, 7, -3]))
    # As the original clips: beyond the space is at its edge.
    for one, other in zip(jax.tree.leaves(step(state, within)), jax.tree.leaves(step(state, beyond)), strict=True):
        np.testing.assert_array_equal(one, other)
    for shape in ((1, 3), (3, 3), (2, 2), (3,)):
        with pytest.raises(ValueError, match=rf"shape {re.escape(str(shape))}; they must be \(2, 3\)"):
            step(state, np.zeros(shape, np.float32))
    nan = within.copy()
    nan[1, 0] = np.nan
    after = step(state, nan)
    np.testing.assert_array_equal(np.isnan(after.reward), [False, True])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.state.car))
    np.testing.assert_array_equal(after.observation[0], step(state, within).observation[0])
    with pytest.raises(ValueError, match="no seed"):
        world.reset(np.array([], int))


def test_a_life_takes_less_than_4_mb() -> None:
    state, _ = CarRacing().reset(np.arange(2))
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(state)) / 2 <= 4_000_000
