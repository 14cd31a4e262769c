"""How sure a mean over lives is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Interval", "bootstrap_interval"]

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
