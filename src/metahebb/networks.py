"""Plastic networks: an evolved encoder, plastic layers without biases, an initialiser, a normaliser.

All functions are pure and take lives as their first axis. A life of a network, from a genome and a key:

    plasticity = network.express(genome)               # once: what the life reads of its genes
    state = network.init(genome, keys)                 # random (or co-evolved) initial weights
    at each step:
        activities = network.act(plasticity, state, observation)
        state = network.learn(plasticity, state, activities)

The last of the activities are the network's outputs. Nothing else reaches a network: no reward, no error. What else a
network carries from step to step (an average, a recurrent activity) is a field of ``State``, begun by ``init`` and
changed by ``learn``: whoever lives a network hands its state on whole.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from metahebb.encoders import Encoder
from metahebb.initial_weights import CO_EVOLVED, INITIAL_WEIGHTS
from metahebb.normalisers import NORMALISERS
from metahebb.observations import FARTHEST
from metahebb.rules import Rule
from metahebb.stages import stage

__all__ = ["ACTIVATIONS", "STORAGE", "Genome", "Layer", "Network", "Plasticity", "State"]

Array = TypeVar("Array", jax.Array, np.ndarray)

ACTIVATIONS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "linear": lambda x: x,
}
"""The activation functions by name."""

STORAGE: Mapping[str, type[np.float32] | type[np.float16]] = {"float32": np.float32, "float16": np.float16}
"""How a life may store its coefficients, by name; all arithmetic is float32."""

Genome = Mapping[str, jax.Array]
"""What evolution searches, by name: ``layers.0.A`` [lives, inputs, outputs], ``encoder.0``, ``initial.0``, …"""


class Layer(NamedTuple):
    """The weights of a plastic layer: ``raw`` × ``scale`` [lives, inputs, outputs] (see ``normalisers``)."""

    raw: jax.Array
    scale: jax.Array | None = None

    @property
    def weights(self) -> jax.Array:
        return self.raw if self.scale is None else self.raw * self.scale


class State(NamedTuple):
    """A network in the middle of its lives; the lives are the first axis of every leaf."""

    layers: tuple[Layer, ...]
    age: jax.Array
    """int32 [lives]: the steps that it has learned through"""


class Plasticity(NamedTuple):
    """What a life reads of its genome at every step."""

    filters: Mapping[str, jax.Array]
    coefficients: tuple[tuple[jax.Array, ...], ...]
    """For each layer the arguments of its rule, or the a, b, c, d of a bilinear one (``Rule.terms``), as stored."""
    senses: tuple[jax.Array, ...] = ()
    """Where observations are normalised, their mean and deviation, float32 [lives, inputs] each"""


@dataclass(frozen=True)
class Network:
    """A network's shape and its rule; without a rule it is static: its weights are evolved and never change."""

    encoder: Encoder
    outputs: int
    rule: Rule | None
    hidden: tuple[int, ...] = (128, 64)
    activation: str = "tanh"
    output_activation: str = "linear"
    initial_weights: str = "uniform"
    normaliser: str = "max-abs"
    normalise_observations: bool = False
    """by the mean and the deviation that the genome has behind what is evolved (``observations``)"""
    coefficients: str = "float32"
    """How a life stores them. As float16 they have three digits, end at ±65,504, and vanish below 3e-8."""

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each plastic layer."""
        return tuple(pairwise((self.encoder.features, *self.hidden, self.outputs)))

    @property
    def synapses(self) -> int:
        """The number of plastic (or, in a static network, evolved) weights."""
        return sum(math.prod(layer) for layer in self.layers)

    @property
    def genes(self) -> tuple[str, ...]:
        """The names of a synapse's own genes: the rule's coefficients, or a static network's weight."""
        return ("weight",) if self.rule is None else self.rule.coefficients

    @property
    def genome(self) -> dict[str, tuple[int, ...]]:
        """The shape of each part of a genome, in the order of the flat genome: synapses' genes first.

        Behind what is evolved comes, where observations are normalised, what evolution has observed.
        """
        parts: dict[str, tuple[int, ...]] = {
            f"layers.{i}.{gene}": layer for i, layer in enumerate(self.layers) for gene in self.genes
        }
        parts |= self.encoder.filters
        if self.initial_weights == CO_EVOLVED and self.rule is not None:
            parts |= {f"initial.{i}": layer for i, layer in enumerate(self.layers)}
        return parts | dict.fromkeys(self._senses, (self.encoder.features,))

    @property
    def parameters(self) -> int:
        """The size of the flat genome."""
        return sum(math.prod(shape) for shape in self.genome.values())

    @property
    def evolved_parameters(self) -> int:
        """How many of them, from the first on, evolution searches."""
        return self.parameters - len(self._senses) * self.encoder.features

    @property
    def synaptic_parameters(self) -> int:
        """How many of them, from the first on, are synapses' genes."""
        return self.synapses * len(self.genes)

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each matrix of synapses' genes, in the order of the flat genome, which they begin."""
        return tuple(layer for layer in self.layers for _ in self.genes)

    @property
    def filter_parameters(self) -> int:
        """How many numbers, after the synapses' genes, are the encoder's filters."""
        return sum(math.prod(shape) for shape in self.encoder.filters.values())

    def unflatten(self, flat: Array) -> dict[str, Array]:
        """Flat genomes [..., parameters] → parts by name [..., *shape]."""
        parts = {}
        start = 0
        for name, shape in self.genome.items():
            stop = start + math.prod(shape)
            parts[name] = flat[..., start:stop].reshape(*flat.shape[:-1], *shape)
            start = stop
        return parts

    def flatten(self, genome: Mapping[str, jax.Array | np.ndarray]) -> np.ndarray:
        """One genome's parts by name → flat float32 [parameters]."""
        return np.concatenate([np.asarray(genome[name], np.float32).ravel() for name in self.genome])

    def express(self, genome: Genome) -> Plasticity:
        """What the lives of these genomes will read at every step."""
        filters = {name: genome[name] for name in self.encoder.filters}
        senses = tuple(genome[name] for name in self._senses)
        if self.rule is None:
            return Plasticity(filters, (), senses)
        per_layer = [[genome[f"layers.{i}.{gene}"] for gene in self.genes] for i in range(len(self.layers))]
        folded = [jax.vmap(self.rule.terms)(*c) if self._folds else c for c in per_layer]
        return Plasticity(filters, tuple(tuple(self._stored(c) for c in layer) for layer in folded), senses)

    def init(self, genome: Genome, keys: jax.Array) -> State:
        """The state that lives begin with: PRNG keys [lives]."""
        age = jnp.zeros(len(keys), jnp.int32)
        if self.rule is None:
            return State(tuple(Layer(genome[f"layers.{i}.weight"]) for i in range(len(self.layers))), age)
        if self.initial_weights == CO_EVOLVED:
            raw = [genome[f"initial.{i}"] for i in range(len(self.layers))]
        else:
            raw = [jax.vmap(functools.partial(self.draw, i))(keys) for i in range(len(self.layers))]
        # Weights are normalised after updates only: the first forward pass sees them as they were drawn.
        scales = [NORMALISERS[self.normaliser](w)[1] for w in raw]
        layers = (Layer(w, None if s is None else jnp.ones_like(s)) for w, s in zip(raw, scales, strict=True))
        return State(tuple(layers), age)

    def draw(self, layer: int, key: jax.Array) -> jax.Array:
        """A layer's random weights [inputs, outputs] for one life, of its key."""
        return INITIAL_WEIGHTS[self.initial_weights](jax.random.fold_in(key, layer), self.layers[layer])

    def act(self, plasticity: Plasticity, state: State, observation: jax.Array) -> tuple[jax.Array, ...]:
        """The forward pass: observations [lives, …] → activities of all neurons, inputs first, layer by layer."""
        activities = [self._normalised(plasticity, self.encoder(plasticity.filters, observation))]
        for i, layer in enumerate(state.layers):
            # Accelerators would round to fewer bits than float32 has.
            total = jnp.einsum("li,lij->lj", activities[-1], layer.raw, precision=jax.lax.Precision.HIGHEST)
            if layer.scale is not None:
                total = total * layer.scale[:, 0]
            last = i == len(state.layers) - 1
            activities.append(ACTIVATIONS[self.output_activation if last else self.activation](total))
        return tuple(activities)

    def _normalised(self, plasticity: Plasticity, features: jax.Array) -> jax.Array:
        """The input neurons [lives, inputs] as deviations from their mean, where the network normalises."""
        if not plasticity.senses:
            return features
        mean, deviation = plasticity.senses
        return jnp.clip((features - mean) / jnp.where(deviation > 0, deviation, 1), -FARTHEST, FARTHEST)

    def learn(
        self,
        plasticity: Plasticity,
        state: State,
        activities: tuple[jax.Array, ...],
        rates: tuple[jax.Array, ...] | None = None,
    ) -> State:
        """The state after a step: every synapse changed by its own rule, each layer then normalised.

        ``rates``, float32 [lives] of each layer, multiply the changes; what has a rate of 0 stays exactly as it is.
        """
        layers = state.layers
        if self.rule is not None:
            factors = (None,) * len(layers) if rates is None else rates
            each = zip(layers, plasticity.coefficients, pairwise(activities), factors, strict=True)
            # A stage, so that float16 coefficients are converted to float32 at each step as they are read: XLA would
            # convert them all before a loop of steps, and then read twice as much memory at each.
            layers = tuple(
                stage(self._update, layer, coefficients, *ends, *([] if rate is None else [rate]))
                for layer, coefficients, ends, rate in each
            )
        return state._replace(layers=layers, age=state.age + 1)

    def _update(
        self,
        layer: Layer,
        coefficients: tuple[jax.Array, ...],
        pre: jax.Array,
        post: jax.Array,
        rate: jax.Array | None = None,
    ) -> Layer:
        """A layer after a step with activities [lives, inputs] and [lives, outputs] on its ends."""
        read = [coefficient.astype(jnp.float32) for coefficient in coefficients]
        changed = jax.vmap(self._changed)(layer.weights, pre[:, :, None], post[:, None, :], rate, *read)
        raw, scale = NORMALISERS[self.normaliser](changed)
        if rate is None:
            return Layer(raw, scale)
        frozen = rate[:, None, None] == 0
        return Layer(jnp.where(frozen, changed, raw), None if scale is None else jnp.where(frozen, 1.0, scale))

    def _changed(
        self, weight: jax.Array, pre: jax.Array, post: jax.Array, rate: jax.Array | None, *read: jax.Array
    ) -> jax.Array:
        """One life's weights [inputs, outputs] with their change, from pre [inputs, 1] and post [1, outputs]."""
        if self._folds:
            a, b, c, d = read
            change = a * pre * post + b * pre + c * post + d
        else:
            assert self.rule is not None
            change = self.rule(pre, post, weight, *read)
        # With a rate of 1 the bits are those of no rate.
        return weight + change if rate is None else jnp.where(rate == 0, weight, weight + rate * change)

    def _stored(self, coefficient: jax.Array) -> jax.Array:
        """As a life stores it; what exceeds the range is its end, and NaN stays NaN."""
        dtype = STORAGE[self.coefficients]
        largest = float(np.finfo(dtype).max)
        return jnp.clip(coefficient, -largest, largest).astype(dtype)

    @property
    def _senses(self) -> tuple[str, ...]:
        """The names of the genome's parts that are not evolved."""
        return ("observation.mean", "observation.deviation") if self.normalise_observations else ()

    @property
    def _folds(self) -> bool:
        """Whether the rule's four terms are fewer than its coefficients."""
        return self.rule is not None and self.rule.bilinear and len(self.rule.coefficients) > 4
