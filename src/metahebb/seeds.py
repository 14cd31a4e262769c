"""Where all randomness comes from: a run's seed and the name of what is drawn, and nothing else.

Every stream is ``numpy.random.SeedSequence(entropy=seed, spawn_key=(stream, …))`` with the numbers below, so that a
life or a pair's noise can be made again wherever it is needed, whatever was drawn before.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import numpy as np

__all__ = ["Stream", "noise", "sequence", "start", "words"]


class Stream(IntEnum):
    """What is drawn."""

    START = 0
    """the genomes that evolution starts from: (member)"""
    NOISE = 1
    """the perturbation of a mirrored pair: (generation, pair)"""
    TRAINING = 2
    """the lives of evolution: (generation, member or pair, life)"""
    VALIDATION = 3
    """the lives that choose the best agent: (life)"""
    EVALUATION = 4
    """the fresh lives of an evaluation: (life)"""
    STRATEGY = 5
    """a library strategy's own keys: (generation, ask or tell)"""
    SHUFFLE = 6
    """which synapse an agent's coefficients come to, where they are shuffled for a comparison: (life)"""
    BODIES = 7
    """the bodies of a named sweep: ()"""


def sequence(seed: int, stream: Stream, *index: int) -> np.random.SeedSequence:
    """The seed sequence of one thing drawn."""
    return np.random.SeedSequence(entropy=seed, spawn_key=(int(stream), *index))


def words(seed: int, stream: Stream, *index: int, count: int) -> np.ndarray:
    """uint32 [count] of a stream."""
    return sequence(seed, stream, *index).generate_state(count, np.uint32)


def noise(seed: int, generation: int, pair: int, size: int, out: np.ndarray | None = None) -> np.ndarray:
    """The standard normal perturbation of a pair's mirrored members, float32 [size], in ``out`` if that is given.

    NumPy's SFC64 and its ziggurat: a third of the time of JAX's default generator on a CPU.
    """
    bits = np.random.SFC64(sequence(seed, Stream.NOISE, generation, pair))
    return np.random.Generator(bits).standard_normal(size, dtype=np.float32, out=out)


def start(seed: int, size: int, distribution: str, members: Iterable[int], scale: float = 1.0) -> np.ndarray:
    """Genomes that evolution starts from, float32 [members, size]: ``scale`` times N(0, 1) or uniform in [−1, 1]."""
    drawn = []
    for member in members:
        generator = np.random.Generator(np.random.SFC64(sequence(seed, Stream.START, member)))
        if distribution == "normal":
            drawn.append(generator.standard_normal(size, dtype=np.float32))
        else:
            drawn.append(2 * generator.random(size, dtype=np.float32) - 1)
    return np.float32(scale) * np.stack(drawn)
