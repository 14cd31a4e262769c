"""The weights of each layer at chosen steps of a life, as the paper shows them first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metahebb.analysis.figures.style import new_figure, root_norm, schedule_of
from metahebb.analysis.recordings import Recording
from metahebb.errors import UsageError

__all__ = ["draw_weights"]


def draw_weights(recording: Recording, steps: Sequence[int] | None = None, life: int = 0) -> np.ndarray:
    """Axes [layers, steps] of a life's weights; by default at its first step and at steps in equal ratios, and about
    perturbations. Of each step that was asked for, the last at or before it whose weights were kept is shown.

    Raises UsageError for a life or a step that there is not.
    """
    if not 0 <= life < len(recording.length):
        raise UsageError(
            f"There is no life {life} in the recording; they are numbered 0 to {len(recording.length) - 1}."
        )
    length, every = int(recording.length[life]), int(recording.attributes["every"])
    chosen = _chosen(recording, length, every) if steps is None else [*steps]
    for step in chosen:
        if not 0 <= step < length:
            raise UsageError(f"Step {step} is beyond the life's {length} steps.")
    moments = sorted({step // every for step in chosen})
    layers = [recording.weights(i, life, slice(None))[moments].astype(np.float32) for i in range(recording.layers)]
    largest = max(float(np.nanquantile(np.abs(layer), 0.9995)) for layer in layers) or 1.0
    sizes = [layer.shape[1:] for layer in layers]
    heights = np.sqrt([size[0] for size in sizes])
    figure = new_figure(1.35 * len(moments) + 1.3, 6.0)
    axes = figure.subplots(
        len(layers), len(moments), squeeze=False, height_ratios=np.maximum(heights, heights.max() / 4)
    )
    for i, (layer, size) in enumerate(zip(layers, sizes, strict=True)):
        for j, moment in enumerate(moments):
            its = axes[i, j]
            image = its.imshow(layer[j], cmap="RdBu_r", norm=root_norm(largest), aspect="auto", interpolation="nearest")
            its.set(xticks=[], yticks=[])
            if i == 0:
                its.set_title(f"step {moment * every}", size=10)
        axes[i, 0].set_ylabel(f"layer {i + 1}\n{size[0]} inputs", size=9)
        axes[i, len(moments) // 2].set_xlabel(f"{size[1]} outputs", size=9)
    ticks = largest * np.array([-1, -0.25, -0.04, 0, 0.04, 0.25, 1])
    bar = figure.colorbar(image, ax=axes, ticks=ticks, shrink=0.6, aspect=30)
    bar.set_label("weight")
    bar.ax.set_yticklabels([f"{tick:.2g}".replace("-", "−") for tick in ticks])
    figure.suptitle(_title(recording), size=11)
    return axes


def _title(recording: Recording) -> str:
    under = f", {', '.join(recording.perturbations)}" if recording.perturbations else ""
    return f"{recording.configuration.task}, {recording.name}{under}"


def _chosen(recording: Recording, length: int, every: int) -> list[int]:
    begins = [schedule_of(perturbation)[0] for perturbation in recording.perturbations]
    begins = [begin for begin in begins if 0 < begin < length]
    spread = [0, *(length - 1) ** (np.arange(1, 5) / 4)] if not begins else [0, 10, length - 1]
    about = [step for begin in begins for step in (begin - 1, begin, begin + 10, begin + 100)]
    return sorted({min(int(step), length - 1) for step in (*spread, *about)})
