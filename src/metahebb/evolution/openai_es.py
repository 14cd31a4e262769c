"""OpenAI-ES with the paper's schedule.

Salimans et al. (2017), *Evolution Strategies as a Scalable Alternative to Reinforcement Learning*, as used by Najarro &
Risi (2020): mirrored Gaussian samples around one mean, centred ranks divided by their deviation, decaying lr and σ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from metahebb import seeds
from metahebb.configuration import Configuration
from metahebb.evolution.populations import MirroredPopulation, Scaled
from metahebb.evolution.strategies import WeightedNoise
from metahebb.jax_defaults import jax_defaults

__all__ = ["OpenAIES", "State", "shaped_ranks"]

TRANSFORMATIONS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "sgd": optax.identity,
    "momentum": lambda: optax.trace(decay=0.9),
    "adam": optax.scale_by_adam,
}
"""What happens to the estimated gradient before lr is applied, by the name of the optimizer."""


class State(NamedTuple):
    """Between two generations."""

    mean: np.ndarray
    """float32 [parameters]"""
    lr: float
    sigma: float
    optimizer: Any


@dataclass(frozen=True)
class OpenAIES:
    """The strategy for genomes of ``parameters`` numbers.

    The first ``synaptic`` of them are synapses' genes, the next ``filters`` are filters.
    """

    configuration: Configuration
    parameters: int
    synaptic: int
    filters: int = 0

    @property
    def scaled(self) -> Scaled:
        """The filters, and their unit."""
        return Scaled(self.synaptic, self.synaptic + self.filters, self.configuration.filter_scale)

    @jax_defaults()
    def init(self, mean: np.ndarray | None = None) -> State:
        """The state before the first generation; the mean is drawn from the start's distribution unless given."""
        c = self.configuration
        if mean is None:
            mean = self.scaled(seeds.start(c.seed, self.parameters, c.start, [0], c.start_scale)[0])
        return State(mean, c.lr, c.sigma, TRANSFORMATIONS[c.optimizer]().init(jnp.zeros(self.parameters)))

    def template(self) -> State:
        """A state of the right structure."""
        return self.init(np.zeros(self.parameters, np.float32))

    def ask(self, state: State, generation: int) -> tuple[MirroredPopulation, State]:
        """The generation's population; its noise is made where its members live."""
        return MirroredPopulation(state.mean, state.sigma, self.configuration.seed, generation, self.scaled), state

    @jax_defaults()
    def tell(
        self,
        state: State,
        population: MirroredPopulation,
        fitness: np.ndarray,
        generation: int,
        weighted_noise: WeightedNoise,
    ) -> State:
        """The state after a generation; ``fitness`` float64 [population], finite, members of a pair side by side."""
        c = self.configuration
        ranks = shaped_ranks(fitness)
        total = weighted_noise(ranks[0::2] - ranks[1::2])
        lr, sigma = state.lr, state.sigma
        lr_after = lr * c.lr_decay if lr > c.lr_minimum else lr
        sigma_after = sigma * c.sigma_decay if sigma > c.sigma_minimum else sigma
        # Filters and co-evolved weights are updated after the decay, with the already decayed lr and σ.
        late = np.arange(self.parameters) >= self.synaptic
        gradient = total / np.float32(c.population) / np.where(late, np.float32(sigma_after), np.float32(sigma))
        step, optimizer = TRANSFORMATIONS[c.optimizer]().update(gradient, state.optimizer)
        mean = state.mean + self.scaled(np.where(late, np.float32(lr_after), np.float32(lr)) * np.asarray(step))
        return State(mean, lr_after, sigma_after, optimizer)

    def mean(self, state: State) -> np.ndarray:
        """The centre of the search, float32 [parameters]."""
        return state.mean


def shaped_ranks(fitness: np.ndarray) -> np.ndarray:
    """Centred ranks in [−0.5, 0.5], ties sharing their average, divided by their standard deviation.

    Zero for all where all fitnesses are the same.
    """
    _, group, counts = np.unique(fitness, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    ranks = (last - (counts - 1) / 2)[group] / max(len(fitness) - 1, 1) - 0.5
    deviation = ranks.std()
    return ranks / deviation if deviation > 0 else np.zeros_like(ranks)
