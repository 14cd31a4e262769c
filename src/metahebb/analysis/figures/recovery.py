"""Reward and activity in the course of lives, around what perturbs them: mean and spread over lives."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from metahebb.analysis.figures.style import COLOURS, mark, new_figure
from metahebb.analysis.recordings import Recording

__all__ = ["draw_recovery"]


def draw_recovery(recordings: Sequence[Recording], window: int = 25, around: int | None = None) -> np.ndarray:
    """Axes [1 + layers]: the moving reward of the last ``window`` steps, then each layer's mean size of activity.

    Lines are means over the lives that go on, bands the standard deviation over them. With ``around`` so many steps
    before and after the first perturbation are shown.
    """
    layers = recordings[0].layers
    figure = new_figure(7.0, 2.6 + 1.1 * layers)
    axes = figure.subplots(1 + layers, 1, sharex=True, height_ratios=[2.2] + [1] * layers)
    for its, colour in zip(recordings, COLOURS, strict=False):
        label = f"{its.name} ({len(its.length)} lives)"
        _band(axes[0], _moving(its.rewards, window), colour, label)
        for i in range(layers):
            activity = np.abs(np.asarray(its.group[f"activities_{i + 1}"]).astype(np.float32)).mean(axis=2)
            _band(axes[1 + i], activity, colour, label)
    perturbations = tuple(dict.fromkeys(text for its in recordings for text in its.perturbations))
    for i, its in enumerate(axes):
        its.spines[["top", "right"]].set_visible(False)
        its.grid(alpha=0.25)
        mark(its, perturbations, named=i == 0)
    axes[0].set_ylabel(f"reward a step,\nmean of {window} steps")
    for i in range(layers):
        axes[1 + i].set_ylabel(f"layer {i + 1}\nmean |activity|", size=9)
    axes[-1].set_xlabel("step of the life")
    axes[0].set_title(f"{recordings[0].configuration.task}: mean and standard deviation over lives", size=11)
    axes[0].legend(frameon=False, fontsize=9, loc="best")
    if around is not None and perturbations:
        begin = int(perturbations[0].rpartition("@")[2].partition("-")[0])
        axes[0].set_xlim(begin - around, begin + around)
    return axes


def _moving(values: np.ndarray, window: int) -> np.ndarray:
    """The mean of the last ``window`` steps, [lives, steps]; NaN before there are so many, and beyond a life's end."""
    finite = np.isfinite(values)
    total = np.cumsum(np.where(finite, values, 0), axis=1, dtype=np.float64)
    total[:, window:] = total[:, window:] - total[:, :-window]
    return np.where(finite & (np.arange(values.shape[1]) >= window - 1), total / window, np.nan)


def _band(axes: object, values: np.ndarray, colour: str, label: str) -> None:
    with warnings.catch_warnings():
        # Where no life goes on there is no mean.
        warnings.simplefilter("ignore", RuntimeWarning)
        mean, deviation = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    steps = np.arange(len(mean))
    axes.fill_between(steps, mean - deviation, mean + deviation, color=colour, alpha=0.2, lw=0)  # type: ignore[attr-defined]
    axes.plot(steps, mean, color=colour, lw=1.4, label=label)  # type: ignore[attr-defined]
