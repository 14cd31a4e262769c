"""Whole lives have the same rewards and ends as Gymnasium's, open loop from the same seed and actions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from original import BlindOriginal, away_driver, careful_driver, wild_driver

from metahebb.worlds.car_racing import CarRacing

STEPS = 1000
TRACKS = 20


class Lives(NamedTuple):
    rewards: np.ndarray
    """[steps, lives], 0 after the end"""
    ended: np.ndarray
    """[lives]: the step that ended the life, STEPS if none did"""
    at_100: np.ndarray
    """[lives, 2]: the car after step 100"""
    tiles: np.ndarray
    """[lives]"""


def live_original(drive: Callable[..., np.ndarray], seeds: range, **options: bool) -> tuple[Lives, np.ndarray]:
    env = BlindOriginal(**options)
    rewards = np.zeros((STEPS, len(seeds)))
    ended, at_100, tiles = np.full(len(seeds), STEPS), np.zeros((len(seeds), 2)), np.zeros(len(seeds))
    actions: list[np.ndarray] = []
    for life, seed in enumerate(seeds):
        env.reset(seed=seed)
        rng = np.random.default_rng(seed)
        tiles[life] = len(env.track)
        for step in range(STEPS):
            action = drive(env, step, rng)
            if not actions:
                actions = [np.zeros((STEPS, len(seeds), *np.shape(action)), np.asarray(action).dtype)]
            actions[0][step, life] = action
            _, rewards[step, life], terminated, _, _ = env.step(action)
            if step == 99:
                at_100[life] = env.car.hull.position
            if terminated:
                ended[life] = step
                break
    return Lives(rewards, ended, at_100, tiles), actions[0]


def live_ours(world: CarRacing, seeds: range, actions: np.ndarray) -> Lives:
    state, frames = world.reset(np.array(seeds))

    @jax.jit
    def live(state, frames, actions):
        def step(carry, action):
            state, _ = carry
            after = world.step(state, action)
            origin = jax.vmap(lambda car: car.origin)(after.state.car)
            return (after.state, after.observation), (after.reward, after.ended, origin)

        return lax.scan(step, (state, frames), actions)[1]

    rewards, terminated, origins = (np.asarray(leaf) for leaf in live(state, frames, jnp.asarray(actions)))
    ended = np.where(terminated.any(0), terminated.argmax(0), STEPS)
    rewards = np.where(np.arange(STEPS)[:, None] <= ended, rewards, 0)
    return Lives(rewards, ended, origins[99], np.asarray(state.course.track.length))


@cache
def both(drive: Callable[..., np.ndarray]) -> tuple[Lives, Lives]:
    original, actions = live_original(drive, range(TRACKS))
    return original, live_ours(CarRacing(), range(TRACKS), actions)


def same(original: Lives, ours: Lives) -> np.ndarray:
    """Which lives have the same reward at every step and the same end."""
    return (np.abs(original.rewards - ours.rewards) < 1e-3).all(0) & (original.ended == ours.ended)


def test_nine_of_ten_whole_lives_are_the_same_step_by_step() -> None:
    alike = np.concatenate([same(*both(careful_driver)), same(*both(wild_driver))])
    assert len(alike) == 40
    assert alike.mean() >= 0.9


def assert_one_tile_apart(original: Lives, ours: Lives) -> None:
    """The lives that are not the same part by one step's one tile, and are never further apart."""
    tile = 1000 / original.tiles
    apart = original.rewards - ours.rewards
    # A lap that ends a step or two later costs a tenth each.
    assert (np.abs(apart.cumsum(0)).max(0) <= tile + 0.5).all(), apart.sum(0)
    for life in np.flatnonzero((np.abs(apart) >= 1e-3).any(0)):
        first = (np.abs(apart[:, life]) >= 1e-3).argmax()
        assert abs(abs(apart[first, life]) - tile[life]) < 1e-3, (life, first)


def test_the_other_lives_part_by_one_tile() -> None:
    for drive in (careful_driver, wild_driver):
        assert_one_tile_apart(*both(drive))


def test_the_car_is_where_the_originals_is() -> None:
    for drive in (careful_driver, wild_driver):
        original, ours = both(drive)
        assert np.linalg.norm(original.at_100 - ours.at_100, axis=-1).max() <= 1e-2


def test_laps_are_finished_and_lives_outlast_1000_steps() -> None:
    original, ours = both(careful_driver)
    finished = original.ended < STEPS
    assert finished.sum() >= 10
    assert (ours.ended < STEPS)[finished].all()
    # Some lives end at the limit, which is not the world's.
    assert (both(wild_driver)[1].ended == STEPS).any()


def test_leaving_the_field_costs_100_and_ends_the_life() -> None:
    original, actions = live_original(away_driver, range(4))
    ours = live_ours(CarRacing(), range(4), actions)
    assert same(original, ours).all()
    assert (ours.ended < STEPS).all()
    assert (ours.rewards[ours.ended, np.arange(4)] == -100).all()


def test_discrete_actions() -> None:
    def drive(env: BlindOriginal, step: int, rng: np.random.Generator) -> np.int32:
        return np.int32(3 if step < 30 else rng.integers(5))

    original, actions = live_original(drive, range(4), continuous=False)
    ours = live_ours(CarRacing(continuous=False), range(4), actions)
    assert same(original, ours).mean() >= 0.75
    assert_one_tile_apart(original, ours)
