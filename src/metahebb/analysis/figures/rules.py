"""What evolution made of a rule: its coefficients before and after, and what it changes."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import TwoSlopeNorm

from metahebb.agents import Agent
from metahebb.analysis.figures.style import COLOURS, GREY, new_figure
from metahebb.api import random_genome
from metahebb.errors import UsageError

__all__ = ["draw_changes", "draw_coefficients"]

GRID = 21
"""activities on either axis"""


def draw_coefficients(agent: Agent) -> np.ndarray:
    """Axes [coefficients]: the distribution of each over all synapses, where evolution started and of the agent."""
    network = agent.network
    start = network.unflatten(random_genome(agent, agent.configuration.seed, 0))
    evolved = network.unflatten(agent.genome)
    genes = network.genes
    columns = min(3, len(genes))
    rows = -(-len(genes) // columns)
    figure = new_figure(2.6 * columns + 0.6, 2.2 * rows + 0.6)
    axes = figure.subplots(rows, columns, squeeze=False)
    for its, gene in zip(axes.flat, genes, strict=False):
        both = [
            np.concatenate([genome[f"layers.{i}.{gene}"].ravel() for i in range(len(network.layers))])
            for genome in (start, evolved)
        ]
        low, high = np.quantile(np.concatenate(both), [0.001, 0.999])
        bins = np.linspace(low, max(high, low + 1e-6), 60)
        its.hist(both[0], bins, density=True, color=GREY, alpha=0.35, label="before evolution")
        its.hist(both[1], bins, density=True, histtype="step", lw=1.6, color=COLOURS[0], label="after")
        its.set_title(f"{gene}:  {both[0].std():.3g} → {both[1].std():.3g}", size=10)
        its.set(yticks=[])
        its.spines[["top", "right", "left"]].set_visible(False)
    for its in axes.flat[len(genes) :]:
        its.set_visible(False)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, fontsize=9, loc="outside upper right")
    figure.supxlabel("coefficient; above each its standard deviation, before → after", size=9)
    figure.supylabel("density over synapses", size=9)
    rule = "static weights" if network.rule is None else f"rule {network.rule.name.rpartition(':')[2]}"
    figure.suptitle(f"{agent.configuration.task}, {rule}: {network.synapses:,} synapses", size=11)
    return axes.ravel()[: len(genes)]


def draw_changes(agent: Agent) -> np.ndarray:
    """Axes [2, layers]: Δw over the activities before and after a synapse: its mean over a layer's, and its deviation.

    Weights, where a rule reads them, are 0. Raises UsageError for a static network.
    """
    network = agent.network
    if network.rule is None:
        raise UsageError("A static network has no rule, so nothing changes its weights.")
    genome = network.unflatten(agent.genome)
    activities = np.linspace(-1, 1, GRID, dtype=np.float32)
    figure = new_figure(2.7 * len(network.layers) + 1.4, 5.4)
    axes = figure.subplots(2, len(network.layers), squeeze=False, sharex=True, sharey=True)
    found = np.empty((len(network.layers), 2, GRID, GRID))
    for i, (inputs, outputs) in enumerate(network.layers):
        read = [genome[f"layers.{i}.{gene}"] for gene in network.genes]
        weight = np.zeros((inputs, outputs), np.float32)
        for y, post in enumerate(activities):
            for x, pre in enumerate(activities):
                ends = np.full((inputs, 1), pre), np.full((1, outputs), post)
                change = np.asarray(network.rule(*ends, weight, *read))
                found[i, :, y, x] = change.mean(), change.std()
    largest = max(float(np.abs(found[:, 0]).max()), 1e-30)
    for i, layer in enumerate(network.layers):
        kind = {"origin": "lower", "extent": (-1, 1, -1, 1), "aspect": "equal"}
        mean = axes[0, i].imshow(found[i, 0], cmap="RdBu_r", norm=TwoSlopeNorm(0, -largest, largest), **kind)
        spread = axes[1, i].imshow(found[i, 1], cmap="viridis", vmin=0, vmax=found[:, 1].max(), **kind)
        axes[0, i].set_title(f"layer {i + 1}: {layer[0]} → {layer[1]}", size=10)
        axes[1, i].set_xlabel("pre-synaptic activity", size=9)
    for its in axes[:, 0]:
        its.set_ylabel("post-synaptic activity", size=9)
    figure.colorbar(mean, ax=axes[0]).set_label("mean Δw over synapses", size=9)
    figure.colorbar(spread, ax=axes[1]).set_label("deviation of Δw over synapses", size=9)
    figure.suptitle(f"{agent.configuration.task}:  Δw = {network.rule.formula or network.rule.name}", size=11)
    return axes
