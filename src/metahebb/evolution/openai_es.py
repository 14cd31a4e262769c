"""OpenAI-ES, the search of the paper.

Salimans et al. (2017), *Evolution Strategies as a Scalable Alternative to Reinforcement Learning* (arXiv:1703.03864),
as used by Najarro & Risi (2020), *Meta-Learning through Hebbian Plasticity in Random Networks* (arXiv:2007.02686).
With n members, of which 2k and 2k + 1 mirror each other, a generation of the mean θ is

    θ_2k = θ + σ·ε_k    θ_2k+1 = θ − σ·ε_k    ε_k ~ N(0, I)              samples        (``MirroredPopulation``)
    F_i  = rank(f_i)/(n − 1) − 1/2, divided by its standard deviation    fitness        (``SHAPINGS``)
    g    = 1/(n·σ) · Σ_k (F_2k − F_2k+1)·ε_k                             gradient       (``OpenAIES.tell``)
    θ   ← θ + α·optimizer(g)                                             update
    α   ← 0.995·α while α > 0.001,    σ ← 0.999·σ while σ > 0.01         schedules      (``Decay``)

with the paper's numbers, whose optimizer is the identity. The schedules may count steps of lives in place of
generations, so that they wait while lives are short, which is before anything is learned. F may be the scores
themselves, standardised, and ε of low rank (``noise``). Filters and co-evolved weights are updated with the α and σ of
after the decay. The penalty on f is ``fitness_of``'s in ``training``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from metahebb.evolution.noise import FULL, NoiseShape
from metahebb.evolution.populations import UNSCALED, FilterScale, MirroredPopulation
from metahebb.evolution.strategies import WeightedNoise
from metahebb.jax_defaults import jax_defaults

__all__ = ["OPTIMIZERS", "SHAPINGS", "Decay", "OpenAIES", "State", "shaped_ranks", "standardised"]

OPTIMIZERS: Mapping[str, Callable[[], optax.GradientTransformation]] = {
    "sgd": optax.identity,
    "momentum": lambda: optax.trace(decay=0.9),
    "adam": optax.scale_by_adam,
}
"""What happens to the gradient before lr is applied, by the optimizer's name in a configuration."""


def shaped_ranks(fitness: np.ndarray) -> np.ndarray:
    """Centred ranks in [−0.5, 0.5], ties sharing their average, divided by their standard deviation.

    Zero for all where all fitnesses are the same.
    """
    _, group, counts = np.unique(fitness, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    ranks = (last - (counts - 1) / 2)[group] / max(len(fitness) - 1, 1) - 0.5
    deviation = ranks.std()
    return ranks / deviation if deviation > 0 else np.zeros_like(ranks)


def standardised(fitness: np.ndarray) -> np.ndarray:
    """Deviations from the mean, divided by their standard deviation; zero for all where all are the same."""
    # The mean of equal numbers may differ from them in the last bit.
    if (fitness == fitness[0]).all():
        return np.zeros_like(fitness)
    return (fitness - fitness.mean()) / fitness.std()


SHAPINGS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {"ranks": shaped_ranks, "scores": standardised}
"""What of a generation's fitness counts, float64 [population] each, by its name in a configuration."""


class Decay(NamedTuple):
    """The schedule of lr or σ: times ``factor`` for every generation in which it is above ``minimum``."""

    initial: float
    factor: float = 1.0
    minimum: float = 0.0

    def after(self, value: float, generations: float = 1.0) -> float:
        """What follows ``value`` after so many generations, a part of one too."""
        return value * self.factor**generations if value > self.minimum else value


class State(NamedTuple):
    """Between two generations; its leaves, in this order, are what a checkpoint holds."""

    mean: np.ndarray
    """float32 [parameters]"""
    lr: float
    sigma: float
    optimizer: Any
    """optax's state: nothing for sgd; the trace for momentum; count, mu, nu for adam"""


@dataclass(frozen=True)
class OpenAIES:
    """The strategy over genomes of ``parameters`` numbers."""

    parameters: int
    synaptic: int
    """how many of them, from the first on, are synapses' genes; the rest is updated after the decay"""
    population: int
    """members, an even number"""
    seed: int
    """of the noise"""
    optimizer: optax.GradientTransformation
    lr: Decay
    sigma: Decay
    start: Callable[[int], np.ndarray]
    """member → a genome to start from, float32 [parameters]; the first mean is member 0's"""
    filter_scale: FilterScale = UNSCALED
    noise: NoiseShape = FULL
    shaping: Callable[[np.ndarray], np.ndarray] = shaped_ranks
    """fitness float64 [population] → what counts of it, with mean 0 and deviation 1"""
    decay_steps: int | None = None
    """steps of lives that the schedules take for a generation; None where they count generations"""

    def init(self) -> State:
        """The state before the first generation."""
        return self._first(self.start(0))

    def template(self) -> State:
        """A state of the right structure."""
        return self._first(np.zeros(self.parameters, np.float32))

    def ask(self, state: State, generation: int) -> tuple[MirroredPopulation, State]:
        """The generation's population; its noise is made where its members live."""
        return MirroredPopulation(state.mean, state.sigma, self.seed, generation, self.filter_scale, self.noise), state

    @jax_defaults()
    def tell(
        self,
        state: State,
        population: MirroredPopulation,
        fitness: np.ndarray,
        steps: int,
        generation: int,
        weighted_noise: WeightedNoise,
    ) -> State:
        """The state after a generation of so many steps; ``fitness`` float64 [population], finite, by pairs."""
        shaped = self.shaping(fitness)
        total = weighted_noise(shaped[0::2] - shaped[1::2])
        generations = 1.0 if self.decay_steps is None else steps / self.decay_steps
        lr_after, sigma_after = self.lr.after(state.lr, generations), self.sigma.after(state.sigma, generations)
        early = np.arange(self.parameters) < self.synaptic
        lr = np.where(early, np.float32(state.lr), np.float32(lr_after))
        sigma = np.where(early, np.float32(state.sigma), np.float32(sigma_after))
        gradient = total / np.float32(self.population) / sigma
        step, optimizer = self.optimizer.update(gradient, state.optimizer)
        mean = state.mean + self.filter_scale(lr * np.asarray(step))
        return State(mean, lr_after, sigma_after, optimizer)

    def mean(self, state: State) -> np.ndarray:
        """The centre of the search, float32 [parameters]."""
        return state.mean

    @jax_defaults()
    def _first(self, mean: np.ndarray) -> State:
        memory = self.optimizer.init(jnp.zeros(self.parameters))
        return State(mean, self.lr.initial, self.sigma.initial, memory)
