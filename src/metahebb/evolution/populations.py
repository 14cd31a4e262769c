"""A generation's genomes, each made where its member lives."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from metahebb import seeds

__all__ = ["MirroredPopulation", "pair_and_sign"]


def pair_and_sign(member: int) -> tuple[int, float]:
    """The mirrored pair that a member belongs to, and the sign of its noise: 0 is +, 1 is −, 2 is + of the next."""
    return member // 2, 1.0 if member % 2 == 0 else -1.0


@dataclass(frozen=True, eq=False)
class MirroredPopulation:
    """Mirrored Gaussian samples around a mean: member = mean ± σ·noise(seed, generation, pair)."""

    mean: np.ndarray
    """float32 [parameters]"""
    sigma: float
    seed: int
    generation: int

    def genome(self, member: int) -> np.ndarray:
        """A member's flat genome, float32 [parameters]."""
        pair, sign = pair_and_sign(member)
        return self.mean + np.float32(sign * self.sigma) * self._noise(pair)

    @functools.lru_cache(maxsize=4)  # noqa: B019  (a worker holds one population at a time)
    def _noise(self, pair: int) -> np.ndarray:
        return seeds.noise(self.seed, self.generation, pair, len(self.mean))

    def weighted_noise(self, pairs: range, weights: np.ndarray) -> np.ndarray:
        """Σ weight·noise over a range of pairs, added one after another: float32 [parameters]."""
        total = np.zeros_like(self.mean)
        for pair, weight in zip(pairs, weights, strict=True):
            noise = seeds.noise(self.seed, self.generation, pair, len(total))
            noise *= np.float32(weight)
            total += noise
        return total
