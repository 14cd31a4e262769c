"""What runs and rules come to: fitness over generations with its spread over seeds, and scores side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from metahebb.analysis.figures.style import COLOURS, new_axes
from metahebb.analysis.intervals import bootstrap_interval
from metahebb.configuration import SETTINGS
from metahebb.evolution.runs import Run

__all__ = ["draw_bars", "draw_curves"]

DASHES = ("-", "--", ":")
"""of lines beyond the colours that there are"""
MANY = 6
"""lines whose names stand in two columns"""


def draw_curves(runs: Sequence[Run], axes: Axes | None = None) -> Axes:
    """The population's mean fitness over generations. Runs that differ in their seed alone are one line, their mean,
    in a band of the standard deviation over seeds; each run is a thin line. Circles are validations of the mean genome.
    """
    axes = new_axes(axes)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_differing(run, runs), []).append(run)
    for number, (name, its) in enumerate(groups.items()):
        colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
        fitness = _rows(its, "fitness_mean")
        generations = np.arange(1, fitness.shape[1] + 1)
        seeds = f" ({len(its)} seeds)" if len(its) > 1 else ""
        if len(its) > 1:
            axes.plot(generations, fitness.T, color=colour, lw=0.6, alpha=0.5)
            # Where a run has ended, the mean would jump.
            whole = np.isfinite(fitness).all(axis=0)
            mean, deviation = fitness[:, whole].mean(axis=0), fitness[:, whole].std(axis=0)
            axes.fill_between(generations[whole], mean - deviation, mean + deviation, color=colour, alpha=0.2, lw=0)
            axes.plot(generations[whole], mean, dashes, color=colour, lw=2, label=f"{name}{seeds}, mean ± deviation")
        else:
            axes.plot(generations, fitness[0], dashes, color=colour, lw=1.6, label=name)
        validation = _rows(its, "validation")
        for row in validation:
            there = np.isfinite(row)
            axes.plot(generations[there], row[there], color=colour, marker="o", mfc="white", ms=4, lw=0, alpha=0.8)
    axes.plot([], [], color="black", marker="o", mfc="white", ms=4, lw=0, label="validation of the mean genome")
    axes.set(xlabel="generation", ylabel="fitness")
    axes.set_title(" · ".join(dict.fromkeys(run.configuration.task for run in runs)), size=11)
    axes.grid(alpha=0.25)
    columns = 1 if len(groups) < MANY else 2
    axes.figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=columns)
    return axes


def _differing(run: Run, runs: Sequence[Run]) -> str:
    """The settings of a run that not all runs share, but for the seed. Of plasticity a static network has none."""
    its = vars(run.configuration)
    static = run.configuration.static
    both = len({other.configuration.static for other in runs}) > 1
    found = ["static weights"] if static and both else []
    for name, declared in SETTINGS.items():
        plastic = declared.static is not ...
        if name in ("seed", "generations", "static") or (static and plastic):
            continue
        others = [other for other in runs if not (plastic and other.configuration.static)]
        if any(vars(other.configuration)[name] != its[name] for other in others):
            found.append(f"{declared.label} {its[name]}")
    return ", ".join(found) or ("plastic weights" if both else "population's mean")


def _rows(runs: Sequence[Run], name: str) -> np.ndarray:
    """A number of the metrics, float64 [runs, generations]; NaN where there is none."""
    lines = [run.metrics() for run in runs]
    rows = np.full((len(runs), max((line["generation"] + 1 for its in lines for line in its), default=0)), np.nan)
    for row, its in zip(rows, lines, strict=True):
        for line in its:
            if line.get(name) is not None:
                row[line["generation"]] = line[name]
    return rows


def draw_bars(scores: Mapping[str, Any], axes: Axes | None = None, label: str = "score of a life") -> Axes:
    """The mean of each row of scores [lives] as a bar, with its bootstrap 95% interval and the lives as dots."""
    axes = new_axes(axes, 6.5, 0.9 + 0.55 * len(scores))
    rng = np.random.default_rng(0)
    for place, given in enumerate(scores.values()):
        values = np.asarray(given, np.float64)
        values = values[np.isfinite(values)]
        colour = COLOURS[place % len(COLOURS)]
        mean, low, high = bootstrap_interval(values)
        axes.barh(place, mean, color=colour, alpha=0.55, height=0.62)
        jitter = place + rng.uniform(-0.22, 0.22, len(values))
        axes.plot(values, jitter, ls="", marker=".", ms=3, color=colour, mew=0, alpha=0.7)
        axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], color="black", capsize=4, lw=1.4)
        axes.annotate(f"{mean:.1f}", (1.01, place), xycoords=("axes fraction", "data"), va="center", size=9)
    axes.set_yticks(range(len(scores)), [*scores])
    axes.invert_yaxis()
    axes.set_xlabel(f"{label}: mean, 95% interval (bootstrap), single lives", size=9)
    axes.grid(alpha=0.25, axis="x")
    axes.axvline(0, color="black", lw=0.8)
    return axes
