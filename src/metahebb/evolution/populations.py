"""A generation's genomes, each made where its member lives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from metahebb import seeds

__all__ = ["MirroredPopulation", "Scaled", "pair_and_sign"]

NOISE_KEPT = 2**28
"""Bytes of noise that a worker keeps of a generation: its members' genomes are made of it, and then the update, which
would otherwise draw the same numbers again."""


def pair_and_sign(member: int) -> tuple[int, float]:
    """The mirrored pair that a member belongs to, and the sign of its noise: 0 is +, 1 is −, 2 is + of the next."""
    return member // 2, 1.0 if member % 2 == 0 else -1.0


class Scaled(NamedTuple):
    """Numbers of a genome, from ``first`` to before ``last``, that the search measures in units of ``scale``."""

    first: int = 0
    last: int = 0
    scale: float = 1.0

    def __call__(self, genome: np.ndarray) -> np.ndarray:
        """A genome or a step [parameters] of the search in the genome's own units; changed in place."""
        genome[self.first : self.last] *= np.float32(self.scale)
        return genome


UNSCALED = Scaled()


@dataclass(frozen=True, eq=False)
class MirroredPopulation:
    """Mirrored Gaussian samples around a mean: member = mean ± scaled(σ·noise(seed, generation, pair))."""

    mean: np.ndarray
    """float32 [parameters]"""
    sigma: float
    seed: int
    generation: int
    scaled: Scaled = UNSCALED
    _kept: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def genome(self, member: int) -> np.ndarray:
        """A member's flat genome, float32 [parameters]."""
        pair, sign = pair_and_sign(member)
        noise = self._noise(pair)
        if pair not in self._kept:
            if len(self._kept) >= max(NOISE_KEPT // self.mean.nbytes, 1):
                del self._kept[next(iter(self._kept))]
            self._kept[pair] = noise
        return self.mean + self.scaled(np.float32(sign * self.sigma) * noise)

    def _noise(self, pair: int) -> np.ndarray:
        if pair in self._kept:
            return self._kept[pair]
        return seeds.noise(self.seed, self.generation, pair, len(self.mean))

    def weighted_noise(self, pairs: range, weights: np.ndarray) -> np.ndarray:
        """Σ weight·noise over a range of pairs, added one after another: float32 [parameters]."""
        total = np.zeros_like(self.mean)
        for pair, weight in zip(pairs, weights, strict=True):
            total += np.float32(weight) * self._noise(pair)
        return total
