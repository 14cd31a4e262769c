"""Observations of every kind of space; ``test_networks`` holds the image encoder to its formula."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from metahebb.encoders import Encoder, ImageEncoder, OneHotEncoder, VectorEncoder, _areas, _resample, encoder_for
from metahebb.errors import UsageError


@pytest.mark.parametrize(
    ("space", "encoder"),
    [
        (spaces.Box(-1, 1, (28,)), VectorEncoder(28)),
        (spaces.Box(-np.inf, np.inf, (2, 3), np.float64), VectorEncoder(6)),
        (spaces.Box(0, 9, (4,), np.int64), VectorEncoder(4)),
        # Bytes that are no image: Atari's memory.
        (spaces.Box(0, 255, (128,), np.uint8), VectorEncoder(128)),
        (spaces.Box(-1, 1, ()), VectorEncoder(1)),
        (spaces.Discrete(5), OneHotEncoder(5)),
        (spaces.Discrete(5, start=-2), OneHotEncoder(5, start=-2)),
        (spaces.Box(0, 255, (96, 96, 3), np.uint8), ImageEncoder(96, 96, 3)),
        (spaces.Box(0, 255, (210, 160), np.uint8), ImageEncoder(210, 160, 1)),
        (spaces.Box(0, 1, (96, 96, 3)), ImageEncoder(96, 96, 3, largest=1)),
    ],
    ids=str,
)
def test_the_encoder_of_a_space(space: spaces.Space[object], encoder: Encoder) -> None:
    assert encoder_for(space) == encoder


@pytest.mark.parametrize("space", [spaces.MultiBinary(3), spaces.Text(4), spaces.Box(-1, 1, (3, 0))], ids=str)
def test_what_no_world_observes_has_no_encoder(space: spaces.Space[object]) -> None:
    with pytest.raises(UsageError, match="is not supported; accepted are Box"):
        encoder_for(space)


def test_a_vector_is_flattened() -> None:
    observations = np.arange(12).reshape(2, 2, 3)
    features = VectorEncoder(6)({}, jnp.asarray(observations))
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, observations.reshape(2, 6))


def test_a_discrete_observation_is_one_hot_from_its_start() -> None:
    features = OneHotEncoder(3, start=-1)({}, jnp.asarray([-1, 1, 0]))
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_encoders_say_what_they_see() -> None:
    seen = [str(encoder) for encoder in (VectorEncoder(28), OneHotEncoder(5), ImageEncoder(210, 160, 3))]
    assert seen == ["28 numbers", "one of 5", "image, 210×160×3"]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 120), st.integers(1, 90))
def test_areas_cover_everything_once(size: int, target: int) -> None:
    areas = _areas(size, target)
    assert areas.shape == (target, size)
    np.testing.assert_allclose(areas.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(areas.sum(axis=0), target / size, rtol=1e-4)


def test_areas_by_hand() -> None:
    np.testing.assert_allclose(_areas(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    np.testing.assert_allclose(_areas(2, 4), [[1, 0], [1, 0], [0, 1], [0, 1]])


# Slices where both axes' patterns allow them, matrices elsewhere; larger, smaller and the same.
@pytest.mark.parametrize(
    ("height", "width"), [(96, 96), (96, 84), (168, 126), (98, 90), (210, 160), (85, 96), (100, 64), (42, 1), (84, 84)]
)
def test_resampling_is_the_mean_of_areas(height: int, width: int) -> None:
    image = np.random.default_rng(height).integers(0, 256, (height, width, 2), np.uint8)
    ours = jax.jit(_resample, static_argnums=1)(jnp.asarray(image), 84).reshape(84, 84, 2)
    np.testing.assert_allclose(ours, shrunk(np.swapaxes(shrunk(np.swapaxes(image, 0, 1)), 0, 1)), atol=2e-3)


def shrunk(lines: np.ndarray) -> np.ndarray:
    """84 means of areas along the first axis."""
    size = len(lines)
    return np.stack([mean_of_area(lines, Fraction(i * size, 84), Fraction((i + 1) * size, 84)) for i in range(84)])


def mean_of_area(lines: np.ndarray, begin: Fraction, end: Fraction) -> np.ndarray:
    """The mean of lines [size, …] between two places, step by step."""
    total, place = np.zeros(lines.shape[1:]), begin
    while place < end:
        line = place.numerator // place.denominator
        until = min(end, Fraction(line + 1))
        total += float(until - place) * lines[line]
        place = until
    return total / float(end - begin)
