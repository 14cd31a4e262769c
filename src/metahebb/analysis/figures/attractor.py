"""Where the weights of lives go: their principal components over life, several lives in one space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from metahebb.analysis.figures.style import COLOURS, GREY, new_axes, new_figure, schedule_of
from metahebb.analysis.recordings import Recording
from metahebb.errors import UsageError

__all__ = ["draw_attractor", "principal_components"]

MOMENTS = 1500
"""of all lives together: every so many are left out beyond"""


def draw_attractor(
    recordings: Sequence[Recording], dimensions: int = 2, lives: int | None = None, axes: Axes | None = None
) -> Axes:
    """The weights of ``lives`` lives of each recording (by default all) in the plane, or the space, of their greatest
    variance together.

    Raises UsageError where recordings are of networks of different shapes, or there are too few moments.
    """
    if dimensions not in (2, 3):
        raise UsageError(f"dimensions is {dimensions}; it must be 2 or 3.")
    shapes = {tuple(r.group[f"weights_{i}"].shape[2:] for i in range(r.layers)) for r in recordings}  # type: ignore[union-attr]
    if len(shapes) != 1:
        raise UsageError("The recordings are of networks of different shapes, whose weights have no space in common.")
    told = [(its, life) for its in recordings for life in range(min(lives or len(its.length), len(its.length)))]
    kept = [-(-int(its.length[life]) // int(its.attributes["every"])) for its, life in told]
    stride = -(-sum(kept) // MOMENTS)
    places = [np.arange(0, many, stride) for many in kept]
    if sum(map(len, places)) <= dimensions:
        raise UsageError("The recordings hold too few moments; record more steps, or weights more often (--every).")
    points, share = principal_components(
        ([its.weights(i, life)[where] for (its, life), where in zip(told, places, strict=True)]
         for i in range(recordings[0].layers)),
        dimensions,
    )  # fmt: skip
    if axes is None and dimensions == 3:
        space: Any = new_figure(7.0, 5.6).add_subplot(projection="3d")
        # Or the labels would be cut.
        space.set_box_aspect(None, zoom=0.82)
        axes = space
    elif axes is None:
        axes = new_axes(None, 6.5, 5.0)
    _draw(axes, recordings, told, places, points)
    for name, its in zip("xyz", share, strict=False):
        getattr(axes, f"set_{name}label")(
            f"component {'xyz'.index(name) + 1} ({100 * its:.0f}% of the variance)", size=9
        )
    axes.set_title(f"{recordings[0].configuration.task}: all {sum(a * b for a, b in shapes.pop()):,} weights", size=11)
    return axes


def _draw(
    axes: Any, recordings: Sequence[Recording], told: Sequence[Any], places: Sequence[np.ndarray], points: np.ndarray
) -> None:
    first = 0
    for (its, _), where in zip(told, places, strict=True):
        path = points[first : first + len(where)].T
        first += len(where)
        colour = COLOURS[recordings.index(its) % len(COLOURS)]
        steps = its.weights_step[where]
        axes.plot(*path, color=colour, lw=0.9, alpha=0.75)
        axes.plot(*path[:, :1], color=colour, marker="o", mfc="white", ms=6, ls="", zorder=3)
        axes.plot(*path[:, -1:], color=colour, marker="s", ms=5, mec="white", mew=0.5, ls="", zorder=3)
        for perturbation in its.perturbations:
            begin, _ = schedule_of(perturbation)
            struck = np.flatnonzero(steps >= begin)
            if len(struck) and begin > 0:
                axes.plot(*path[:, struck[:1]], color="black", marker="X", mec="white", ms=9, ls="", zorder=4)
    keys = [Line2D([], [], color=COLOURS[i % len(COLOURS)], label=its.name) for i, its in enumerate(recordings)]
    keys.append(Line2D([], [], color=GREY, marker="o", mfc="white", ls="", label="first step of a life"))
    keys.append(Line2D([], [], color=GREY, marker="s", mec="white", ls="", label="its last"))
    for text in dict.fromkeys(text for its in recordings for text in its.perturbations if schedule_of(text)[0] > 0):
        keys.append(Line2D([], [], color="black", marker="X", mec="white", ms=9, ls="", label=text))
    axes.figure.legend(handles=keys, frameon=False, fontsize=9, loc="outside lower center", ncols=3)


def principal_components(layers: Any, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """The principal components [points, dimensions] of points, and the shares of the variance that they have.

    ``layers`` yields, for each part of a point, arrays [points, …] one after the other; only one part is held.
    """
    gram: np.ndarray | float = 0.0
    for parts in layers:
        flat = np.concatenate([part.reshape(len(part), -1) for part in parts]).astype(np.float32)
        flat = np.nan_to_num(flat)
        flat -= flat.mean(axis=0)
        gram = gram + (flat @ flat.T).astype(np.float64)
    # Fewer points than numbers in each: the products of the points with one another hold all that is needed.
    values, vectors = np.linalg.eigh(gram)
    order = np.argsort(values)[::-1][:dimensions]
    largest = np.maximum(values[order], 0)
    return vectors[:, order] * np.sqrt(largest), largest / max(float(np.trace(np.asarray(gram))), 1e-30)
