"""A generation's genomes, each made where its member lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from metahebb import seeds
from metahebb.evolution.noise import FULL, NoiseShape

__all__ = ["FilterScale", "MirroredPopulation", "StartingPopulation", "pair_and_sign"]

NOISE_KEPT = 2**28
"""Bytes of noise that a worker keeps of a generation: its members' genomes are made of it, and then the update, which
would otherwise draw the same numbers again."""
AROUND = 0.1
"""Times the deviation of random genomes: how far from a given genome the members of a starting population lie."""


def pair_and_sign(member: int) -> tuple[int, float]:
    """The mirrored pair that a member belongs to, and the sign of its noise: 0 is +, 1 is −, 2 is + of the next."""
    return member // 2, 1.0 if member % 2 == 0 else -1.0


class FilterScale(NamedTuple):
    """The unit, ``factor``, in which the search measures an encoder's filters: genes ``first`` to before ``last``."""

    first: int = 0
    last: int = 0
    factor: float = 1.0

    def __call__(self, genes: np.ndarray) -> np.ndarray:
        """Genes or a step of them [parameters], from the search's units to the genome's; changed in place."""
        genes[self.first : self.last] *= np.float32(self.factor)
        return genes


UNSCALED = FilterScale()


@dataclass(frozen=True, eq=False)
class StartingPopulation:
    """Genomes that evolution starts from, drawn at random.

    ``distribution`` is ``"normal"``, N(0, 1), or ``"uniform"``, in [−1, 1]; both are multiplied by ``scale`` and then,
    filters alone, by ``filter_scale``. With ``around``, a genome, member 0 is that one and the others lie around it,
    with a tenth of the deviation that they would be drawn with.
    """

    parameters: int
    seed: int
    distribution: str = "normal"
    scale: float = 1.0
    filter_scale: FilterScale = UNSCALED
    around: np.ndarray | None = None
    """float32 [parameters]"""

    def genome(self, member: int) -> np.ndarray:
        """A member's flat genome, float32 [parameters]."""
        if self.around is not None and member == 0:
            return self.around
        drawn = self.filter_scale(seeds.start(self.seed, self.parameters, self.distribution, [member], self.scale)[0])
        return drawn if self.around is None else self.around + np.float32(AROUND) * drawn


@dataclass(frozen=True, eq=False)
class MirroredPopulation:
    """Mirrored samples around a mean: member = mean ± filter_scale(σ·noise), noise of (seed, generation, pair)."""

    mean: np.ndarray
    """float32 [parameters]"""
    sigma: float
    seed: int
    generation: int
    filter_scale: FilterScale = UNSCALED
    shape: NoiseShape = FULL
    fixed: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    """float32 [n]: what all members have behind what is searched"""
    _kept: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def genome(self, member: int) -> np.ndarray:
        """A member's flat genome, float32 [parameters]."""
        pair, sign = pair_and_sign(member)
        drawn = self._drawn(pair)
        if pair not in self._kept:
            if len(self._kept) >= max(NOISE_KEPT // drawn.nbytes, 1):
                del self._kept[next(iter(self._kept))]
            self._kept[pair] = drawn
        searched = self.mean + self.filter_scale(np.float32(sign * self.sigma) * self.shape.noise(drawn))
        return np.concatenate([searched, self.fixed]) if len(self.fixed) else searched

    def genomes(self, members: Sequence[int]) -> np.ndarray:
        """Flat genomes, float32 [members, parameters]."""
        return np.stack([self.genome(member) for member in members])

    def _drawn(self, pair: int) -> np.ndarray:
        """The numbers that a pair's noise is made of."""
        if pair in self._kept:
            return self._kept[pair]
        return seeds.noise(self.seed, self.generation, pair, self.shape.numbers(len(self.mean)))

    def weighted_noise(self, pairs: range, weights: np.ndarray) -> np.ndarray:
        """Σ weight·noise over a range of pairs, in one order: float32 [parameters]."""
        return self.shape.total(len(self.mean), (self._drawn(pair) for pair in pairs), weights)
