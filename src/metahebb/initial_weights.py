"""The random weights that a life starts with, a function each: (key, (inputs, outputs)) → float32 weights.

The list is that of the published reference. Torch's initialisers see a layer as (outputs, inputs); here a layer is
(inputs, outputs), and "fan in" is the number of inputs in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

__all__ = ["CO_EVOLVED", "INITIAL_WEIGHTS", "NAMES", "Initialiser", "leaves_nothing"]

Initialiser = Callable[[jax.Array, tuple[int, int]], jax.Array]

CO_EVOLVED = "co-evolved"
"""The initial weights are part of the genome: the one choice that is no distribution."""


def _uniform(bound: Callable[[int, int], float]) -> Initialiser:
    def sample(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
        limit = bound(*shape)
        return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

    return sample


def _zeros(outputs: int) -> int:
    """How many of an input neuron's outgoing weights ``sparse`` makes zero."""
    return math.ceil(0.8 * outputs)


def _sparse(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """80% of each input neuron's outgoing weights are zero, the rest normal (Martens 2010)."""
    which, values = jax.random.split(key)
    rank = jnp.argsort(jax.random.uniform(which, shape), axis=1)
    return jnp.where(rank < _zeros(shape[1]), 0.0, 0.01 * jax.random.normal(values, shape))


def leaves_nothing(name: str, outputs: int) -> bool:
    """Whether what is meant to be ``sparse`` has no weight but zeros in a layer of so many outputs: 4 or fewer."""
    return name == "sparse" and _zeros(outputs) == outputs


INITIAL_WEIGHTS: Mapping[str, Initialiser] = {
    "uniform": _uniform(lambda inputs, outputs: 0.1),
    "normal": lambda key, shape: 0.024 * jax.random.normal(key, shape),
    "unit-uniform": _uniform(lambda inputs, outputs: 1.0),
    "xavier-uniform": _uniform(lambda inputs, outputs: math.sqrt(6 / (inputs + outputs))),
    "xavier-uniform-0.3": _uniform(lambda inputs, outputs: 0.3 * math.sqrt(6 / (inputs + outputs))),
    "kaiming-uniform": _uniform(lambda inputs, outputs: math.sqrt(6 / ((1 + 3**2) * inputs))),
    "sparse": _sparse,
    "torch-linear": _uniform(lambda inputs, outputs: 1 / math.sqrt(inputs)),
    "ones": lambda key, shape: jnp.ones(shape),
    "zeros": lambda key, shape: jnp.zeros(shape),
}
"""The distributions by name."""

NAMES = (*INITIAL_WEIGHTS, CO_EVOLVED)
"""What a configuration accepts."""
