"""The distributions that lives begin with: their bounds, deviations and zeros; and that lives and layers differ."""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import numpy as np
import pytest

from metahebb.encoders import VectorEncoder
from metahebb.initial_weights import INITIAL_WEIGHTS, leaves_nothing
from metahebb.networks import Network
from metahebb.rules import RULES

INPUTS, OUTPUTS = 150, 250

# Worked out for 150 inputs and 250 outputs: PyTorch's gain·√(6/(in + out)), √2/√(1 + a²)·√(3/in), 1/√in.
BOUNDS: Mapping[str, float] = {
    "uniform": 0.1,
    "unit-uniform": 1.0,
    "xavier-uniform": 0.122474487,
    "xavier-uniform-0.3": 0.036742346,
    "kaiming-uniform": math.sqrt(2 / 10) * math.sqrt(3 / 150),
    "torch-linear": 0.081649658,
}


def drawn(name: str, seed: int = 0, shape: tuple[int, int] = (INPUTS, OUTPUTS)) -> np.ndarray:
    weights = INITIAL_WEIGHTS[name](jax.random.key(seed), shape)
    assert weights.dtype == np.float32
    assert weights.shape == shape
    return np.asarray(weights, np.float64)


def check_uniform(weights: np.ndarray, bound: float) -> None:
    """As many in each of ten equal parts of [−bound, bound], but for five deviations of chance."""
    assert np.abs(weights).max() <= bound * (1 + 1e-6)
    counts, _ = np.histogram(weights, 10, (-bound * (1 + 1e-6), bound * (1 + 1e-6)))
    share = weights.size / 10
    assert np.abs(counts - share).max() < 5 * math.sqrt(share)


def check_normal(values: np.ndarray, deviation: float) -> None:
    """Mean, deviation and the shares within one, two and three deviations, but for five deviations of chance."""
    n = values.size
    assert abs(values.mean()) < 5 * deviation / math.sqrt(n)
    assert abs(values.std() / deviation - 1) < 5 / math.sqrt(2 * n)
    for within, share in ((1, 0.682689), (2, 0.954500), (3, 0.997300)):
        assert abs((np.abs(values) < within * deviation).mean() - share) < 5 * math.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("name", BOUNDS)
def test_uniform_distributions(name: str) -> None:
    check_uniform(drawn(name), BOUNDS[name])


def test_the_normal_distribution() -> None:
    check_normal(drawn("normal"), 0.024)


@pytest.mark.parametrize(("outputs", "zeros"), [(250, 200), (64, 52), (8, 7), (3, 3), (4, 4), (5, 4)])
def test_sparse_weights(outputs: int, zeros: int) -> None:
    """Of each input's outgoing weights 80%, rounded up, are zero; which ones is chance."""
    weights = drawn("sparse", shape=(2000, outputs))
    assert leaves_nothing("sparse", outputs) == (not weights.any())
    assert not leaves_nothing("uniform", outputs)
    assert ((weights == 0).sum(axis=1) == zeros).all()
    if zeros < outputs:
        check_normal(weights[weights != 0], 0.01)
        per_output = (weights != 0).mean(axis=0)
        share = 1 - zeros / outputs
        assert np.abs(per_output - share).max() < 5 * math.sqrt(share * (1 - share) / 2000)


def test_constants() -> None:
    assert (drawn("ones") == 1).all()
    assert (drawn("zeros") == 0).all()


def test_these_are_all() -> None:
    assert set(INITIAL_WEIGHTS) == {*BOUNDS, "normal", "sparse", "ones", "zeros"}


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.mark.parametrize("name", [*BOUNDS, "normal", "sparse"])
def test_a_key_decides_and_keys_are_independent(name: str) -> None:
    one = drawn(name)
    np.testing.assert_array_equal(one, drawn(name))
    assert abs(correlation(one, drawn(name, seed=1))) < 5 / math.sqrt(one.size)
    assert abs(correlation(one[:-1], one[1:])) < 5 / math.sqrt(one.size)


def test_the_layers_and_the_lives_of_a_network_are_independent() -> None:
    network = Network(VectorEncoder(60), 60, RULES["A"], hidden=(60, 60))
    genome = network.unflatten(np.zeros((3, network.parameters), np.float32))
    state = network.init(genome, jax.random.split(jax.random.key(0), 3))
    weights = [np.asarray(layer.weights) for layer in state.layers]
    matrices = [layer[life] for layer in weights for life in range(3)]
    for i, one in enumerate(matrices):
        check_uniform(one, 0.1)
        for other in matrices[:i]:
            assert abs(correlation(one, other)) < 5 / 60
