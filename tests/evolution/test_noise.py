"""Noise of low rank, beside sums written out, and its statistics."""

from __future__ import annotations

import numpy as np
import pytest

from metahebb.evolution.noise import FULL, NoiseShape
from metahebb.evolution.populations import MirroredPopulation
from metahebb.seeds import noise

MATRICES = ((3, 4), (5, 2), (3, 4))
REST = 6
PARAMETERS = 12 + 10 + 12 + REST


def written_out(shape: NoiseShape, drawn: np.ndarray) -> np.ndarray:
    """The noise, entry by entry, float64 [parameters]."""
    entries: list[float] = []
    for rows, columns in shape.matrices:
        taken, drawn = np.split(drawn, [shape.rank * (rows + columns)])
        terms = taken.astype(np.float64).reshape(shape.rank, rows + columns)
        for i in range(rows):
            for j in range(columns):
                entries.append(sum(term[i] * term[rows + j] for term in terms) / shape.rank**0.5)
    return np.array([*entries, *drawn])


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_members_and_sums_are_of_products_written_out(rank: int) -> None:
    shape = NoiseShape(rank, MATRICES)
    assert shape.numbers(PARAMETERS) == rank * (7 + 7 + 7) + REST
    mean = np.linspace(-1, 1, PARAMETERS, dtype=np.float32)
    population = MirroredPopulation(mean, 0.25, 4, 9, shape=shape)
    pairs = [written_out(shape, noise(4, 9, pair, shape.numbers(PARAMETERS))) for pair in range(3)]
    for member in range(6):
        genome = population.genome(member)
        assert genome.dtype == np.float32
        np.testing.assert_allclose(genome, mean + (-1) ** member * 0.25 * pairs[member // 2], atol=1e-6)
    weights = np.array([0.5, -2.0, 1.5], np.float32)
    total = population.weighted_noise(range(3), weights)
    assert total.dtype == np.float32
    np.testing.assert_allclose(total, sum(w * pair for w, pair in zip(weights, pairs, strict=True)), atol=1e-5)
    # Another copy, which has lived none of them.
    again = MirroredPopulation(mean, 0.25, 4, 9, shape=shape).weighted_noise(range(3), weights)
    assert again.tobytes() == total.tobytes()


@pytest.mark.parametrize("rank", [1, 4])
def test_every_gene_has_mean_0_and_deviation_1_and_matrices_have_the_rank(rank: int) -> None:
    shape = NoiseShape(rank, ((8, 6),))
    drawn = np.random.default_rng(0).standard_normal((4000, shape.numbers(50)), dtype=np.float32)
    all_noise = np.stack([shape.noise(numbers) for numbers in drawn])
    assert all_noise.shape == (4000, 50)
    assert np.abs(all_noise.mean(axis=0)).max() < 5 / 4000**0.5
    assert np.abs(all_noise.std(axis=0) - 1).max() < 0.15
    assert {np.linalg.matrix_rank(pair[:48].reshape(8, 6), tol=1e-4) for pair in all_noise[:20]} == {rank}


def test_full_noise_is_what_is_drawn() -> None:
    drawn = np.arange(5, dtype=np.float32)
    assert FULL.numbers(5) == 5
    assert FULL.noise(drawn) is drawn
