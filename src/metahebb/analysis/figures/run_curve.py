"""The curve of a run, drawn while it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from metahebb.files import replacing

__all__ = ["draw_curve"]


def draw_curve(metrics: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw the fitness of a run's population and of its validated means over generations into a PNG file."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    lived = [line for line in metrics if line["fitness_mean"] is not None]
    generation = np.array([line["generation"] for line in lived])
    mean = np.array([line["fitness_mean"] for line in lived])
    deviation = np.array([line["fitness_deviation"] for line in lived])
    axes.fill_between(generation, mean - deviation, mean + deviation, color="C0", alpha=0.2, lw=0)
    axes.plot(generation, mean, color="C0", label="population, mean ± deviation")
    axes.plot(generation, [line["fitness_best"] for line in lived], color="C0", lw=0.7, ls=":", label="best member")
    validated = [line for line in metrics if line.get("validation") is not None]
    if validated:
        axes.plot(
            [line["generation"] for line in validated],
            [line["validation"] for line in validated],
            color="C1",
            marker="o",
            ms=4,
            label="mean genome, validation lives",
        )
    axes.set(xlabel="generation", ylabel="fitness", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", frameon=False)
    with replacing("The figure", path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
