"""Whole generations on an accelerator, where JAX has one, each beside what its parts cost at the least.

The rows together take some eight minutes on a current GPU; those that would begin after ten are left out.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks import car_racing, full_lives
from benchmarks.harness import Row
from benchmarks.training import Training
from metahebb.assembly import configure
from metahebb.lifetimes.slots import compiler_options
from metahebb.worlds import TracedWorld
from metahebb.worlds.car_racing import CarRacing

POPULATION = 200
SECONDS = 600
"""after which no further row is begun"""
STRETCH = 100
"""steps of a simulator alone that are timed at once"""
EVOJAX = 1e6 / 242_000
"""µs a step in its notebook of the method on Brax's ant"""


class Generations(NamedTuple):
    """Generations of full lives."""

    name: str
    task: str
    population: int
    most: float | None = None
    """µs that a step may take"""
    needs: str = ""
    """a module beyond metahebb's own"""


GENERATIONS = (
    Generations("CarRacing", full_lives.NAME, 200),
    Generations("CarRacing", full_lives.NAME, 1024, most=2.0),
    Generations("quadruped", full_lives.QUADRUPED, 512, needs="mujoco.mjx"),
    Generations("quadruped", full_lives.QUADRUPED, 4096, needs="mujoco.mjx"),
    Generations("quadruped", full_lives.QUADRUPED, 16384, most=1 / 1.5, needs="mujoco.mjx"),
    Generations("Brax's ant, 87→128→64→8", full_lives.ANT, 1024, needs="brax"),
    Generations("CarRacing", full_lives.NAME, 4096, most=2.0),
)


def rows(generations: tuple[Generations, ...] = GENERATIONS, workers: int = 1) -> Iterator[Row]:
    """The rows; the figures are those of a single life's step."""
    nothing = functools.partial(float, "nan")
    if jax.default_backend() == "cpu" and generations is GENERATIONS:
        yield Row("lives on an accelerator", "µs", "", None, nothing, missing="an accelerator")
        return
    begun = time.monotonic()
    if generations is GENERATIONS:
        row = functools.partial(Row, unit="µs", floor_name="", floor=None, rounds=2)
        name = f"CarRacing on the accelerator, a step of a life (world and network), {POPULATION} lives"
        yield row(name, figure=car_racing.life(POPULATION))
        name = f"CarRacing on the accelerator, beginning a life's world, {POPULATION} together"
        yield row(name, figure=beginning(POPULATION), limit=300)
    for these in generations:
        name = f"{these.name} on the accelerator, a step in training, population {these.population:,}"
        missing = these.needs if these.needs and not _installed(these.needs) else None
        if missing is None and time.monotonic() - begun > SECONDS:
            missing = "more time"
        if missing is not None:
            yield Row(name, "µs", "", None, nothing, missing=missing)
            continue
        yield from beside_its_parts(these, name, workers)


def beside_its_parts(these: Generations, name: str, workers: int) -> Iterator[Row]:
    """Generations beside the simulator alone and the copying of what networks read and write; and beside EvoJAX."""
    settings = {"population": these.population, "validate_every": 10**6, "generations": 10**6, "validation_lives": 1}
    with Training(these.task, workers, imports=(full_lives.__file__,), **settings) as full:
        alone, copied = simulator(these), copying(these)

        def step() -> float:
            """As if there were one worker: the accelerator is one."""
            return full.step() / workers

        row = functools.partial(Row, name, "µs", rounds=1, limit=these.most)
        if these.task == full_lives.ANT:
            yield row("EvoJAX's notebook", lambda: EVOJAX, step)
        else:
            yield row("simulator alone, bytes copied", lambda: alone() + copied(), step)


def beginning(lives: int) -> Callable[[], float]:
    """µs of beginning a life's world: its track drawn, laid and painted, its first frame."""
    numbers = itertools.count()

    def timed() -> float:
        seeds = next(numbers) * lives + np.arange(lives)
        begun = time.perf_counter()
        jax.block_until_ready(CarRacing().reset(seeds))
        return (time.perf_counter() - begun) / lives * 1e6

    timed()
    return timed


def simulator(these: Generations) -> Callable[[], float]:
    """µs of a step in the simulator alone, as many lives as there are members, actions of zero."""
    _, task, _ = configure(these.task, imports=(full_lives.__file__,))
    world = task.make_world(these.population, False)
    assert isinstance(world, TracedWorld)
    one = world.reset(np.zeros(1, np.int64))[0]
    held = [jax.tree.map(lambda leaf: jnp.repeat(leaf, these.population, axis=0), one)]
    action = jnp.zeros((these.population, *(world.action_space.shape or ())), jnp.float32)

    @functools.partial(jax.jit, donate_argnums=0, compiler_options=dict(compiler_options()))
    def steps(state: object) -> tuple[object, jax.Array]:
        def step(state: object, _: None) -> tuple[object, jax.Array]:
            after = world.step(state, action)
            # What is observed is part of what a simulator does.
            return after.state, after.reward + after.observation.reshape(len(action), -1).astype(jnp.float32).mean(1)

        return lax.scan(step, state, length=STRETCH)

    def timed() -> float:
        begun = time.perf_counter()
        held[0], rewards = steps(held[0])
        rewards.block_until_ready()
        return (time.perf_counter() - begun) / STRETCH / these.population * 1e6

    return timed


def copying(these: Generations) -> Callable[[], float]:
    """µs of reading a life's coefficients and weights and of writing its weights, at the speed of a copy."""
    _, _, network = configure(these.task, imports=(full_lives.__file__,))
    genome = jax.ShapeDtypeStruct((1, network.parameters), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    parts = jax.eval_shape(network.unflatten, genome)
    plasticity, state = jax.eval_shape(network.express, parts), jax.eval_shape(network.init, parts, key)
    moved = _size(plasticity) + 2 * _size(state.layers)
    numbers = jnp.zeros(2**28 if jax.default_backend() != "cpu" else 2**24, jnp.float32)
    copy = jax.jit(lambda numbers: numbers + 1)

    def timed() -> float:
        begun = time.perf_counter()
        copy(numbers).block_until_ready()
        return (time.perf_counter() - begun) / (2 * numbers.nbytes) * moved * 1e6

    return timed


def _size(tree: object) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
