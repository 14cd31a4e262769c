"""Frames from the original's states are the original's frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from original import Original, careful_driver, read_car, wild_driver

from metahebb.worlds.car_racing import CarRacing
from metahebb.worlds.car_racing.frames import Scene, draw_frames
from metahebb.worlds.car_racing.world import State

LOOKED_AT = [0, 1, 2, 3, 4, 5, 8, 15, 25, 27, 35, 45, 49, 50, 60, 80, 110, 150, 200, 250]

draw = jax.jit(draw_frames)
Driver = Callable[[Original, int, np.random.Generator], np.ndarray]


def frame_of(env: Original, state: State, steps: int) -> np.ndarray:
    """Our frame of the original's state."""
    stripes = np.zeros(state.stripes.shape, np.uint8)
    stripes[0, : len(env.road)] = [round((tile.color[0] - env.road_color[0]) / 2.55) for tile in env.road]
    number = env.reward + (0.1 if steps else 0)
    scene = Scene(
        read_car(env),
        jnp.array([steps]),
        jnp.array([number], jnp.float32),
        state.texture,
        jnp.asarray(stripes),
        state.course.colours,
    )
    return np.asarray(draw(scene)[0])


def pairs(drive: Driver, seed: int, **options: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    env = Original(**options)
    rng = np.random.default_rng(seed)
    frame, _ = env.reset(seed=seed)
    state, _ = CarRacing(**options).reset(np.array([seed]))
    for steps in range(max(LOOKED_AT) + 1):
        if steps:
            frame = env.step(drive(env, steps - 1, rng))[0]
        if steps in LOOKED_AT:
            yield frame, frame_of(env, state, steps)


@pytest.fixture(scope="module")
def compared() -> tuple[np.ndarray, np.ndarray]:
    """Frames of the original and ours, int [lives, looked at, 96, 96, 3]."""
    lives = [list(pairs(drive, seed)) for drive in (careful_driver, wild_driver) for seed in range(3)]
    theirs, ours = np.moveaxis(np.array(lives, int), 2, 0)
    return theirs, ours


def assert_alike(theirs: np.ndarray, ours: np.ndarray) -> None:
    """At every looked-at step, over the lives."""
    error = np.abs(theirs - ours)
    mean, off = error.mean((0, 2, 3, 4)), (error.max(-1) > 20).mean((0, 2, 3))
    assert (mean <= 0.6).all(), dict(zip(LOOKED_AT, mean, strict=True))
    assert (off <= 0.005).all(), dict(zip(LOOKED_AT, off, strict=True))


def test_frames_differ_by_half_a_grey_level(compared: tuple[np.ndarray, np.ndarray]) -> None:
    assert_alike(*compared)


def test_the_panel_differs_no_more(compared: tuple[np.ndarray, np.ndarray]) -> None:
    theirs, ours = compared
    assert_alike(theirs[:, :, 84:], ours[:, :, 84:])


def test_the_bars_are_where_the_originals_are(compared: tuple[np.ndarray, np.ndarray]) -> None:
    theirs, ours = compared
    np.testing.assert_allclose(ours[:, :, 84:, 12:], theirs[:, :, 84:, 12:], atol=16)


def test_random_colours() -> None:
    lives = [list(pairs(wild_driver, seed, domain_randomize=True)) for seed in range(3)]
    assert_alike(*np.moveaxis(np.array(lives, int), 2, 0))
