"""``metahebb paper ablation``: the nine published rules and static weights, each from several seeds, for equal times.

The runs are evolved one after the other, each by all workers, so that each has the machine for its minutes. What a run
has had is written down when it stops, so that the command can be ended and given again: it goes on where it was, and
with more seeds or minutes it does what is missing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metahebb import api
from metahebb.agents import load_agent
from metahebb.analysis.figures.scores import draw_curves
from metahebb.analysis.figures.style import save_figure
from metahebb.analysis.intervals import bootstrap_interval
from metahebb.configuration import read_configuration
from metahebb.errors import UsageError, quoted
from metahebb.evolution.runs import read_run
from metahebb.experiments.cells import Cell, live_cells, simulator_for
from metahebb.experiments.scores import Scores, scores_of
from metahebb.files import user_path, write_file
from metahebb.lifetimes.lives import Outcome
from metahebb.paper.published import RULES
from metahebb.sweeps import Member, evolve_members, members_at

__all__ = ["Ablation", "AblationRow", "AblationRun", "ablation_members", "ablation_of", "draw_ablation", "evolve_each"]

SPENT = "minutes.json"
"""in the folder of all runs: the minutes that each has had"""
STATIC = "static"


@dataclass(frozen=True, eq=False)
class AblationRun:
    """A run of an ablation."""

    seed: int
    generations: int
    steps: int
    """that its evolution lived"""
    scores: Scores
    """of fresh lives of its best agent"""


@dataclass(frozen=True, eq=False)
class AblationRow:
    """The runs of a rule, or those of static weights."""

    name: str
    coefficients: int
    """for each synapse"""
    runs: tuple[AblationRun, ...]

    @property
    def means(self) -> np.ndarray:
        """The scores of the runs' agents, float64 [runs]."""
        return np.array([run.scores.mean for run in self.runs])


@dataclass(frozen=True, eq=False)
class Ablation:
    """What an ablation came to."""

    task: str
    lives: int
    """of each agent"""
    seed: int
    """of the lives"""
    rows: tuple[AblationRow, ...]
    """those that have an agent, in the order of their means"""
    missing: tuple[str, ...]
    """the names of the runs that have none: no generation was done in their minutes, or they failed"""
    seconds: float

    def to_table(self) -> list[dict[str, str]]:
        """The rows that people read, by column."""
        return [_cells(row) for row in self.rows]

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows that programs read, by column: one for each run."""
        return [
            {
                "rule": row.name,
                "coefficients": row.coefficients,
                "seed": run.seed,
                "generations": run.generations,
                "evolution_steps": run.steps,
                **run.scores.summary(),
            }
            for row in self.rows
            for run in row.runs
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it, each life's numbers included, as JSON values."""
        by_life = [run.scores.per_life() for row in self.rows for run in row.runs]
        rows = [{**row, "by_life": its} for row, its in zip(self.to_rows(), by_life, strict=True)]
        facts = {"task": self.task, "seed": self.seed, "seconds": self.seconds, "missing": list(self.missing)}
        return {**facts, "rows": rows}


def _cells(row: AblationRow) -> dict[str, str]:
    mean, low, high = bootstrap_interval(row.means)
    steps = sum(run.steps for run in row.runs) / len(row.runs) / 1e6
    cells = {
        "rule": row.name,
        "genes per synapse": str(row.coefficients),
        "runs": str(len(row.runs)),
        "mean of their scores [95%]": f"{mean:.0f} [{low:.0f}, {high:.0f}]",
        "median": f"{np.median(row.means):.0f}",
        "each": ", ".join(f"{score:.0f}" for score in row.means),
        "generations": f"{sum(run.generations for run in row.runs) / len(row.runs):.0f}",
        "steps": f"{steps:.2g} million",
    }
    return {name: cell.replace("-", "−") if name != "rule" else cell for name, cell in cells.items()}


def ablation_members(task: str, folder: str | Path, seeds: Sequence[int]) -> list[Member]:
    """The runs of an ablation in a folder, those that are not there made anew.

    They are in the order of the seeds, so that an ablation that is ended early has all rules for its first ones.

    Raises UsageError, and leaves nothing behind, where a run cannot be, or where runs of another task are there.
    """
    base = user_path("--retrain", folder)
    kinds: dict[str, dict[str, Any]] = {f"rule={rule}": {"rule": rule} for rule in RULES}
    kinds[STATIC] = {"static": True}
    wanted = {
        f"{name},seed={seed}": {"task": task, "seed": seed, **how} for seed in seeds for name, how in kinds.items()
    }
    for name in wanted:
        config = base / name / "config.json"
        if config.exists() and (its := read_configuration(config).task) != task:
            raise UsageError(
                f"{quoted(base)} has runs of task {its!r}, not of {task!r}; give --retrain another folder."
            )
    return members_at(base, wanted)


def evolve_each(
    members: Sequence[Member],
    minutes: float,
    *,
    workers: int | None = None,
    told: Callable[[Member], None] = lambda member: None,
) -> None:
    """Evolve runs of one folder one after the other until each has had so many minutes; ``told`` of one whenever there
    is news of it. A run that fails keeps no other from going on.
    """

    def on_its_way(member: Member) -> None:
        # What is called a time limit elsewhere is its end here.
        if member.state in ("runs", "failed"):
            told(member)

    for member in members:
        spent = _spent(member)
        if spent < minutes:
            began = time.monotonic()
            evolve_members([member], workers=workers, time_limit=minutes - spent, told=on_its_way)
            if member.state == "failed":
                continue
            # Where its generations or its target ended it, there is nothing to use the rest for.
            had = spent + (time.monotonic() - began) / 60 if member.state == "time" else minutes
            _write_spent(member, had)
        member.state = "done"
        told(member)


def _spent(member: Member) -> float:
    """The minutes that a run has had: what was written down, or where it was killed what its generations took."""
    its = sum(line["seconds"] for line in read_run(member.folder).metrics()) / 60
    return max(its, _all_spent(member.folder.parent / SPENT).get(member.name, 0.0))


def _all_spent(path: Path) -> dict[str, float]:
    try:
        spent = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): float(minutes) for name, minutes in spent.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as e:
        raise UsageError(
            f"{quoted(path)} is not what an ablation writes; remove it, and its runs are looked at."
        ) from e


def _write_spent(member: Member, minutes: float) -> None:
    path = member.folder.parent / SPENT
    spent = {**_all_spent(path), member.name: round(minutes, 3)}
    write_file("The minutes", path, (json.dumps(spent, indent=1) + "\n").encode())


def ablation_of(
    members: Sequence[Member],
    lives: int = 100,
    seed: int = 0,
    workers: int | None = None,
    lived: Callable[[Outcome], None] | None = None,
    begun: Callable[[int], None] | None = None,
) -> Ablation:
    """Live fresh lives, the same for all, with the best agent of each run that has one.

    ``begun`` is told how many lives there will be, ``lived`` of each that ends. Raises UsageError where no run has an
    agent, RunError where no life has a finite fitness.
    """
    lives, seed, workers = api.check_lives(lives, seed, workers)
    evolved = [member for member in members if (member.folder / "best.safetensors").exists()]
    if not evolved:
        raise UsageError("No run of the ablation has an agent yet: give more --minutes.")
    agents = [load_agent(member.folder) for member in evolved]
    agents = [agent.living_in(None, simulator_for(agent, None)) for agent in agents]
    if begun is not None:
        begun(lives * len(agents))
    outcome = live_cells([Cell(agent) for agent in agents], lives, seed, workers, lived)
    scores = scores_of(outcome.outcomes, [None] * len(agents), [True] * len(agents))
    by_name: dict[str, list[AblationRun]] = {}
    coefficients: dict[str, int] = {}
    for member, agent, its in zip(evolved, agents, scores, strict=True):
        c, lines = agent.configuration, read_run(member.folder).metrics()
        name = "static weights" if c.static else c.rule
        coefficients[name] = len(agent.network.genes)
        run = AblationRun(c.seed, len(lines), sum(line["steps"] for line in lines), its)
        by_name.setdefault(name, []).append(run)
    rows = [AblationRow(name, coefficients[name], tuple(runs)) for name, runs in by_name.items()]
    rows.sort(key=lambda row: -row.means.mean())
    missing = tuple(member.name for member in members if member not in evolved)
    return Ablation(agents[0].configuration.task, lives, seed, tuple(rows), missing, outcome.seconds)


def draw_ablation(members: Sequence[Member], path: Path) -> None:
    """Draw the fitness of all runs that have begun over generations, rule by rule with its spread over seeds."""
    runs = [run for run in (read_run(member.folder) for member in members) if run.metrics()]
    save_figure(draw_curves(runs), path, overwrite=True)
