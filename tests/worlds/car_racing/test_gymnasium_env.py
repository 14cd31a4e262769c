"""CarRacing as Gymnasium's users see it."""

from __future__ import annotations

import re
import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.error import InvalidAction
from gymnasium.utils.env_checker import check_env

from metahebb.worlds.car_racing import ENV_ID, CarRacing
from metahebb.worlds.car_racing.gymnasium_env import CarRacingEnv, CarRacingVectorEnv


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


@pytest.mark.parametrize("steer", [np.inf, -np.inf, 1e300])
def test_steering_without_bounds_is_full_lock(steer: float) -> None:
    single, theirs = gymnasium.make(ENV_ID), gymnasium.make("CarRacing-v3")
    vector = gymnasium.make_vec(ENV_ID, num_envs=3)
    for env in (single, theirs, vector):
        env.reset(seed=7)
    action = np.array([steer, 1e300, 0.0])
    for _ in range(40):
        frame, reward, *_ = single.step(action)
        frames, rewards, *_ = vector.step(np.array(3 * [action]))
        their_frame, their_reward, *_ = theirs.step(action)
        assert reward == pytest.approx(their_reward, abs=1e-4)
        assert rewards[0] == pytest.approx(their_reward, abs=1e-4)
    assert np.abs(frame.astype(int) - their_frame).mean() <= 0.6
    np.testing.assert_array_equal(frames[0], frame)


def field_colour(picture: np.ndarray) -> np.ndarray:
    """The commonest colour but black, which is around the field."""
    pixels = picture[:340].reshape(-1, 3)
    colours, counts = np.unique(pixels[pixels.any(-1)], axis=0, return_counts=True)
    return colours[counts.argmax()]


def test_colours_change_or_stay_as_the_originals_do() -> None:
    ours, theirs = (
        gymnasium.make(name, domain_randomize=True, render_mode="rgb_array") for name in (ENV_ID, "CarRacing-v3")
    )
    vectors = [
        gymnasium.make_vec(name, num_envs=2, vectorization_mode=mode, domain_randomize=True)
        for name, mode in ((ENV_ID, None), ("CarRacing-v3", "sync"))
    ]
    fields = []
    for options in (None, {"randomize": False}, {"randomize": True}):
        seed = 3 if options is None else None
        frames = [env.reset(seed=seed, options=options)[0] for env in (ours, theirs)]
        assert np.abs(frames[0].astype(int) - frames[1]).mean() <= 0.6
        frames = [vector.reset(seed=seed, options=options)[0] for vector in vectors]
        assert (np.abs(frames[0].astype(int) - frames[1]).mean((1, 2, 3)) <= 0.6).all()
        pictures = [ours.render(), theirs.render()]
        assert (np.abs(pictures[0].astype(int) - pictures[1]).max(-1) > 20).mean() <= 0.01
        fields.append(field_colour(pictures[0]))
    assert (fields[0] == fields[1]).all()
    assert (fields[1] != fields[2]).any()


def test_an_environment_has_random_colours_from_its_making_on() -> None:
    single = CarRacingEnv("rgb_array", domain_randomize=True)
    vector = CarRacingVectorEnv(2, "rgb_array", domain_randomize=True)
    fields = []
    for seed in (3, 4):
        for env in (single, vector):
            env.reset(seed=seed, options={"randomize": False})
        fields.append([field_colour(picture) for picture in (single.render(), *vector.render())])
    np.testing.assert_array_equal(fields[0], fields[1])
    assert len(np.unique([*fields[0], (102, 204, 102)], axis=0)) == 4


def test_a_lap_is_complete_at_tile_0_with_a_share_of_the_tiles() -> None:
    def ended(share: float, visited: float) -> bool:
        """Whether a life ends that comes to tile 0 after ``visited`` of its tiles."""
        world = CarRacing(lap_complete_percent=share)
        state, _ = world.reset(np.array([0]))
        count = int(visited * state.course.track.length[0])
        tiles = jnp.arange(state.visited.shape[1])
        state = state._replace(visited=((tiles > 0) & (tiles <= count))[None], visited_count=jnp.array([count]))
        return bool(jax.jit(world.step)(state, jnp.zeros((1, 3))).ended[0])

    assert ended(0.5, visited=0.6)
    assert not ended(0.5, visited=0.4)
    assert not ended(0.95, visited=0.6)


def test_the_end_of_a_life_says_whether_the_lap_was_finished() -> None:
    def meddle(env: CarRacingEnv | CarRacingVectorEnv, finished: int, outside: int) -> None:
        """Leave one life no tile to visit, and put the car of another outside of the field."""
        state = env._state
        assert state is not None
        tiles = jnp.arange(state.visited.shape[1])
        every = state.visited.at[finished].set(tiles < state.course.track.length[finished])
        car = state.car._replace(position=state.car.position.at[outside].add(1000))
        env._state = state._replace(visited=every, car=car)

    vector = CarRacingVectorEnv(3)
    vector.reset(seed=0)
    *_, info = vector.step(np.zeros((3, 3), np.float32))
    assert info == {}
    meddle(vector, finished=2, outside=0)
    _, rewards, terminated, _, info = vector.step(np.zeros((3, 3), np.float32))
    assert terminated.tolist() == info["_lap_finished"].tolist() == [True, False, True]
    assert info["lap_finished"].tolist() == [False, False, True]
    assert rewards[0] == -100
    single = CarRacingEnv()
    for finished, outside in ((0, 1), (1, 0)):
        single.reset(seed=0)
        meddle(single, finished, outside)
        *_, info = single.step(np.zeros(3, np.float32))
        assert info == {"lap_finished": finished == 0}


def test_what_is_returned_may_be_written_to() -> None:
    single, vector = CarRacingEnv(), CarRacingVectorEnv(3)
    returned = [single.reset(seed=0)[0], single.step(np.zeros(3, np.float32))[0], vector.reset(seed=0)[0]]
    returned += vector.step(np.zeros((3, 3), np.float32))[:4]
    assert all(array.flags.writeable for array in returned)


def test_environments_that_are_alike_share_one_compiled_step(monkeypatch: pytest.MonkeyPatch) -> None:
    traced, step = [], CarRacing.step

    def counted(world: CarRacing, *arguments: jax.Array) -> object:
        traced.append(world.lap_complete_percent)
        return step(world, *arguments)

    monkeypatch.setattr(CarRacing, "step", counted)
    for share in (0.91, 0.91, 0.92):
        env = CarRacingEnv(lap_complete_percent=share)
        env.reset(seed=0)
        env.step(np.zeros(3, np.float32))
    assert traced == [0.91, 0.92]


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
    # As the original clips: beyond the space is at its edge.
    for inside, *outside in (
        ([1, 1, 0], [5, 7, -3], [np.inf, np.inf, -np.inf]),
        ([-1, 0, 1], [-5, -7, 3], [-np.inf, -np.inf, np.inf]),
    ):
        within = np.array(2 * [inside], np.float32)
        for action in outside:
            beyond = np.array(2 * [action], np.float32)
            for one, other in zip(
                jax.tree.leaves(step(state, within)), jax.tree.leaves(step(state, beyond)), strict=True
            ):
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
