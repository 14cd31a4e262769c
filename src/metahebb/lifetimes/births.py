"""Lives begun many at once, where JAX has an accelerator: there beginning one takes as long as beginning hundreds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from metahebb.lifetimes.lives import Life
from metahebb.lifetimes.slots import born, compiler_options
from metahebb.networks import Network, Plasticity, State

__all__ = ["MOST", "Unborn", "compiled_place_all", "put_lives", "up_to_a_size"]

SIZES = (1, 16, 256)
"""Numbers of lives that begin together: for each of them code is compiled."""
MOST = SIZES[-1]


class Unborn(NamedTuple):
    """A life that has a slot and has not begun."""

    slot: int
    genome: np.ndarray
    """flat, float32 [parameters]"""
    life: Life


def up_to_a_size(lives: Sequence[Unborn]) -> list[Unborn]:
    """At most ``MOST`` lives, the last one repeated until there is code for so many."""
    size = next(size for size in SIZES if size >= len(lives))
    return [*lives, *[lives[-1]] * (size - len(lives))]


@functools.partial(jax.jit, donate_argnums=0)
def put_lives(lives: Any, begun: Any, slots: np.ndarray) -> Any:
    """Lives [lives, …], any pytree, with some [n, …] in slots int32 [n]. ``lives`` is used up.

    A slot may be named twice, by the same life.
    """
    return jax.tree.map(lambda all_, new: all_.at[slots].set(new), lives, begun)


_PlaceAll = Callable[[Plasticity, State, np.ndarray, np.ndarray, np.ndarray], tuple[Plasticity, State]]


@functools.lru_cache(maxsize=8)
def compiled_place_all(network: Network) -> _PlaceAll:
    """Put newborns into slots: (all plasticity, all states, slots [n], flat genomes [n, parameters], keys [n, 2])."""

    @functools.partial(jax.jit, donate_argnums=(0, 1), compiler_options=dict(compiler_options()))
    def place(
        plasticity: Plasticity, state: State, slots: jax.Array, genomes: jax.Array, keys: jax.Array
    ) -> tuple[Plasticity, State]:
        newborn = born(network, genomes, jax.random.wrap_key_data(keys))
        placed: tuple[Plasticity, State] = put_lives((plasticity, state), newborn, slots)
        return placed

    return place
