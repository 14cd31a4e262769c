"""What identifies a life, and what comes of it.

A life is what others call an episode or a rollout: a network in its world, from random weights to the end.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from metahebb.seeds import Stream, words

__all__ = ["FAULTS", "NETWORK", "OBSERVATION", "REWARD", "Life", "Outcome", "life_of", "why_diverged"]


NETWORK, OBSERVATION, REWARD = "network", "observation", "reward"
FAULTS = {
    NETWORK: "the networks diverge",
    OBSERVATION: "the environment's observations are not (NaN or infinity), and networks cannot live on such",
    REWARD: "the environment's rewards are not (NaN or infinity), or their sum is beyond float32's ±3.4e38",
}
"""Why lives diverge, in words."""


class Life(NamedTuple):
    """One life: whose it is and the seeds that decide everything in it."""

    member: int
    """the member of the population"""
    number: int
    """which of the member's lives"""
    world: int
    """the world's seed, 0 ≤ seed < 2³¹"""
    key: tuple[int, int]
    """the words of the JAX key of its initial weights"""
    body: str = ""
    """what it lives in, where its task has bodies"""
    variant: int = 0
    """which of the perturbations that its slots know disturb it (``Slots``)"""


class Outcome(NamedTuple):
    """What came of a life."""

    member: int
    number: int
    fitness: float
    """the sum of its rewards; not finite where the life diverged"""
    steps: int
    mean_square: float
    """of its synapses' genes, which the search penalises"""
    fault: str = NETWORK
    """whose numbers ceased to be finite, where some did: one of ``FAULTS``"""
    rewards: np.ndarray | None = None
    """of its steps, float32 [steps], where they are kept"""
    sensed: np.ndarray | None = None
    """the sums of its observations and of their squares, float64 [2, features], where networks normalise"""

    @property
    def diverged(self) -> bool:
        """Whether the network's outputs, or the rewards, ceased to be finite."""
        return not math.isfinite(self.fitness)


def why_diverged(outcomes: Iterable[Outcome]) -> str:
    """The fault of most of the lives that diverged, of which there is one."""
    faults = Counter(outcome.fault for outcome in outcomes if outcome.diverged)
    return faults.most_common(1)[0][0]


def life_of(member: int, number: int, seed: int, stream: Stream, *index: int, body: str = "", variant: int = 0) -> Life:
    """The life with the seeds of a stream's index and its own number."""
    world, *key = (int(w) for w in words(seed, stream, *index, number, count=3))
    return Life(member, number, world >> 1, (key[0], key[1]), body, variant)
