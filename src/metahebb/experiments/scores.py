"""What the lives of a cell come to: scores, and the measures of their rewards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metahebb.analysis.measures import Response, Times, competence, reached, response
from metahebb.errors import RunError
from metahebb.lifetimes.lives import FAULTS, Outcome, why_diverged
from metahebb.perturbations import Perturbations

__all__ = ["Scores", "scores_of", "strike_of"]


@dataclass(frozen=True, eq=False)
class Scores:
    """The lives of a cell, by their numbers."""

    scores: np.ndarray
    """float64 [lives]; a life that diverged has the worst of the whole experiment"""
    steps: np.ndarray
    """int64 [lives]"""
    diverged: int
    reached: Times | None
    """the times to the lives' levels; None where something strikes in the middle of what they would be taken of"""
    competence: Times | None
    """the times to competence; None as before"""
    responses: tuple[Response | None, ...] | None
    """what the strike did to each life, None where it cannot be told; None as a whole where nothing strikes"""

    @property
    def mean(self) -> float:
        return float(self.scores.mean())

    @property
    def deviation(self) -> float:
        """The standard deviation over the lives."""
        return float(self.scores.std())

    @property
    def depth(self) -> float | None:
        """The median depth of the lives that a strike can be told of; of little that was earned before it is huge."""
        depths = [its.depth for its in self.responses or () if its is not None]
        return float(np.median(depths)) if depths else None

    @property
    def recovery(self) -> Times | None:
        """The recovery times of the lives that a strike can be told of."""
        return None if self.responses is None else Times.of(its.recovery for its in self.responses if its is not None)

    @property
    def unstruck(self) -> int:
        """How many lives ended before the strike or earned nothing before it."""
        return sum(its is None for its in self.responses or ())

    def summary(self) -> dict[str, Any]:
        """In numbers: a row of a table that programs read."""
        summary: dict[str, Any] = {
            "lives": len(self.scores),
            "mean": self.mean,
            "deviation": self.deviation,
            "median": float(np.median(self.scores)),
            "min": float(self.scores.min()),
            "max": float(self.scores.max()),
            "steps": float(self.steps.mean()),
            "diverged": self.diverged,
        }
        measured = {"reached": self.reached, "competence": self.competence, "recovery": self.recovery}
        for name, times in measured.items():
            summary |= {
                f"{name}_median": None if times is None else times.median,
                f"{name}_censored": None if times is None else times.censored,
            }
        unstruck = None if self.responses is None else self.unstruck
        return {**summary, "depth_median": self.depth, "unstruck": unstruck}

    def per_life(self) -> dict[str, Any]:
        """Of each life, by its number."""
        lives: dict[str, Any] = {"scores": self.scores.tolist(), "steps": self.steps.tolist()}
        for name, times in (("reached", self.reached), ("competence", self.competence)):
            if times is not None:
                lives[name] = [time._asdict() for time in times.times]
        if self.responses is not None:
            lives["responses"] = [
                None if its is None else {"depth": its.depth, "recovery": its.recovery._asdict()}
                for its in self.responses
            ]
        return lives


def strike_of(perturbations: Perturbations) -> int | None:
    """The step at which the first of the perturbations strikes; None without any, or where it does from the start."""
    return min((its.begin for its in perturbations), default=0) or None


def scores_of(cells: Sequence[Sequence[Outcome]], strikes: Sequence[int | None], whole: Sequence[bool]) -> list[Scores]:
    """The scores of each cell's outcomes.

    ``strikes`` are the steps at which their rewards are looked at for what a perturbation did, which may be an
    undisturbed cell's too, for comparison; ``whole`` says of which the times to competence are told.
    Raises RunError where no life at all had a finite fitness.
    """
    fitness = [np.array([outcome.fitness for outcome in outcomes]) for outcomes in cells]
    finite = np.concatenate(fitness)[np.isfinite(np.concatenate(fitness))]
    if not len(finite):
        lives = [outcome for outcomes in cells for outcome in outcomes]
        raise RunError(f"None of {len(lives)} lives had a finite fitness: {FAULTS[why_diverged(lives)]}.")
    scores = []
    for outcomes, raw, strike, is_whole in zip(cells, fitness, strikes, whole, strict=True):
        # The last reward of a life that diverged is no number.
        rewards = [np.nan_to_num(_rewards(outcome), nan=0.0) for outcome in outcomes]
        scores.append(
            Scores(
                np.where(np.isfinite(raw), raw, finite.min()),
                np.array([outcome.steps for outcome in outcomes]),
                int((~np.isfinite(raw)).sum()),
                Times.of(map(reached, rewards)) if is_whole else None,
                Times.of(map(competence, rewards)) if is_whole else None,
                None if strike is None else tuple(response(its, strike) for its in rewards),
            )
        )
    return scores


def _rewards(outcome: Outcome) -> np.ndarray:
    assert outcome.rewards is not None
    return outcome.rewards
