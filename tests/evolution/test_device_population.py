"""Genomes and sums that are made where JAX computes, beside those that a CPU's workers make."""

from __future__ import annotations

import numpy as np
import pytest

from metahebb.evolution.device_population import BLOCK, DevicePopulation, NoiseAhead
from metahebb.evolution.noise import FULL, NoiseShape
from metahebb.evolution.populations import FilterScale, MirroredPopulation

PARAMETERS = 40
MEAN = np.linspace(-1, 1, PARAMETERS, dtype=np.float32)
FIXED = np.array([3.0, 4.0], np.float32)
PAIRS = 2 * BLOCK + 5
SHAPES = {"full": FULL, "rank 1": NoiseShape(1, ((3, 4), (5, 2))), "rank 3": NoiseShape(3, ((3, 4), (5, 2)))}


def population(shape: NoiseShape, generation: int) -> MirroredPopulation:
    return MirroredPopulation(MEAN, 0.25, 4, generation, FilterScale(30, 36, 0.3), shape, FIXED)


@pytest.mark.parametrize("memory", [0, 2**20])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_genomes_and_sums_are_those_of_a_cpu(shape: NoiseShape, memory: int) -> None:
    noise = NoiseAhead(PAIRS, memory, threads=3)
    weights = np.random.default_rng(0).standard_normal(PAIRS).astype(np.float32)
    members = [0, 1, 2 * BLOCK - 1, 2 * BLOCK, 4 * BLOCK + 3, 2 * PAIRS - 1, 5]
    sums = []
    for generation in (7, 8, 12):
        its = population(shape, generation)
        there = DevicePopulation(its, noise)
        made = np.asarray(there.genomes(members))
        assert made.dtype == np.float32
        np.testing.assert_allclose(made, its.genomes(members), atol=2e-6)
        sums.append(there.weighted_noise(range(PAIRS), weights))
        np.testing.assert_allclose(sums[-1], its.weighted_noise(range(PAIRS), weights), atol=2e-4)
        some = range(BLOCK - 2, BLOCK + 3)
        np.testing.assert_allclose(
            there.weighted_noise(some, weights[some.start : some.stop]),
            its.weighted_noise(some, weights[some.start : some.stop]),
            atol=1e-4,
        )
    assert (sums[0] != sums[1]).all()


def test_what_is_drawn_ahead_is_what_is_needed_later() -> None:
    """The next generation's numbers are there before it begins, and the one before is forgotten."""
    noise = NoiseAhead(3, 2**20, threads=1)
    noise.begin(seed=1, generation=5, numbers=10)
    ahead = noise.block(1, 6, 10, 0)
    noise.begin(seed=1, generation=6, numbers=10)
    assert noise.block(1, 6, 10, 0) is ahead
    assert noise.block(1, 5, 10, 0) is not noise.block(1, 5, 10, 0)
