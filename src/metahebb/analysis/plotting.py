"""``metahebb plot``: each kind of figure, and the files that it is made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metahebb.agents import Agent, load_agent
from metahebb.analysis import figures
from metahebb.analysis.recordings import Recording, open_recording
from metahebb.errors import UsageError, quoted, unknown
from metahebb.evolution.runs import read_run
from metahebb.files import read_file

__all__ = ["PLOTS", "plot"]


@dataclass(frozen=True)
class Plot:
    """A kind of figure."""

    made_of: str
    draw: Callable[..., Any]
    """(paths, options, trust_code) → Axes"""
    options: tuple[str, ...] = ()
    """those of the command's that it heeds"""


def _weights(paths: Sequence[Path], options: Mapping[str, Any], trust_code: bool) -> Any:
    return figures.draw_weights(_one(_recordings(paths), "recording"), **options)


def _attractor(paths: Sequence[Path], options: Mapping[str, Any], trust_code: bool) -> Any:
    return figures.draw_attractor(_recordings(paths), **options)


def _recovery(paths: Sequence[Path], options: Mapping[str, Any], trust_code: bool) -> Any:
    return figures.draw_recovery(_recordings(paths), **options)


def _coefficients(paths: Sequence[Path], options: Mapping[str, Any], trust_code: bool) -> Any:
    return figures.draw_coefficients(_agent(paths, trust_code))


def _changes(paths: Sequence[Path], options: Mapping[str, Any], trust_code: bool) -> Any:
    return figures.draw_changes(_agent(paths, trust_code))


def _curves(paths: Sequence[Path], options: Mapping[str, Any], trust_code: bool) -> Any:
    runs = []
    for path in paths:
        run = read_run(path)
        if not run.metrics():
            raise UsageError(f"The run {quoted(run.folder)} has no metrics yet, so there is nothing to draw.")
        runs.append(run)
    return figures.draw_curves(runs)


def _bars(paths: Sequence[Path], options: Mapping[str, Any], trust_code: bool) -> Any:
    scores: dict[str, Any] = {}
    for path in paths:
        for name, its in _scores_of(path).items():
            several = len(paths) > 1
            scores[f"{_stem(path)}: {name}" if several and name else name or _stem(path)] = its
    return figures.draw_bars(scores)


PLOTS: Mapping[str, Plot] = {
    "weights": Plot("a recording: weights of each layer at chosen steps", _weights, ("steps", "life")),
    "attractor": Plot("recordings: principal components of the weights over life", _attractor, ("dimensions", "lives")),
    "recovery": Plot("recordings: reward and activity around a perturbation", _recovery, ("window", "around")),
    "coefficients": Plot("an agent: its coefficients before and after evolution", _coefficients),
    "changes": Plot("an agent: Δw over the activities before and after a synapse", _changes),
    "curves": Plot("runs: fitness over generations, with its spread over seeds", _curves),
    "bars": Plot("results of `evaluate --json` or recordings: scores side by side", _bars),
}
"""The kinds by name."""


def plot(kind: str, paths: Sequence[Path], trust_code: bool = False, **options: Any) -> Any:
    """The Axes of a figure of a kind; options that are None are left out.

    Raises UsageError for a kind or an option that there is not, or files that the kind is not made of.
    """
    if kind not in PLOTS:
        raise unknown("figure", kind, tuple(PLOTS))
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in PLOTS[kind].options:
            takers = ", ".join(other for other, its in PLOTS.items() if name in its.options)
            raise UsageError(f"--{name} is for {takers}; {kind} does not heed it: leave it out.")
    return PLOTS[kind].draw(paths, given, trust_code)


def _recordings(paths: Sequence[Path]) -> list[Recording]:
    return [open_recording(path) for path in paths]


def _agent(paths: Sequence[Path], trust_code: bool) -> Agent:
    return load_agent(_one(list(paths), "agent"), trust_code=trust_code)


def _one(things: list[Any], what: str) -> Any:
    if len(things) > 1:
        raise UsageError(f"The figure is of one {what}; {len(things)} are given.")
    return things[0]


def _scores_of(path: Path) -> dict[str, list[float]]:
    """The scores by name of an evaluation's JSON, or of a recording."""
    if path.is_dir():
        its = open_recording(path)
        return {its.name: its.fitness.tolist()}
    content = read_file("The evaluation", path)
    try:
        data = json.loads(content)
        rows = {"": data} if "scores" in data else data
        scores = {name: [float(score) for score in its["scores"]] for name, its in rows.items()}
        if not all(scores.values()):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise UsageError(f"{quoted(path)} is no result of `metahebb evaluate --json`.") from e
    return scores


def _stem(path: Path) -> str:
    return path.parent.name if path.stem == "evaluation" and path.parent.name else path.stem
