"""What all figures share: colours that the colour-blind tell apart, plain axes, and how a figure becomes a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import FuncNorm
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from metahebb.errors import UsageError, quoted
from metahebb.files import check_new_file, replacing, user_path

__all__ = [
    "COLOURS",
    "GREY",
    "check_figure",
    "mark",
    "new_axes",
    "new_figure",
    "root_norm",
    "save_figure",
    "schedule_of",
]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito's, which do for all kinds of colour blindness, the strongest first"""
GREY = "#666666"
FORMATS = (".png", ".svg", ".pdf")
LETTERS: Any = {"svg.fonttype": "none", "pdf.fonttype": 42}
"""letters stay letters, to be searched and edited"""


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches."""
    return Figure(figsize=(width, height), layout="constrained")


def new_axes(axes: Axes | None, width: float = 6.5, height: float = 4.0) -> Axes:
    """The axes that were given, or those of a new figure."""
    axes = new_figure(width, height).add_subplot() if axes is None else axes
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def root_norm(largest: float) -> FuncNorm:
    """Colours by the root of a weight's size: most weights are small beside the largest."""
    return FuncNorm((lambda x: np.sign(x) * np.sqrt(np.abs(x)), lambda y: np.sign(y) * y**2), -largest, largest)


def schedule_of(perturbation: str) -> tuple[int, int | None]:
    """The first step of a perturbation's text, and the step before which it stops, None where no such is written."""
    first, _, last = perturbation.rpartition("@")[2].partition("-")
    return int(first), int(last) if last else None


def mark(axes: Axes, perturbations: Sequence[str], named: bool = True) -> None:
    """Mark when perturbations strike, on an axis of steps."""
    for i, perturbation in enumerate(perturbations):
        begin, end = schedule_of(perturbation)
        if end is not None:
            axes.axvspan(begin, end, color="black", alpha=0.08, lw=0)
        axes.axvline(begin, color="black", lw=1, ls="--")
        if named:
            name = perturbation.rpartition("@")[0]
            transform = blended_transform_factory(axes.transData, axes.transAxes)
            axes.text(begin, 0.97 - 0.09 * i, f"  {name}", transform=transform, va="top", size=8)


def check_figure(path: str | Path, overwrite: bool) -> Path:
    """The path of a figure to be made; raises UsageError for a kind of file that is none, or one that exists."""
    if user_path("The figure", path).suffix.lower() not in FORMATS:
        raise UsageError(f"The figure {quoted(path)} is of no kind that can be made; accepted are .png, .svg and .pdf.")
    return check_new_file("The figure", path, overwrite)


def save_figure(axes: Axes | np.ndarray, path: str | Path, *, overwrite: bool = False) -> None:
    """Write the figure of these axes into a PNG, SVG or PDF file, which appears whole.

    Raises UsageError for another kind of file, or for one that exists without ``overwrite``.
    """
    path = check_figure(path, overwrite)
    figure = np.ravel(np.asarray(axes))[0].figure
    with replacing("The figure", path) as temporary, rc_context(LETTERS):
        figure.savefig(temporary, format=path.suffix.lower()[1:], dpi=200)
