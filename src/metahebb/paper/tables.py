"""``metahebb paper table1`` and ``table2``: the published tables, with our agents' lives beside the published scores.

The agents are those that come with metahebb, or ones that are evolved anew from their configurations. Rows of which
there is no agent, or whose simulator is not installed, stay empty, and the table says why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metahebb import api, sweeps
from metahebb.agents import Agent, load_agent
from metahebb.analysis.intervals import Interval, bootstrap_interval
from metahebb.configuration import read_configuration
from metahebb.errors import UsageError, quoted
from metahebb.experiments.cells import Cell, live_cells
from metahebb.experiments.scores import Scores, scores_of
from metahebb.files import user_path
from metahebb.lifetimes.lives import Outcome
from metahebb.paper.published import STATIC, TABLES, Place, PublishedRow, PublishedScore
from metahebb.shipped import shipped, shipped_names
from metahebb.sweeps import Member

__all__ = ["PaperRow", "PaperTable", "agents_of", "make_table", "members_anew"]


@dataclass(frozen=True, eq=False)
class PaperRow:
    """A published score, and what an agent of ours scores in a place of its table."""

    published: PublishedRow
    place: Place
    static: bool
    scores: Scores | None
    """None where there is no agent that could live there"""

    @property
    def agent(self) -> str:
        """The name of the agent."""
        return self.place.agent + STATIC * self.static

    @property
    def expected(self) -> PublishedScore:
        """The published score."""
        return self.published.static if self.static else self.published.plastic


@dataclass(frozen=True, eq=False)
class PaperTable:
    """What a published table comes to with agents of ours."""

    title: str
    lives: int
    seed: int
    rows: tuple[PaperRow, ...]
    """each static one just before the plastic one of the same row and place"""
    notes: tuple[str, ...]
    """what is missing and why, and what should be known"""
    seconds: float

    def to_table(self) -> list[dict[str, str]]:
        """The rows that people read, by column."""
        return [self._cells(static, plastic) for static, plastic in zip(self.rows[::2], self.rows[1::2], strict=True)]

    def _cells(self, static: PaperRow, plastic: PaperRow) -> dict[str, str]:
        difference = _difference(static, plastic)
        cells = {
            "": f"{plastic.published.what}, {plastic.place.where}",
            "static, published": str(static.expected),
            "static, ours [95%]": _written(static.scores),
            "Hebbian, published": str(plastic.expected),
            "Hebbian, ours [95%]": _written(plastic.scores),
            "ours, Hebbian − static [95%]": "–"
            if difference is None
            else "{:+.0f} [{:+.0f}, {:+.0f}]".format(*difference),
        }
        # A name may have a hyphen, a number has a minus sign.
        return {name: cell.replace("-", "−") if name else cell for name, cell in cells.items()}

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows that programs read, by column; what is not known is None."""
        return [self._row(row) for row in self.rows]

    def _row(self, row: PaperRow) -> dict[str, Any]:
        facts = {
            "agent": row.agent,
            "static": row.static,
            "body": row.published.body,
            "simulator": row.place.simulator,
            "published_mean": row.expected.mean,
            "published_deviation": row.expected.deviation,
        }
        known = next(its.scores for its in self.rows if its.scores is not None)
        numbers: dict[str, Any] = dict.fromkeys([*known.summary(), "mean_low", "mean_high"])
        if row.scores is not None:
            interval = bootstrap_interval(row.scores.scores)
            numbers = {**row.scores.summary(), "mean_low": interval.low, "mean_high": interval.high}
        return {**facts, **numbers}

    def to_json(self) -> dict[str, Any]:
        """All of it, each life's numbers included, as JSON values."""
        facts = {"title": self.title, "seed": self.seed, "seconds": self.seconds, "notes": list(self.notes)}
        by_life = [None if row.scores is None else row.scores.per_life() for row in self.rows]
        rows = [{**row, "by_life": its} for row, its in zip(self.to_rows(), by_life, strict=True)]
        return {**facts, "rows": rows}


def _written(scores: Scores | None) -> str:
    if scores is None:
        return "–"
    mean, low, high = bootstrap_interval(scores.scores)
    return f"{mean:.0f} ± {scores.deviation:.0f} [{low:.0f}, {high:.0f}]"


def _difference(static: PaperRow, plastic: PaperRow) -> Interval | None:
    if static.scores is None or plastic.scores is None:
        return None
    return bootstrap_interval(plastic.scores.scores - static.scores.scores)


def agents_of(table: str, folder: Path | None = None) -> tuple[dict[str, Agent], list[str]]:
    """The agents of a table by name, and why others of it are not among them.

    They are those that come with metahebb, or those of the runs that have the same names in a ``folder``.
    """
    agents: dict[str, Agent] = {}
    missing = []
    names = [name for place in TABLES[table].places for name in (place.agent, place.agent + STATIC)]
    for name in dict.fromkeys(names):
        if name not in shipped_names():
            missing.append(f"{name}: no agent of this name comes with this version.")
            continue
        try:
            agents[name] = load_agent(shipped(name).folder if folder is None else folder / name)
        except UsageError as e:
            missing.append(f"{name}: {e}")
    return agents, missing


def members_anew(table: str, folder: str | Path) -> list[Member]:
    """Runs that evolve the agents of a table anew: each from the configuration of the shipped agent and for as many
    generations as its run had, in a folder with its name; those that are there go on.

    Raises UsageError where a run with other settings is there.
    """
    base = user_path("--retrain", folder)
    agents, _ = agents_of(table)
    wanted: dict[str, dict[str, Any]] = {}
    for name in agents:
        its = shipped(name)
        generations = its.record["generations"]
        there = base / name / "config.json"
        if there.exists():
            same = dataclasses.replace(read_configuration(there), generations=its.configuration.generations)
            if same != its.configuration:
                raise UsageError(
                    f"{quoted(there.parent)} is a run with other settings than {name}, which comes with metahebb, has; "
                    "give --retrain another folder."
                )
        wanted[name] = {"config": its.folder / "config.json", "generations": generations}
    return sweeps.members_at(base, wanted)


def make_table(
    table: str,
    *,
    folder: Path | None = None,
    lives: int = 100,
    seed: int = 0,
    workers: int | None = None,
    lived: Callable[[Outcome], None] | None = None,
    begun: Callable[[int], None] | None = None,
) -> PaperTable:
    """Live fresh lives with each agent of a published table, in each body and simulator of it.

    Args:
        table: ``"table1"`` or ``"table2"``.
        folder: runs with the agents' names, instead of the agents that come with metahebb.
        lives: of each score.
        seed: which lives: those that ``evaluate`` lives with the same seed.
        workers: worker processes, by default one per core.
        lived: is told of each life that ends.
        begun: is told how many lives there will be, once all is checked.

    Raises UsageError before any life is lived, RunError if an agent has none with a finite fitness.
    """
    lives, seed, workers = api.check_lives(lives, seed, workers)
    published = TABLES[table]
    agents, missing = agents_of(table, folder)
    cells: dict[tuple[Place, PublishedRow, bool], Cell] = {}
    for place in published.places:
        for static in (False, True):
            agent = agents.get(place.agent + STATIC * static)
            if agent is None:
                continue
            try:
                cells |= {
                    (place, row, static): Cell(agent.living_in(row.body, place.simulator)) for row in published.rows
                }
            except UsageError as e:
                missing.append(f"{place.agent + STATIC * static}, {place.where}: {e}")
    if not cells:
        raise UsageError(f"There is no agent for {published.title}: {' '.join(missing)}")
    if begun is not None:
        begun(lives * len(cells))
    outcome = live_cells(list(cells.values()), lives, seed, workers, lived)
    # Each by itself: a life that diverged has the worst score of its agent's, as in `evaluate`.
    scored = {key: scores_of([its], [None], [True])[0] for key, its in zip(cells, outcome.outcomes, strict=True)}
    rows = [
        PaperRow(row, place, static, scored.get((place, row, static)))
        for place in published.places
        for row in published.rows
        for static in (True, False)
    ]
    notes = (*missing, published.remark)
    return PaperTable(published.title, lives, seed, tuple(rows), notes, outcome.seconds)
