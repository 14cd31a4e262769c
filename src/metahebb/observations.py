"""What lives have observed, and how observations are normalised by it: (o − mean)/deviation, over all of evolution.

The mean and the deviation of each number that networks see are gathered in every life of a generation and used from the
next on (Salimans et al. 2017; Mania et al. 2018). They belong to the agent: its file has them beside its genes, and in
its lives they never change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

__all__ = ["FARTHEST", "Sensed"]

FARTHEST = 5.0
"""how far from 0 a normalised observation may be (Salimans et al. 2017)"""
STILL = 1e-6
"""times 1 + |mean|: a deviation that rounding makes of a number that never changes"""


class Sensed(NamedTuple):
    """The sums of what was observed in so many steps."""

    steps: int
    total: np.ndarray
    """float64 [features]"""
    squares: np.ndarray
    """float64 [features]"""

    @classmethod
    def nothing(cls, features: int) -> Sensed:
        """Before the first step."""
        return cls(0, np.zeros(features), np.zeros(features))

    @classmethod
    def of(cls, steps: int, normalisation: np.ndarray) -> Sensed:
        """What a normalisation, float32 [2·features], was made of."""
        mean, deviation = np.float64(normalisation).reshape(2, -1)
        return cls(steps, steps * mean, steps * (deviation**2 + mean**2))

    def with_lives(self, lives: Iterable[tuple[int, np.ndarray]]) -> Sensed:
        """With the sums of lives, (steps, float64 [2, features]) each; those with NaN or infinity are left out."""
        steps, total, squares = self.steps, self.total.copy(), self.squares.copy()
        for length, sums in lives:
            if np.isfinite(sums).all():
                steps, total, squares = steps + length, total + sums[0], squares + sums[1]
        return Sensed(steps, total, squares)

    @property
    def normalisation(self) -> np.ndarray:
        """The means and then the deviations, float32 [2·features]; what never changed is left as it is: 0 and 1.

        A constant among the observations is all that a network without biases has of a bias.
        """
        steps = max(self.steps, 1)
        mean = self.total / steps
        deviation = np.sqrt(np.maximum(self.squares / steps - mean**2, 0))
        changes = deviation > STILL * (1 + np.abs(mean))
        return np.concatenate([np.where(changes, mean, 0), np.where(changes, deviation, 1)]).astype(np.float32)
