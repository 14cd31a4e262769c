"""Agents compared: in the same worlds, from the same random numbers, undisturbed and disturbed, beside controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metahebb.agents import Agent
from metahebb.analysis.intervals import Interval, bootstrap_interval
from metahebb.api import agent_of, check_lives
from metahebb.configuration import SETTINGS
from metahebb.errors import UsageError, quoted
from metahebb.evolution.runs import Run
from metahebb.experiments.cells import Cell, live_cells, simulator_for
from metahebb.experiments.controls import check_any_plastic, controls_of
from metahebb.experiments.scores import Scores, scores_of, strike_of
from metahebb.lifetimes.lives import Outcome
from metahebb.perturbations import Perturbation, perturbations_for
from metahebb.shipped import located

__all__ = ["Comparison", "ComparisonRow", "agents_by_name", "compare"]

SAME = ("env_args", "max_steps")
"""settings that agents of the same task must share, or their worlds are not the same"""


@dataclass(frozen=True, eq=False)
class ComparisonRow:
    """The lives of an agent, or of one of its controls, undisturbed or disturbed."""

    agent: str
    control: str
    """empty for the agent itself"""
    perturbation: str
    """empty where nothing disturbs"""
    scores: Scores
    against: str = ""
    """whom ``difference`` is to: the first agent, or of a control its agent, in the same circumstances"""
    difference: Interval | None = None
    """of the scores in the same lives, mean and 95% interval"""
    loss: Interval | None = None
    """the scores less those of the same lives undisturbed"""

    @property
    def name(self) -> str:
        """The agent and the control."""
        return f"{self.agent}, {self.control}" if self.control else self.agent


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a comparison came to."""

    task: str
    body: str
    """empty in a task without bodies"""
    simulator: str | None
    perturbations: tuple[str, ...]
    seed: int
    rows: tuple[ComparisonRow, ...]
    seconds: float

    @property
    def lives(self) -> int:
        """of each row"""
        return len(self.rows[0].scores.scores)

    @property
    def steps_per_second(self) -> float:
        """of all lives together"""
        return sum(int(row.scores.steps.sum()) for row in self.rows) / self.seconds

    def to_table(self) -> list[dict[str, str]]:
        """The rows that people read, by column."""
        return [self._cells(row) for row in self.rows]

    def _cells(self, row: ComparisonRow) -> dict[str, str]:
        s = row.scores
        cells = {"": row.name}
        if self.perturbations:
            cells["disturbed"] = "yes" if row.perturbation else "no"
        cells["mean ± deviation"] = f"{s.mean:.1f} ± {s.deviation:.1f}"
        cells["difference [95%]"] = "–" if row.difference is None else str(row.difference)
        if self.perturbations:
            cells["lost to it [95%]"] = "–" if row.loss is None else str(row.loss)
        cells["steps"] = f"{s.steps.mean():.0f}"
        cells["reaches its level"] = "–" if s.reached is None else str(s.reached)
        cells["stays from"] = "–" if s.competence is None else str(s.competence)
        if any(other.scores.responses is not None for other in self.rows):
            cells["depth"] = "–" if s.depth is None else f"{s.depth:.0%}"
            cells["recovered after"] = "–" if s.recovery is None else str(s.recovery)
        for name, counted in (("not struck", "unstruck"), ("diverged", "diverged")):
            if any(getattr(other.scores, counted) for other in self.rows):
                cells[name] = str(getattr(s, counted))
        return cells

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows that programs read, by column; what is not known is None."""
        return [self._row(row) for row in self.rows]

    def _row(self, row: ComparisonRow) -> dict[str, Any]:
        intervals = {
            f"{name}{end}": None if interval is None else value
            for name, interval in (("difference", row.difference), ("loss", row.loss))
            for end, value in zip(("", "_low", "_high"), interval or (None, None, None), strict=True)
        }
        names = {"agent": row.agent, "control": row.control, "perturbation": row.perturbation}
        return {**names, **row.scores.summary(), "against": row.against, **intervals}

    def to_json(self) -> dict[str, Any]:
        """All of it, each life's numbers included, as JSON values."""
        facts = {
            "task": self.task,
            "body": self.body or None,
            "simulator": self.simulator,
            "perturbations": list(self.perturbations),
            "seed": self.seed,
            "seconds": self.seconds,
        }
        rows = [{**self._row(row), "by_life": row.scores.per_life()} for row in self.rows]
        return {**facts, "rows": rows}


def compare(
    *agents: Agent | Run | str | Path,
    perturb: Sequence[str | Perturbation] = (),
    lives: int = 100,
    seed: int = 0,
    morphology: str | None = None,
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
) -> Comparison:
    """Live the same lives with several agents, each beside its controls, undisturbed and under perturbations.

    Args:
        agents: agents, runs, or the files of either, all of one task. The first is the one that others are compared
            with.
        perturb: what disturbs lives, all of it at once, in this order, such as ``["zero-weights@300"]``.
        lives: of each row of the result.
        seed: which lives: those that ``evaluate`` lives with the same seed.
        morphology: the body that all live in, where the task has bodies; by default the first that the first agent
            was evolved in.
        simulator: of the task, by default the one that published numbers are measured in.
        frozen_from: for each of these steps a control whose plasticity ends there.
        random_rules: a control with random coefficients, drawn as those that evolution begins with.
        shuffled_rules: a control with the agent's own coefficients, shuffled among the synapses.
        initial_weights: for each of these distributions a control that lives begin with.
        imports, trust_code: as for ``load``.
        workers: worker processes, by default one per core.
        lived: is told of each life that ends.
        begun: is told how many lives there will be, once all is checked.

    Raises UsageError before any life is lived, RunError if none has a finite fitness.
    """
    lives, seed, workers = check_lives(lives, seed, workers)
    named = agents_by_name(agents, imports, trust_code)
    first = next(iter(named.values()))
    simulator = simulator_for(first, simulator)
    body = morphology if morphology is not None else (first.body or None)
    named = {label: agent.living_in(body, simulator) for label, agent in named.items()}
    controls = controls_of(
        seed,
        frozen_from=frozen_from,
        random_rules=random_rules,
        shuffled_rules=shuffled_rules,
        initial_weights=initial_weights,
    )
    cells: dict[tuple[str, str, bool], Cell] = {}
    for label, agent in named.items():
        perturbations = perturbations_for(perturb, agent.task, agent.network)
        for disturbed in [False, True] if perturb else [False]:
            own = Cell(agent, perturbations if disturbed else ())
            cells[label, "", disturbed] = own
            for control in controls:
                if (its := control.cell_of(own)) is not None:
                    cells[label, control.name, disturbed] = its
    check_any_plastic(
        {control.name: [cells.get((label, control.name, False)) for label in named] for control in controls}
    )
    if begun is not None:
        begun(lives * len(cells))
    outcome = live_cells(list(cells.values()), lives, seed, workers, lived)
    # Of the agents that there are the perturbations are the same.
    strike = strike_of(perturbations)
    scores = scores_of(
        outcome.outcomes,
        [strike] * len(cells),
        [strike is None or not disturbed for _, _, disturbed in cells],
    )
    rows = _rows(dict(zip(cells, scores, strict=True)), perturbations)
    texts = tuple(map(str, perturbations))
    body = first.living_in(body, simulator).body
    return Comparison(first.configuration.task, body, simulator, texts, seed, tuple(rows), outcome.seconds)


def agents_by_name(
    agents: Sequence[Agent | Run | str | Path], imports: Sequence[str], trust_code: bool
) -> dict[str, Agent]:
    """Agents of one task, by names that differ; raises UsageError for none, or for those of other worlds."""
    if not agents:
        raise UsageError("There is no agent to compare; give one or more.")
    named = dict(zip(_labels(agents), (agent_of(given, imports, trust_code) for given in agents), strict=True))
    _check_alike(named)
    return named


def _labels(agents: Sequence[Agent | Run | str | Path]) -> list[str]:
    """Names of the agents that differ: the last parts of their paths, as few as will do."""
    paths = [
        None if isinstance(given, Agent) else located("The agent", given.folder if isinstance(given, Run) else given)
        for given in agents
    ]
    resolved = [path.resolve() for path in paths if path is not None]
    for path in resolved:
        if resolved.count(path) > 1:
            raise UsageError(f"The agent {quoted(path)} is given twice; compare it with others.")
    most = max((len(path.parts) for path in resolved), default=1)
    for length in range(1, most + 1):
        labels = [
            f"agent {number}" if path is None else str(Path(*path.resolve().parts[-length:]))
            for number, path in enumerate(paths, 1)
        ]
        if len({*labels}) == len(labels):
            return labels
    raise UsageError("Agents' names clash; give them other names.")


def _check_alike(named: dict[str, Agent]) -> None:
    """Raise UsageError for agents whose worlds are not the same."""
    (first, its), *others = named.items()
    for label, agent in others:
        if agent.configuration.task != its.configuration.task:
            raise UsageError(
                f"{first!r} is an agent of task {its.configuration.task!r}, {label!r} of {agent.configuration.task!r}; "
                "only agents of one task can be compared."
            )
        for name in SAME:
            ours, theirs = (getattr(agent.configuration, name) for agent in (its, agent))
            if ours != theirs:
                raise UsageError(
                    f"{first!r} was evolved with --{SETTINGS[name].option} {ours!r}, {label!r} with {theirs!r}: their "
                    "worlds differ, and so they cannot be compared."
                )


def _rows(scores: dict[tuple[str, str, bool], Scores], perturbations: Sequence[Perturbation]) -> list[ComparisonRow]:
    first = next(label for label, _, _ in scores)
    text = " ".join(map(str, perturbations))
    rows = []
    for (label, control, disturbed), its in scores.items():
        row = ComparisonRow(label, control, text if disturbed else "", its)
        other = scores[label if control else first, "", disturbed]
        if other is not its:
            row = dataclasses.replace(
                row,
                against=label if control else first,
                difference=bootstrap_interval(its.scores - other.scores),
            )
        if disturbed:
            before = scores[label, control, False]
            row = dataclasses.replace(row, loss=bootstrap_interval(its.scores - before.scores))
        rows.append(row)
    return rows
