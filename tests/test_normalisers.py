"""Normalisers against NumPy, on layers of any size and with the numbers that break division."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metahebb.normalisers import NORMALISERS

# The largest is looked for in halves, up to four times, as often as 2 divides what is left.
SHAPES = [(1, 1, 1), (3, 5, 3), (2, 7, 9), (4, 3, 8), (2, 28, 128), (1, 2, 4)]

THEIRS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda w: w,
    "max-abs": lambda w: w / np.abs(w).max(axis=(1, 2), keepdims=True),
    "l2": lambda w: w / np.linalg.norm(w, axis=1, keepdims=True),
    "clip": lambda w: np.minimum(np.maximum(w, -1), 1),
}


def normalised(name: str, weights: np.ndarray) -> np.ndarray:
    raw, scale = jax.jit(NORMALISERS[name])(jnp.asarray(weights, jnp.float32))
    return np.asarray(raw if scale is None else raw * scale)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NORMALISERS)
def test_as_in_numpy(name: str, shape: tuple[int, int, int]) -> None:
    weights = 3 * np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_allclose(normalised(name, weights), THEIRS[name](weights), rtol=1e-5)


@pytest.mark.parametrize("where", range(45))
@pytest.mark.parametrize("value", [-5.0, 5.0])
def test_the_largest_is_found_wherever_it_is(where: int, value: float) -> None:
    for shape in ((1, 3, 16), (1, 5, 9)):
        weights = np.full(shape, 0.5)
        weights.reshape(-1)[where] = value
        np.testing.assert_allclose(normalised("max-abs", weights), weights / 5, rtol=1e-6)


@pytest.mark.parametrize("name", NORMALISERS)
def test_zeros_stay_zero_beside_other_lives_and_neurons(name: str) -> None:
    weights = np.random.default_rng(0).standard_normal((3, 4, 2))
    weights[1] = 0
    weights[2, :, 0] = 0
    ours = normalised(name, weights)
    assert np.isfinite(ours).all()
    assert (ours[1] == 0).all()
    assert (ours[2, :, 0] == 0).all()
    np.testing.assert_allclose(ours[0], THEIRS[name](weights[:1])[0], rtol=1e-5)


@pytest.mark.parametrize("name", NORMALISERS)
def test_a_life_that_is_not_a_number_is_not_made_one(name: str) -> None:
    """A diverged life is to be seen as such, and the lives beside it are not to notice."""
    weights = np.random.default_rng(0).standard_normal((3, 4, 4))
    expected = THEIRS[name](weights)
    weights[1, 2, 3] = np.nan
    ours = normalised(name, weights)
    assert np.isnan(ours[1, 2, 3])
    np.testing.assert_allclose(ours[[0, 2]], expected[[0, 2]], rtol=1e-5)


@pytest.mark.parametrize("name", ["max-abs", "l2"])
def test_infinite_weights_are_not_made_finite(name: str) -> None:
    weights = np.ones((1, 4, 4))
    weights[0, 1, 1] = -np.inf
    assert not np.isfinite(normalised(name, weights)).all()


@pytest.mark.parametrize("size", [1e-30, 1e-10, 1e10, 1e30])
def test_any_size_is_divided_out(size: float) -> None:
    weights = np.random.default_rng(0).standard_normal((1, 3, 8))
    np.testing.assert_allclose(normalised("max-abs", size * weights), THEIRS["max-abs"](weights), rtol=1e-5)
