"""Randomness: the documented functions make it again, and its streams have nothing in common."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from metahebb.lifetimes.lives import Life, life_of
from metahebb.seeds import Stream, noise, start, words


def test_streams_keep_their_numbers() -> None:
    """They are part of what a seed means: runs are resumed, and results repeated, by later versions."""
    numbers = {
        "START": 0,
        "NOISE": 1,
        "TRAINING": 2,
        "VALIDATION": 3,
        "EVALUATION": 4,
        "STRATEGY": 5,
        "SHUFFLE": 6,
        "BODIES": 7,
    }
    assert {stream.name: stream.value for stream in Stream} == numbers


def test_words_are_those_of_the_documented_sequence() -> None:
    expected = np.random.SeedSequence(entropy=7, spawn_key=(2, 3, 4)).generate_state(5, np.uint32)
    np.testing.assert_array_equal(words(7, Stream.TRAINING, 3, 4, count=5), expected)


def test_streams_seeds_and_indices_differ() -> None:
    """Also where the digits of an index could be mistaken for those of another."""
    indices = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (11,), (1, 1), (0, 0, 0)]
    drawn = [
        tuple(words(seed, stream, *index, count=3).tolist())
        for seed, stream, index in itertools.product((0, 1, 2**32, 2**63 - 1), Stream, indices)
    ]
    assert len(set(drawn)) == len(drawn) == 288


def test_a_lifes_seeds_are_those_of_its_number() -> None:
    world, *key = np.random.SeedSequence(entropy=5, spawn_key=(2, 8, 6, 1)).generate_state(3, np.uint32).tolist()
    # Environments want seeds below 2³¹.
    assert life_of(7, 1, 5, Stream.TRAINING, 8, 6, body="x") == Life(7, 1, world // 2, (key[0], key[1]), "x")
    assert all(0 <= life_of(0, n, 0, Stream.EVALUATION).world < 2**31 for n in range(200))


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_starts_are_made_member_by_member(distribution: str) -> None:
    together = start(3, 100, distribution, range(4))
    assert together.shape == (4, 100)
    assert together.dtype == np.float32
    for member in range(4):
        np.testing.assert_array_equal(start(3, 100, distribution, [member])[0], together[member])
        generator = np.random.Generator(np.random.SFC64(np.random.SeedSequence(3, spawn_key=(0, member))))
        if distribution == "normal":
            expected = generator.standard_normal(100, dtype=np.float32)
        else:
            expected = 2 * generator.random(100, dtype=np.float32) - 1
        np.testing.assert_array_equal(together[member], expected)
    assert np.abs(np.corrcoef(together)[np.triu_indices(4, 1)]).max() < 0.5


def test_noise_does_not_depend_on_the_size_of_the_genome() -> None:
    np.testing.assert_array_equal(noise(1, 2, 3, 10), noise(1, 2, 3, 1000)[:10])
