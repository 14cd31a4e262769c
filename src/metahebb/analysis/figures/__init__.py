"""Figures fit for a paper: each a function that returns matplotlib's Axes, and a kind of ``metahebb plot``.

Imported when asked for: the loop of evolution draws its curve without what recordings need.
"""

from __future__ import annotations

import importlib
from typing import Any

_FIGURES = {
    "draw_attractor": "attractor",
    "draw_bars": "scores",
    "draw_changes": "rules",
    "draw_coefficients": "rules",
    "draw_curve": "run_curve",
    "draw_curves": "scores",
    "draw_recovery": "recovery",
    "draw_weights": "weights",
    "save_figure": "style",
}

__all__ = [*_FIGURES]


def __getattr__(name: str) -> Any:
    if name not in _FIGURES:
        raise AttributeError(f"module 'metahebb.analysis.figures' has no attribute {name!r}")
    return getattr(importlib.import_module(f"metahebb.analysis.figures.{_FIGURES[name]}"), name)
