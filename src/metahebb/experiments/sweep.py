"""Sweeps: agents' lives in a grid of bodies, strengths and onsets of perturbations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from metahebb.agents import Agent
from metahebb.analysis.intervals import Interval, bootstrap_interval
from metahebb.api import check_lives
from metahebb.errors import UsageError, unknown
from metahebb.evolution.runs import Run
from metahebb.experiments.bodies import NAMED
from metahebb.experiments.cells import Cell, live_cells, simulator_for
from metahebb.experiments.comparison import agents_by_name
from metahebb.experiments.controls import check_any_plastic, controls_of
from metahebb.experiments.ranges import Ranged, ranged
from metahebb.experiments.scores import Scores, scores_of, strike_of
from metahebb.lifetimes.lives import Outcome
from metahebb.perturbations import perturbations_for

__all__ = ["Axis", "Sweep", "SweepCell", "SweepOther", "sweep"]

MOST_CELLS = 1000
BODY = "body"


@dataclass(frozen=True)
class Axis:
    """What varies along one side of a grid."""

    name: str
    values: tuple[float | str, ...]
    """numbers, or bodies"""

    @property
    def numeric(self) -> bool:
        return not isinstance(self.values[0], str)


@dataclass(frozen=True, eq=False)
class SweepCell:
    """The lives at one place of a grid."""

    at: tuple[float | str, ...]
    """the value of each axis"""
    body: str
    """empty in a task without bodies"""
    perturbation: str
    scores: Scores
    difference: Interval
    """of the scores to those of the same lives undisturbed in the agent's own body, mean and 95% interval; of another
    agent's to the first one's at the same place, and of a control's to its agent's there"""


@dataclass(frozen=True, eq=False)
class SweepOther:
    """The lives of another agent in the grid, or of a control."""

    agent: str
    control: str
    """empty for an agent itself"""
    evolved_in: tuple[str, ...]
    reference: Scores
    """of the lives that nothing disturbs, in the agent's own body"""
    difference: Interval | None
    """of these to the first agent's, or a control's to its agent's"""
    cells: tuple[SweepCell, ...]
    """in the order of the first agent's"""

    @property
    def mean(self) -> float:
        """of all places, each of which counts alike"""
        return _mean(self.cells)

    @property
    def name(self) -> str:
        """As tables call it."""
        return ", ".join(filter(None, (self.agent, self.control)))


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a sweep came to."""

    task: str
    simulator: str | None
    seed: int
    agent: str
    """the first one's name; empty where there is no other"""
    evolved_in: tuple[str, ...]
    """the bodies that the agent was evolved in"""
    axes: tuple[Axis, ...]
    """one or two"""
    reference: Scores
    """of the lives that nothing disturbs, in the agent's own body"""
    cells: tuple[SweepCell, ...]
    """in the order of the axes' values, the last axis changing fastest"""
    seconds: float
    others: tuple[SweepOther, ...] = ()

    @property
    def lives(self) -> int:
        """of each cell"""
        return len(self.reference.scores)

    @property
    def steps_per_second(self) -> float:
        """of all lives together"""
        return sum(int(row.scores.steps.sum()) for row in self._rows) / self.seconds

    @property
    def mean(self) -> float:
        """of all places, each of which counts alike"""
        return _mean(self.cells)

    @property
    def _rows(self) -> list[_Row]:
        """What there is to tell, the first agent first: what nothing disturbs, then place by place."""
        first = SweepOther(self.agent, "", self.evolved_in, self.reference, None, self.cells)
        rows = []
        for its in (first, *self.others):
            rows.append(_Row(its, None, its.reference, its.difference))
            rows += [_Row(its, cell, cell.scores, cell.difference) for cell in its.cells]
        return rows

    def to_table(self) -> list[dict[str, str]]:
        """The rows that people read, by column; the first is that of what nothing disturbs."""
        return [self._cells(row) for row in self._rows]

    def _cells(self, row: _Row) -> dict[str, str]:
        scores, every = row.scores, [other.scores for other in self._rows]
        at = ("undisturbed",) if row.cell is None else row.cell.at
        cells = {"": row.of.name or "the agent"} if self.others else {}
        cells[", ".join(axis.name for axis in self.axes)] = ", ".join(
            f"{value:g}" if isinstance(value, float) else value for value in at
        )
        if any(axis.name == BODY for axis in self.axes):
            body = "" if row.cell is None else row.cell.body
            cells["evolved in it"] = "yes" if body in row.of.evolved_in or not body else "no"
        cells["mean ± deviation"] = f"{scores.mean:.1f} ± {scores.deviation:.1f}"
        cells["difference [95%]"] = "–" if row.difference is None else str(row.difference)
        cells["steps"] = f"{scores.steps.mean():.0f}"
        if any(cell.scores.competence is not None for cell in self.cells):
            cells["reaches its level"] = "–" if scores.reached is None else str(scores.reached)
            cells["stays from"] = "–" if scores.competence is None else str(scores.competence)
        if any(cell.scores.responses is not None for cell in self.cells):
            cells["depth"] = "–" if scores.depth is None else f"{scores.depth:.0%}"
            cells["recovered after"] = "–" if scores.recovery is None else str(scores.recovery)
        for name, counted in (("not struck", "unstruck"), ("diverged", "diverged")):
            if any(getattr(other, counted) for other in every):
                cells[name] = str(getattr(scores, counted))
        return cells

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows that programs read, by column; what is not known is None. The first is undisturbed."""
        return [self._values(row) for row in self._rows]

    def _values(self, row: _Row) -> dict[str, Any]:
        cell, ends = row.cell, row.difference or (None, None, None)
        at = [None] * len(self.axes) if cell is None else cell.at
        values = {axis.name: value for axis, value in zip(self.axes, at, strict=True)}
        # An axis of bodies has the same name, and says the same.
        body = {} if BODY in values else {"body": (None if cell is None else cell.body) or None}
        return {
            **values,
            **body,
            "agent": row.of.agent,
            "control": row.of.control,
            "perturbation": "" if cell is None else cell.perturbation,
            **row.scores.summary(),
            **{f"difference{end}": value for end, value in zip(("", "_low", "_high"), ends, strict=True)},
        }

    def to_json(self) -> dict[str, Any]:
        """All of it, each life's numbers included, as JSON values."""
        return {
            "task": self.task,
            "simulator": self.simulator,
            "seed": self.seed,
            "evolved_in": list(self.evolved_in),
            "axes": [{"name": axis.name, "values": list(axis.values)} for axis in self.axes],
            "seconds": self.seconds,
            "rows": [{**self._values(row), "by_life": row.scores.per_life()} for row in self._rows],
        }


def _mean(cells: Sequence[SweepCell]) -> float:
    return sum(cell.scores.mean for cell in cells) / len(cells)


class _Row(NamedTuple):
    """A row of a sweep's tables."""

    of: SweepOther
    """whose it is; the first agent's too"""
    cell: SweepCell | None
    """None for what nothing disturbs"""
    scores: Scores
    difference: Interval | None


def sweep(
    *agents: Agent | Run | str | Path,
    morphology: str | Sequence[str] = (),
    perturb: str | Sequence[str] = (),
    bodies: str | None = None,
    lives: int = 20,
    seed: int = 0,
    simulator: str | None = None,
    frozen_from: Sequence[int] = (),
    random_rules: bool = False,
    shuffled_rules: bool = False,
    initial_weights: Sequence[str] = (),
    imports: Sequence[str] = (),
    trust_code: bool = False,
    workers: int | None = None,
    lived: Callable[[Outcome], None] | None = None,
    begun: Callable[[int], None] | None = None,
) -> Sweep:
    """Live agents' lives at each place of a grid: over bodies, a perturbation's strength, its onset.

    A range is written FIRST..LAST:COUNT wherever a body or a perturbation has a number: ``front-left=1.0,0.25..1.5:6``,
    ``noise-weights:0..1:5@300``, ``zero-weights@100..900:5``. One range makes a line, two a map.

    Args:
        agents: agents, runs, or the files of either, all of one task. The first is the one that others are compared
            with.
        morphology: a body, perhaps with ranges; or several bodies, which are an axis by themselves.
        perturb: perturbations, all of them at once; ranges in them are axes.
        bodies: a named set of bodies instead of ``morphology``: ``"kandel"`` or ``"unseen"``.
        lives: at each place, the same ones.
        seed: which lives: those that ``evaluate`` lives with the same seed.
        simulator: of the task, by default the one that published numbers are measured in.
        frozen_from, random_rules, shuffled_rules, initial_weights: controls, as for ``compare``, at each place.
        imports, trust_code: as for ``load``.
        workers: worker processes, by default one per core.
        lived: is told of each life that ends.
        begun: is told how many lives there will be, once all is checked.

    Raises UsageError before any life is lived, RunError if none has a finite fitness.
    """
    lives, seed, workers = check_lives(lives, seed, workers)
    named = agents_by_name(agents, imports, trust_code)
    simulator = simulator_for(next(iter(named.values())), simulator)
    evolved_in = {name: agent.configuration.morphologies for name, agent in named.items()}
    named = {name: agent.living_in(None, simulator) for name, agent in named.items()}
    controls = controls_of(
        seed,
        frozen_from=frozen_from,
        random_rules=random_rules,
        shuffled_rules=shuffled_rules,
        initial_weights=initial_weights,
    )
    morphologies = _bodies(bodies, [morphology] if isinstance(morphology, str) else list(morphology))
    perturbations = [ranged(text, "--perturb") for text in ([perturb] if isinstance(perturb, str) else perturb)]
    axes, places = _grid(morphologies, perturbations)
    groups: dict[tuple[str, str], list[Cell]] = {}
    for name, agent in named.items():
        groups[name, ""] = own = _cells_of(agent, places, simulator)
        for control in controls:
            controlled = [control.cell_of(cell) for cell in own]
            if None not in controlled:
                groups[name, control.name] = [cell for cell in controlled if cell is not None]
    check_any_plastic(
        {control.name: [cells[0] for (_, its), cells in groups.items() if its == control.name] for control in controls}
    )
    cells = next(iter(groups.values()))
    if begun is not None:
        begun(lives * len(cells) * len(groups))
    outcome = live_cells([cell for group in groups.values() for cell in group], lives, seed, workers, lived)
    strikes = [strike_of(cell.perturbations) for cell in cells]
    whole = [True, *(strike is None for strike in strikes[1:])]
    # What chance alone looks like, where there is one step to look at.
    strikes[0] = strikes[1] if len({*strikes[1:]}) == 1 else None
    every = scores_of(outcome.outcomes, strikes * len(groups), whole * len(groups))
    lived_by = {whose: every[i * len(cells) : (i + 1) * len(cells)] for i, whose in enumerate(groups)}
    (first, _), *rest = groups

    def swept(its: Sequence[Scores], beside: Sequence[Scores]) -> tuple[SweepCell, ...]:
        return tuple(
            SweepCell(
                at,
                cell.agent.body,
                " ".join(map(str, cell.perturbations)),
                scores,
                bootstrap_interval(scores.scores - other.scores),
            )
            for (at, _, _), cell, scores, other in zip(places, cells[1:], its[1:], beside[1:], strict=True)
        )

    def other(name: str, control: str) -> SweepOther:
        its, beside = lived_by[name, control], lived_by[name if control else first, ""]
        shown = name if len(named) > 1 else ""
        difference = bootstrap_interval(its[0].scores - beside[0].scores)
        return SweepOther(shown, control, evolved_in[name], its[0], difference, swept(its, beside))

    its = lived_by[first, ""]
    return Sweep(
        named[first].configuration.task,
        simulator,
        seed,
        first if len(named) > 1 else "",
        evolved_in[first],
        axes,
        its[0],
        swept(its, [its[0]] * len(its)),
        outcome.seconds,
        tuple(other(name, control) for name, control in rest),
    )


def _cells_of(agent: Agent, places: Sequence[_Place], simulator: str | None) -> list[Cell]:
    """What an agent lives: undisturbed in its own body, then at each place."""
    # Checked all at once: a world is made for it.
    texts = list(dict.fromkeys(text for _, _, disturbing in places for text in disturbing))
    checked = dict(zip(texts, perturbations_for(texts, agent.task, agent.network), strict=True))
    there = {body: agent.living_in(body, simulator) for body in dict.fromkeys(body for _, body, _ in places)}
    return [
        Cell(agent),
        *(Cell(there[body], tuple(checked[text] for text in disturbing)) for _, body, disturbing in places),
    ]


def _bodies(named: str | None, morphologies: list[str]) -> list[Ranged]:
    if named is None:
        return [ranged(text, "--morphology") for text in morphologies]
    if morphologies:
        raise UsageError("--bodies and --morphology both say the bodies; leave one of them out.")
    if named not in NAMED:
        raise unknown("set of bodies", named, NAMED)
    return [Ranged((text,), ()) for text in NAMED[named]()]


_Place = tuple[tuple[float | str, ...], str | None, list[str]]
"""the axes' values, the body (None for the agent's own) and the perturbations"""


def _grid(morphologies: Sequence[Ranged], perturbations: Sequence[Ranged]) -> tuple[tuple[Axis, ...], list[_Place]]:
    """The axes, and the places of the grid."""
    axes: list[Axis] = []
    # Each makes texts of its part of a place's values.
    parts: list[tuple[int, Callable[[Sequence[Any]], str]]] = []
    if len(morphologies) > 1:
        all_bodies = [its.text(chosen) for its in morphologies for chosen in itertools.product(*its.values)]
        axes.append(Axis(BODY, tuple(dict.fromkeys(all_bodies))))
        parts.append((1, lambda chosen: str(chosen[0])))
        morphologies = []
    for its in (*morphologies, *perturbations):
        first = len(axes)
        axes += [Axis(its.label(first, i), values) for i, values in enumerate(its.values)]
        parts.append((len(its.values), its.text))
    if not 1 <= len(axes) <= 2:
        raise UsageError(
            f"A sweep is over one or two ranges, FIRST..LAST:COUNT in --morphology or --perturb; {len(axes)} are given."
        )
    places: list[_Place] = []
    has_body = len(parts) > len(perturbations)
    for at in itertools.product(*(axis.values for axis in axes)):
        left = list(at)
        texts = []
        for count, text in parts:
            texts.append(text(left[:count]))
            del left[:count]
        places.append((at, texts[0] if has_body else None, texts[has_body:]))
    if len(places) > MOST_CELLS:
        raise UsageError(f"The sweep has {len(places):,} places; it can have {MOST_CELLS:,}: lower the ranges' counts.")
    return tuple(axes), places
