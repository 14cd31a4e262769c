"""CarRacing on an accelerator, where JAX has one: the world, the network, and a training, all lives at once."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import jax

from benchmarks import car_racing, full_lives
from benchmarks.harness import Row
from benchmarks.training import Training
from metahebb.evolution.workers import ACCELERATED

POPULATION = 200
MANY = 2048


def rows() -> Iterator[Row]:
    """The rows; the figures are those of a single life's step."""
    row = functools.partial(Row, unit="µs", floor_name="", floor=None)
    nothing = functools.partial(float, "nan")
    if jax.default_backend() == "cpu":
        yield row("CarRacing on an accelerator", figure=nothing, missing="an accelerator")
        return
    for lives in (POPULATION, MANY):
        yield row(f"CarRacing on the accelerator, a step of the world, {lives:,} lives", figure=car_racing.world(lives))
    name = f"the vision network on the accelerator, {POPULATION} members"
    yield row(name, figure=car_racing.network(POPULATION))
    name = f"CarRacing on the accelerator, a step of a life (world and network), {POPULATION} lives"
    yield row(name, figure=car_racing.life(POPULATION))
    settings = {"population": POPULATION, "validate_every": 10**6, "generations": 10**6}
    with Training(full_lives.NAME, ACCELERATED, imports=(full_lives.__name__,), **settings) as full:

        def step() -> float:
            """As if there were one worker: the accelerator is one."""
            return full.step() / ACCELERATED

        yield row("CarRacing on the accelerator, a step in training, lives of 1,000 steps", figure=step)
