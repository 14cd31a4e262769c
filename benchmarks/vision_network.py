"""The vision network's rows: a member's step of encoder, forward pass, update and normalisation on one core."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Row
from metahebb.encoders import ImageEncoder
from metahebb.lifetimes.slots import compiler_options
from metahebb.lifetimes.step import step
from metahebb.networks import STORAGE, Network, Plasticity, State
from metahebb.readouts import readout_for
from metahebb.rules import RULES
from metahebb.stages import stage
from metahebb.tasks.car_racing import SLOTS
from metahebb.worlds.car_racing import CarRacing

STEPS = 100
PER_STEP = 1e6 / SLOTS / STEPS


def rows() -> list[Row]:
    """The rows, made ready to measure."""
    name = "the vision network, coefficients {}, a member's step on one core"
    return [
        Row(
            name.format(storage),
            "µs",
            "its numbers and multiplications, once",
            _floor(storage),
            _figure(storage),
            limit=60 if storage == "float32" else None,
        )
        for storage in STORAGE
    ]


def _figure(storage: str) -> Callable[[], float]:
    network = _network(storage)
    rng = np.random.default_rng(0)
    genome = network.unflatten(jnp.asarray(0.1 * rng.standard_normal((SLOTS, network.parameters), np.float32)))
    plasticity, newborn = network.express(genome), network.init(genome, jax.random.split(jax.random.key(0), SLOTS))
    readout = readout_for(CarRacing().action_space)
    # A few frames in turns, as a world leaves them: in the cache.
    frames = jnp.asarray(rng.integers(0, 256, (4, SLOTS, 96, 96, 3), np.uint8))

    @functools.partial(jax.jit, compiler_options=dict(compiler_options()))
    def live(plasticity: Plasticity, state: State) -> tuple[State, jax.Array]:
        def one(state: State, number: jax.Array) -> tuple[State, jax.Array]:
            lived = step(network, readout, plasticity, state, frames[number % len(frames)])
            return lived.state, lived.action

        return jax.lax.scan(one, state, jnp.arange(STEPS))

    return lambda: PER_STEP * _seconds(lambda: live(plasticity, newborn))


def _floor(storage: str) -> Callable[[], float]:
    """Every number of a step read or written once, with an addition each, and the encoder's multiplications."""
    network = _network(storage)
    coefficients = [jnp.full((SLOTS, network.synapses), i, STORAGE[storage]) for i in range(4)]
    weights = jnp.ones((SLOTS, network.synapses))
    encoder = network.encoder
    assert isinstance(encoder, ImageEncoder)
    first, second = (int(np.prod(shape)) for shape in encoder.filters.values())
    multiplications = first * (2 * encoder.POOLED_1) ** 2 + second * (2 * encoder.POOLED_2) ** 2

    @functools.partial(jax.jit, compiler_options=dict(compiler_options()))
    def touch(weights: jax.Array, coefficients: list[jax.Array]) -> jax.Array:
        def add(weights: jax.Array, *coefficients: jax.Array) -> jax.Array:
            return functools.reduce(lambda total, c: total + c.astype(jnp.float32), coefficients, weights)

        def one(weights: jax.Array, _: None) -> tuple[jax.Array, None]:
            # A stage, as in the network: XLA would convert float16 before the loop, and read float32 at every step.
            return stage(add, weights, *coefficients), None

        return jax.lax.scan(one, weights, None, length=STEPS)[0]

    # As many multiplications as the convolutions' in a product of matrices.
    side = 512
    left, right = jnp.ones((SLOTS * STEPS * multiplications // side**2, side)), jnp.ones((side, side))
    multiply = jax.jit(jnp.matmul, compiler_options=dict(compiler_options()))
    return lambda: PER_STEP * _seconds(lambda: (touch(weights, coefficients), multiply(left, right)))


def _network(storage: str) -> Network:
    return Network(ImageEncoder(96, 96, 3), 3, RULES["ABCD_lr"], coefficients=storage)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(work())
    return time.perf_counter() - start
