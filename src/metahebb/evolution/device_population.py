"""A generation's genomes where lives are advanced by accelerators: made there, of noise that is drawn on the host.

The numbers are those of a CPU (``seeds.noise``), so that a seed means the same noise everywhere. They do not depend on
what lives come to, so threads draw the next generation's while this one is lived.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from metahebb import seeds
from metahebb.evolution.noise import NoiseShape
from metahebb.evolution.populations import FilterScale, MirroredPopulation, pair_and_sign

__all__ = ["DevicePopulation", "NoiseAhead"]

BLOCK = 128
"""Pairs whose noise goes to the device at once"""
EXACT = "highest"
"""Precision of products: on an accelerator those of float32 have fewer digits otherwise"""

_Block: TypeAlias = "tuple[np.ndarray, list[Future[np.ndarray]]]"
"""The numbers of a block of pairs, and who draws each row of them"""


class NoiseAhead:
    """The numbers that noise is made of, by blocks of pairs, drawn by threads a generation ahead.

    ``memory`` is what is kept of two generations, in bytes; what is beyond it is drawn when it is needed, each time.
    """

    def __init__(self, pairs: int, memory: int, threads: int) -> None:
        self._pairs, self._memory = pairs, memory
        self._threads = ThreadPoolExecutor(threads)
        self._blocks: dict[tuple[int, int, int, int], _Block] = {}

    def begin(self, seed: int, generation: int, numbers: int) -> None:
        """Draw a generation's and the next one's, as far as there is memory; forget all others."""
        kept = max(self._memory // (2 * 4 * numbers * BLOCK), 1)
        blocks = range(min(-(-self._pairs // BLOCK), kept))
        keys = [(seed, g, numbers, block) for g in (generation, generation + 1) for block in blocks]
        self._blocks = {key: self._blocks.get(key) or self._draw(*key) for key in keys}

    def block(self, seed: int, generation: int, numbers: int, block: int) -> np.ndarray:
        """float32 [pairs, numbers] of the pairs of a block: all of them but for the last one's."""
        key = seed, generation, numbers, block
        drawn, rows = self._blocks.get(key) or self._draw(*key)
        for row in rows:
            row.result()
        return drawn

    def _draw(self, seed: int, generation: int, numbers: int, block: int) -> _Block:
        first = block * BLOCK
        drawn = np.empty((min(BLOCK, self._pairs - first), numbers), np.float32)
        submit = self._threads.submit
        return drawn, [submit(seeds.noise, seed, generation, first + i, numbers, row) for i, row in enumerate(drawn)]


class DevicePopulation:
    """The genomes of a mirrored population, on JAX's default device."""

    def __init__(self, population: MirroredPopulation, noise: NoiseAhead) -> None:
        self._population, self._noise = population, noise
        self._numbers = population.shape.numbers(len(population.mean))
        self._mean, self._fixed = jnp.asarray(population.mean), jnp.asarray(population.fixed)
        noise.begin(population.seed, population.generation, self._numbers)
        self._block = functools.lru_cache(maxsize=2)(self._load)

    def genomes(self, members: Sequence[int]) -> jax.Array:
        """Flat genomes, float32 [members, parameters]."""
        its = self._population
        pairs, signs = np.array([pair_and_sign(member) for member in members]).T
        blocks, of_block = np.unique(pairs.astype(int) // BLOCK, return_inverse=True)
        drawn = jnp.concatenate([self._block(int(block)) for block in blocks])
        rows = of_block * BLOCK + pairs.astype(int) % BLOCK
        deviation = (signs * its.sigma).astype(np.float32)
        return _genomes(self._mean, self._fixed, drawn, rows, deviation, its.shape, its.filter_scale)

    def weighted_noise(self, pairs: range, weights: np.ndarray) -> np.ndarray:
        """Σ weight·noise over a range of pairs: float32 [parameters]."""
        of_all = np.zeros(pairs.stop, np.float32)
        of_all[pairs.start :] = weights
        total = jnp.zeros_like(self._mean)
        for block in range(pairs.start // BLOCK, -(-pairs.stop // BLOCK)):
            drawn = self._block(block)
            of_block = np.zeros(len(drawn), np.float32)
            its = of_all[block * BLOCK : (block + 1) * BLOCK]
            of_block[: len(its)] = its
            total += _weighted(drawn, of_block, self._population.shape)
        return np.asarray(total)

    def _load(self, block: int) -> jax.Array:
        its = self._population
        return jnp.asarray(self._noise.block(its.seed, its.generation, self._numbers, block))


@functools.partial(jax.jit, static_argnames=("shape", "filter_scale"))
def _genomes(
    mean: jax.Array,
    fixed: jax.Array,
    drawn: jax.Array,
    rows: jax.Array,
    deviation: jax.Array,
    shape: NoiseShape,
    filter_scale: FilterScale,
) -> jax.Array:
    def genome(numbers: jax.Array, deviation: jax.Array) -> jax.Array:
        step = deviation * (shape.product(numbers[None], jnp.ones(1)) if shape.matrices else numbers)
        scaled = step.at[filter_scale.first : filter_scale.last].multiply(np.float32(filter_scale.factor))
        return jnp.concatenate([mean + scaled, fixed])

    with jax.default_matmul_precision(EXACT):
        return jax.vmap(genome)(drawn[rows], deviation)


@functools.partial(jax.jit, static_argnames="shape")
def _weighted(drawn: jax.Array, weights: jax.Array, shape: NoiseShape) -> jax.Array:
    with jax.default_matmul_precision(EXACT):
        return shape.product(drawn, weights)
