"""How sure a mean over lives, or over runs and lives, is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Interval", "bootstrap_interval", "runs_interval"]

RESAMPLES = 10_000
AT_A_TIME = 2**22
"""numbers drawn at a time"""


class Interval(NamedTuple):
    """A mean, and the interval that holds it with a probability of 95%."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}]".replace("-", "−")


def bootstrap_interval(values: np.ndarray) -> Interval:
    """The mean of ``values`` [n] and its 95% interval, by the percentiles of 10,000 resamples with replacement.

    The resamples are always the same ones, so that the same values give the same interval. Of paired lives the values
    are the differences. Of one value the interval is that value: nothing is known of its spread.
    """
    values = np.asarray(values, np.float64)
    draw = np.random.default_rng(0)
    means: list[np.ndarray] = []
    step = max(AT_A_TIME // len(values), 1)
    for first in range(0, RESAMPLES, step):
        chosen = draw.integers(len(values), size=(min(step, RESAMPLES - first), len(values)))
        means.append(values[chosen].mean(axis=1))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


def runs_interval(first: np.ndarray, second: np.ndarray) -> Interval:
    """How far the mean score of some runs lies above that of others, and its 95% interval over runs and lives.

    ``first`` [runs, lives] and ``second`` [other runs, lives] are scores in the same lives. Each of 10,000 resamples
    draws runs of both with replacement, each for itself, and lives, the same for all.
    """
    draw = np.random.default_rng(0)

    def drawn(size: int) -> np.ndarray:
        """How often each of so many is drawn, as a share: [resamples, size]."""
        return draw.multinomial(size, np.full(size, 1 / size), RESAMPLES) / size

    lives = drawn(first.shape[1])
    means = [((drawn(len(runs)) @ runs) * lives).sum(axis=1) for runs in (first, second)]
    low, high = np.percentile(means[0] - means[1], [2.5, 97.5])
    return Interval(float(first.mean() - second.mean()), float(low), float(high))
