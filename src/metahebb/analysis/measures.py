"""What the rewards of a life say: how soon it is competent, and what a perturbation does to it.

Everything here is a function of the rewards of one life, [steps]. The *moving reward* of a step is the mean reward of
the steps that begin with it, so many as the window is long: what the life earns from there on. Only windows that lie
within the life count.

- **Time to competence**: the first step such that the moving reward (``COMPETENCE_WINDOW``) of that step and of every
  later one is at least ``SHARE`` of the later level, the mean reward from that step to the end of the life. A life
  whose later level is nowhere above zero, or that ends first, is *censored*: it was not competent within its steps.
- **Time to its level**: the same without the later steps: the first step whose moving reward is at least ``SHARE`` of
  the mean reward from that step to the end. Whatever slows a life down late (a curve, a stumble) puts off the time to
  competence, and not this one.
- A perturbation strikes at a step. The **level before** it is the mean reward of the ``BEFORE`` steps before.
  **Depth** is the share of that level that is lost at the worst: 1 − (the least moving reward, ``RECOVERY_WINDOW``) /
  (level before). **Recovery time** counts the steps from the strike to the first at which the moving reward, having
  fallen below ``SHARE`` of the level before, is back there. A fall begins within ``FELT`` steps of the strike: a life
  without one has recovered after 0 steps. Of a life that falls and does not come back the time is *censored*: it is
  longer than what was left of the life. The worst is looked for from the strike to the recovery.

A life that ended before the strike, or that earned nothing before it, has no depth and no recovery time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = [
    "BEFORE", "COMPETENCE_WINDOW", "FELT", "RECOVERY_WINDOW", "SHARE", "Response", "Time", "Times", "competence",
    "moving_reward", "reached", "response",
]  # fmt: skip

SHARE = 0.8
"""of a level: what counts as having reached it"""
COMPETENCE_WINDOW = 100
"""steps"""
RECOVERY_WINDOW = 50
"""steps"""
BEFORE = 100
"""steps"""
FELT = 100
"""steps after a strike within which what it does begins"""


class Time(NamedTuple):
    """How many steps something took, or, censored, the steps within which it did not happen."""

    steps: int
    censored: bool = False


class Response(NamedTuple):
    """What a perturbation did to a life."""

    depth: float
    """the share of the level before that was lost at the worst; above 1 where rewards became negative"""
    recovery: Time


@dataclass(frozen=True)
class Times:
    """The times of several lives, censored ones among them."""

    times: tuple[Time, ...]

    @classmethod
    def of(cls, times: Iterable[Time]) -> Times:
        """The times of lives."""
        return cls(tuple(times))

    @property
    def censored(self) -> int:
        """In how many lives it did not happen."""
        return sum(time.censored for time in self.times)

    @property
    def median(self) -> int | None:
        """The median of Kaplan & Meier (1958), which takes a censored time for what it is: at least so long.

        The first time at which the estimated share of lives in which it has not happened yet is at most a half; None
        where it is never known to come to that.
        """
        left, surviving = len(self.times), 1.0
        ordered = sorted(self.times, key=lambda time: (time.steps, time.censored))
        for time in ordered:
            if not time.censored:
                surviving *= (left - 1) / left
                # A product of shares such as 2/3 · 1/2 is a little above what it stands for.
                if surviving <= 0.5 + 1e-9:
                    return time.steps
            left -= 1
        return None

    def __str__(self) -> str:
        median = "–" if self.median is None else f"{self.median}"
        return median if not self.censored else f"{median} ({self.censored} of {len(self.times)} never)"


def moving_reward(rewards: Sequence[float] | np.ndarray, window: int) -> np.ndarray:
    """The mean of each ``window`` rewards on end, by their first step: float64 [steps − window + 1], or empty."""
    sums = np.concatenate([[0.0], np.cumsum(rewards, dtype=np.float64)])
    mean: np.ndarray = (sums[window:] - sums[:-window]) / window
    return mean


def competence(rewards: Sequence[float] | np.ndarray, window: int = COMPETENCE_WINDOW) -> Time:
    """The time to competence of a life of these rewards, [steps]."""
    moving, later = _levels(rewards, window)
    # From each step on.
    least = np.minimum.accumulate(moving[::-1])[::-1]
    return _first(_at_level(least, later), len(rewards))


def reached(rewards: Sequence[float] | np.ndarray, window: int = COMPETENCE_WINDOW) -> Time:
    """The time to its level of a life of these rewards, [steps]."""
    return _first(_at_level(*_levels(rewards, window)), len(rewards))


def _levels(rewards: Sequence[float] | np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each step that begins a window: the moving reward, and the mean of all rewards from the step to the end."""
    rewards = np.asarray(rewards, np.float64)
    moving = moving_reward(rewards, window)
    later = np.cumsum(rewards[::-1])[::-1] / np.arange(len(rewards), 0, -1)
    return moving, later[: len(moving)]


def _at_level(moving: np.ndarray, later: np.ndarray) -> np.ndarray:
    # Sums of many numbers are known to some digits only.
    enough: np.ndarray = (later > 0) & (moving >= SHARE * later - 1e-9 * np.abs(later))
    return enough


def _first(true: np.ndarray, steps: int) -> Time:
    found = np.flatnonzero(true)
    return Time(int(found[0])) if len(found) else Time(steps, censored=True)


def response(rewards: Sequence[float] | np.ndarray, strike: int, window: int = RECOVERY_WINDOW) -> Response | None:
    """What a perturbation at step ``strike`` did to a life of these rewards, [steps].

    None where there is nothing to tell: the life ended before, or the level before is not above zero.
    """
    rewards = np.asarray(rewards, np.float64)
    before = rewards[max(strike - BEFORE, 0) : strike]
    if len(rewards) <= strike or not len(before) or before.mean() <= 0:
        return None
    level = float(before.mean())
    after = rewards[strike:]
    moving = moving_reward(after, window)
    if not len(moving):
        # Too short a rest to tell whether it would have come back.
        return Response(1 - float(after.mean()) / level, Time(len(after), censored=True))
    enough = moving >= SHARE * level - 1e-9 * level
    fallen = np.flatnonzero(~enough[:FELT])
    if not len(fallen):
        return Response(1 - float(moving[:FELT].min()) / level, Time(0))
    back = np.flatnonzero(enough[fallen[0] :])
    recovered = int(fallen[0] + back[0]) if len(back) else None
    depth = 1 - float(moving[:recovered].min()) / level
    return Response(depth, Time(len(after), censored=True) if recovered is None else Time(recovered))
