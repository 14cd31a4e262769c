"""Controls: what an agent is compared with, so that a claim about its rules means something.

- **frozen**: plasticity stops at a step; from step 0 on the random initial weights are all there is.
- **random rules**: each life has coefficients (and filters) of its own, drawn as those that the agent's evolution began
  with.
- **shuffled rules**: each life has the agent's own coefficients, dealt out among the synapses anew: each coefficient
  (A, B, …) of each layer keeps its distribution exactly, and loses its place. Filters and co-evolved weights stay.
- **initial weights** of another distribution than the agent was evolved with.

Of a static network the weights take the place of the coefficients, and there is nothing to freeze and no initial
weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metahebb import seeds
from metahebb.agents import Agent
from metahebb.api import random_genome
from metahebb.configuration import SETTINGS
from metahebb.errors import UsageError
from metahebb.experiments.cells import Cell
from metahebb.initial_weights import CO_EVOLVED
from metahebb.networks import Network
from metahebb.perturbations import Perturbation, Perturbations, perturbations_for
from metahebb.seeds import Stream
from metahebb.settings import Whole

__all__ = ["Control", "check_any_plastic", "controls_of", "shuffled_genome"]


@dataclass(frozen=True, eq=False)
class Control:
    """A control, and what it makes of the cell of an agent's own lives."""

    name: str
    cell_of: Callable[[Cell], Cell | None]
    """None where an agent has no such control"""


def controls_of(
    seed: int,
    *,
    frozen_from: Sequence[int] = (),
    random_rules: bool = False,
    shuffled_rules: bool = False,
    initial_weights: Sequence[str] = (),
) -> list[Control]:
    """The controls that are asked for; ``seed`` is that of the lives. Raises UsageError for what there is not."""
    controls = [_frozen(Whole(0).read("frozen-from", step)) for step in dict.fromkeys(frozen_from)]
    if random_rules:
        controls.append(
            Control(
                "random rules",
                lambda cell: dataclasses.replace(cell, genome_of=lambda n: random_genome(cell.agent, seed, n)),
            )
        )
    if shuffled_rules:
        controls.append(
            Control(
                "shuffled rules",
                lambda cell: dataclasses.replace(cell, genome_of=lambda n: shuffled_genome(cell.agent, seed, n)),
            )
        )
    controls += [_beginning_with(SETTINGS["initial_weights"].read(name)) for name in dict.fromkeys(initial_weights)]
    return controls


def check_any_plastic(controlled: Mapping[str, Sequence[Cell | None]]) -> None:
    """Raise UsageError for a control, by its name, that none of the agents has."""
    for name, cells in controlled.items():
        if not any(cells):
            raise UsageError(f"None of the agents is plastic, so there is no control {name!r} of them.")


def shuffled_genome(agent: Agent, seed: int, number: int) -> np.ndarray:
    """The agent's genome with each coefficient of each layer dealt out anew among its synapses, float32 [parameters].

    Each for itself, so that what the coefficients of a synapse have to do with each other is lost as well.
    """
    draw = np.random.Generator(np.random.SFC64(seeds.sequence(seed, Stream.SHUFFLE, number)))
    network = agent.network
    parts = {name: np.asarray(part) for name, part in network.unflatten(agent.genome).items()}
    for i in range(len(network.layers)):
        for gene in network.genes:
            part = parts[f"layers.{i}.{gene}"]
            parts[f"layers.{i}.{gene}"] = draw.permutation(part.ravel()).reshape(part.shape)
    return network.flatten(parts)


def _frozen(step: int) -> Control:
    def cell_of(cell: Cell) -> Cell | None:
        network = cell.agent.network
        if network.rule is None:
            return None
        longest = cell.agent.task.longest
        if longest is not None and step >= longest:
            raise UsageError(f"--frozen-from {step} is never reached: a life ends after {longest} steps, from 0 on.")
        # Before all else, so that a perturbation of the learning rate acts on what is frozen.
        return dataclasses.replace(cell, perturbations=(*_freeze(step, cell.agent), *cell.perturbations))

    return Control(f"frozen from step {step}", cell_of)


def _freeze(step: int, agent: Agent) -> Perturbations:
    freeze: str | Perturbation = f"freeze@{step}"
    return perturbations_for([freeze], agent.task, agent.network)


def _beginning_with(name: str) -> Control:
    def cell_of(cell: Cell) -> Cell | None:
        agent = cell.agent
        if agent.network.rule is None:
            return None
        if name == CO_EVOLVED and agent.network.initial_weights != CO_EVOLVED:
            raise UsageError(f"--initial-weights {name} is no distribution: weights are co-evolved in a training.")
        other = dataclasses.replace(agent.configuration, initial_weights=name)
        network = dataclasses.replace(agent.network, initial_weights=name)
        return dataclasses.replace(cell, agent=Agent(other, _fitted(agent, network), agent.record))

    return Control(f"initial weights {name}", cell_of)


def _fitted(agent: Agent, network: Network) -> np.ndarray:
    """The agent's genome for a network with other initial weights: co-evolved ones are no part of it any more."""
    return network.flatten(agent.network.unflatten(agent.genome))
