"""A sweep as a figure: a map of two axes, a line of one, bars of bodies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metahebb.analysis.intervals import bootstrap_interval
from metahebb.experiments.sweep import Axis, Sweep
from metahebb.files import replacing

__all__ = ["FIGURES", "draw_sweep", "write_figure"]

FIGURES = (".png", ".svg", ".pdf")
"""the files of figures, by their suffixes"""
MOST_ANNOTATED = 150
"""cells of a map that have their number written on them"""
MARKERS = "osv^DX"
"""of lines, so that colours are not all that tells them apart"""


def draw_sweep(sweep: Sweep, axes: Axes) -> Axes:
    """Draw a sweep's mean scores into ``axes``, with the 95% intervals of the means where there is one axis."""
    if len(sweep.axes) == 2:
        _draw_map(sweep, axes)
    elif sweep.axes[0].numeric:
        _draw_line(sweep, axes)
    else:
        _draw_bars(sweep, axes)
    axes.set_title(f"{sweep.task}: {sweep.lives} lives at each place", fontsize="medium")
    return axes


def write_figure(sweep: Sweep, path: Path) -> None:
    """Draw a sweep into a file of the kind that its suffix says; raises WriteError."""
    many = max(len(axis.values) for axis in sweep.axes)
    tall = 0.28 * many + 1.5 if not sweep.axes[0].numeric and len(sweep.axes) == 1 else 4.5
    longest = max(len(str(value)) for axis in sweep.axes for value in axis.values)
    figure = Figure(figsize=(8 + 0.055 * max(longest - 24, 0), max(tall, 4.5)), layout="constrained")
    draw_sweep(sweep, figure.add_subplot())
    with replacing("The figure", path) as temporary:
        figure.savefig(temporary, format=path.suffix.lower().removeprefix("."), dpi=150)


def _draw_line(sweep: Sweep, axes: Axes) -> None:
    (axis,) = sweep.axes
    mean, low, high = np.transpose([bootstrap_interval(cell.scores.scores) for cell in sweep.cells])
    x = np.array(axis.values, float)
    axes.fill_between(x, low, high, color="C0", alpha=0.25, lw=0, label="95% interval of the mean")
    axes.plot(x, mean, color="C0", marker="o", ms=4, label=sweep.agent or "mean score")
    for i, other in enumerate(sweep.others, 1):
        means = [cell.scores.mean for cell in other.cells]
        axes.plot(x, means, color=f"C{i}", marker=MARKERS[i % len(MARKERS)], ms=4, lw=1, label=other.name)
    axes.axhline(sweep.reference.mean, color="0.35", ls="--", lw=1, label="undisturbed, its own body")
    axes.set(xlabel=axis.name, ylabel="score")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def _draw_bars(sweep: Sweep, axes: Axes) -> None:
    (axis,) = sweep.axes
    mean, low, high = np.transpose([bootstrap_interval(cell.scores.scores) for cell in sweep.cells])
    y = np.arange(len(mean))
    # Told apart by lightness as well as by colour.
    evolved = [cell.body in sweep.evolved_in for cell in sweep.cells]
    colours = ["#1f3b73" if its else "#8fb8de" for its in evolved]
    axes.barh(y, mean, color=colours, xerr=(mean - low, high - mean), error_kw={"ecolor": "0.2", "lw": 1})
    axes.axvline(sweep.reference.mean, color="0.35", ls="--", lw=1, label="undisturbed, its own body")
    agent = f"{sweep.agent}: " if sweep.agent else ""
    for its, colour, name in ((True, "#1f3b73", "evolved in it"), (False, "#8fb8de", "never seen")):
        if its in evolved:
            axes.bar(0, 0, color=colour, label=agent + name)
    for i, other in enumerate(sweep.others, 1):
        mean, low, high = np.transpose([bootstrap_interval(cell.scores.scores) for cell in other.cells])
        around = mean - low, high - mean
        mark = MARKERS[i % len(MARKERS)]
        axes.errorbar(mean, y, xerr=around, color=f"C{i}", marker=mark, ms=5, ls="none", lw=1, label=other.name)
    axes.set_yticks(y, [str(value) for value in axis.values], fontsize="x-small")
    axes.invert_yaxis()
    axes.set(xlabel="score, mean and its 95% interval")
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))


def _draw_map(sweep: Sweep, axes: Axes) -> None:
    down, across = sweep.axes
    shape = len(down.values), len(across.values)
    mean = np.reshape([cell.scores.mean for cell in sweep.cells], shape)
    image = axes.imshow(mean, cmap="viridis", aspect="auto", origin="lower")
    axes.set_xticks(range(shape[1]), _ticks(across))
    axes.set_yticks(range(shape[0]), _ticks(down))
    axes.set(xlabel=across.name, ylabel=down.name)
    if mean.size <= MOST_ANNOTATED:
        middle = (mean.min() + mean.max()) / 2
        for (row, column), value in np.ndenumerate(mean):
            colour = "black" if value > middle else "white"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize="small")
    bar = axes.figure.colorbar(image, ax=axes, label="mean score (line: undisturbed, its own body)")
    if mean.min() <= sweep.reference.mean <= mean.max():
        bar.ax.axhline(sweep.reference.mean, color="white", lw=1.5)


def _ticks(axis: Axis) -> list[str]:
    return [f"{value:g}" if isinstance(value, float) else value for value in axis.values]
