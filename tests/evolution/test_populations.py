"""Mirrored members, and the sums of an update, whoever makes which part of them."""

from __future__ import annotations

import numpy as np
import pytest

from metahebb.evolution import populations
from metahebb.evolution.populations import MirroredPopulation, pair_and_sign
from metahebb.seeds import noise

MEAN = np.linspace(-1, 1, 200, dtype=np.float32)
POPULATION = MirroredPopulation(MEAN, 0.25, seed=4, generation=9)


def test_members_come_in_pairs() -> None:
    assert [pair_and_sign(member) for member in range(5)] == [(0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0), (2, 1.0)]


@pytest.mark.parametrize("member", [0, 1, 6, 7])
def test_a_member_is_the_mean_with_its_pairs_noise(member: int) -> None:
    genome = POPULATION.genome(member)
    assert genome.dtype == np.float32
    sign = 1 if member % 2 == 0 else -1
    np.testing.assert_allclose(genome, MEAN + sign * 0.25 * noise(4, 9, member // 2, 200), atol=1e-6)
    # In any order, and from another copy of the population.
    MirroredPopulation(MEAN, 0.25, 4, 9).genome(3)
    np.testing.assert_array_equal(POPULATION.genome(member), genome)


def test_populations_do_not_share_their_noise() -> None:
    """Noise is kept between the members of a pair; that of another population is not to be found there."""
    others = [MirroredPopulation(MEAN, 0.25, seed, generation) for seed, generation in ((4, 10), (5, 9))]
    genomes = [population.genome(0) for population in (POPULATION, *others)]
    assert (genomes[0] != genomes[1]).all()
    assert (genomes[0] != genomes[2]).all()


def test_a_weighted_sum_by_hand() -> None:
    weights = np.array([0.5, -2.0, 0.0, 1.5])
    total = POPULATION.weighted_noise(range(3, 7), weights)
    expected = sum(w * noise(4, 9, pair, 200).astype(np.float64) for pair, w in zip(range(3, 7), weights, strict=True))
    assert total.dtype == np.float32
    np.testing.assert_allclose(total, expected, atol=1e-5)
    with pytest.raises(ValueError, match="shorter"):
        POPULATION.weighted_noise(range(3, 7), weights[:3])


def test_fixed_groups_have_the_same_bits_wherever_they_are_added() -> None:
    weights = np.linspace(-1, 1, 12)

    def groups(order: list[int]) -> np.ndarray:
        sums = {
            first: MirroredPopulation(MEAN, 0.25, 4, 9).weighted_noise(
                range(first, first + 4), weights[first : first + 4]
            )
            for first in order
        }
        return sums[0] + sums[4] + sums[8]

    assert groups([0, 4, 8]).tobytes() == groups([8, 0, 4]).tobytes()


def test_noise_that_does_not_fit_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.linspace(-1, 1, 12)
    total = MirroredPopulation(MEAN, 0.25, 4, 9).weighted_noise(range(12), weights)
    for room in (0, 3 * MEAN.nbytes):
        monkeypatch.setattr(populations, "NOISE_KEPT", room)
        population = MirroredPopulation(MEAN, 0.25, 4, 9)
        for member in range(24):
            population.genome(member)
        newest = set(range(12)[-max(room // MEAN.nbytes, 1) :])
        assert set(population._kept) == newest
        assert population.weighted_noise(range(12), weights).tobytes() == total.tobytes()
        # Adding up does not push out what it will come to.
        assert set(population._kept) == newest
