"""The engine's rows: the search, a network's step, lives in a world on the host."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium
import jax
import numpy as np

from benchmarks.harness import Row
from metahebb import seeds
from metahebb.agents import Agent
from metahebb.assembly import configure
from metahebb.encoders import VectorEncoder
from metahebb.evolution import checkpoints
from metahebb.evolution.checkpoints import Checkpoint
from metahebb.evolution.openai_es import OpenAIES
from metahebb.evolution.training import strategy_of
from metahebb.evolution.workers import Workers
from metahebb.lifetimes.lives import life_of
from metahebb.lifetimes.slots import compiler_options
from metahebb.lifetimes.step import step
from metahebb.networks import Network, State
from metahebb.readouts import readout_for
from metahebb.rules import RULES

CORES = 2


def rows() -> Iterator[Row]:
    """The rows, each made ready to measure as it is asked for."""
    yield from search()
    yield quadruped_network()
    yield from half_cheetah()


def search() -> Iterator[Row]:
    """All of a generation that is not living: 458,002 parameters, population 200, two cores."""
    c, _, network = configure("gymnasium:CarRacing-v3", population=200)
    strategy = strategy_of(c, network)
    assert isinstance(strategy, OpenAIES)
    workers = Workers(c, CORES)
    workers.wait()
    folder = Path(tempfile.mkdtemp())
    rng = np.random.default_rng(0)
    state = strategy.init()

    def halves(make: Callable[[int], Any]) -> None:
        """Make something for each pair, on two cores."""
        with ThreadPoolExecutor(CORES) as threads:
            list(threads.map(make, range(c.population // 2)))

    def floor() -> float:
        return _seconds(lambda: halves(lambda pair: seeds.noise(0, 0, pair, network.parameters)))

    def figure() -> float:
        def generation() -> None:
            population, _ = strategy.ask(state, 0)
            workers.set_population(population)
            halves(lambda pair: (population.genome(2 * pair), population.genome(2 * pair + 1)))
            told = strategy.tell(state, population, rng.normal(size=c.population), 1, 0, workers.weighted_noise)
            checkpoints.save(folder, Checkpoint(1, told))
            Agent(c, strategy.mean(told)).save(folder / "latest.safetensors")

        return _seconds(generation)

    # In a training the workers have most of it still from living.
    name = "ask, tell, checkpoint and agent: 458,002 parameters, population 200, all noise made twice"
    yield Row(name, "s", "its noise, made once", floor, figure, limit=0.6)
    workers.close()


def quadruped_network() -> Row:
    """A step of the quadruped's network on one core: encoder, forward pass and update."""
    batch, steps = 8, 500
    network = Network(VectorEncoder(28), 8, RULES["ABCD_lr"], output_activation="tanh", normaliser="none")
    key = jax.random.key(0)
    genome = network.unflatten(0.1 * jax.random.normal(key, (batch, network.parameters)))
    plasticity = network.express(genome)
    newborn = network.init(genome, jax.random.split(key, batch))
    readout = readout_for(gymnasium.spaces.Box(-np.inf, np.inf, (8,), np.float32))
    observations = jax.random.normal(key, (steps, batch, 28))

    @functools.partial(jax.jit, compiler_options=dict(compiler_options()))
    def live(state: State) -> tuple[State, jax.Array]:
        def one(state: State, observation: jax.Array) -> tuple[State, jax.Array]:
            lived = step(network, readout, plasticity, state, observation)
            return lived.state, lived.action

        return jax.lax.scan(one, state, observations)

    @functools.partial(jax.jit, compiler_options=dict(compiler_options()))
    def touch(raw: list[jax.Array]) -> list[jax.Array]:
        def one(raw: list[jax.Array], _: None) -> tuple[list[jax.Array], None]:
            # Every number that a step must read, and the weights written, with an addition each.
            return [w + sum(coefficients) for w, coefficients in zip(raw, plasticity.coefficients, strict=True)], None

        return jax.lax.scan(one, raw, None, length=steps)[0]

    raw = [layer.raw for layer in newborn.layers]
    per_step = 1e6 / steps / batch
    return Row(
        "the quadruped's network, a member's step on one core",
        "µs",
        "its numbers, touched once",
        lambda: per_step * _seconds(lambda: jax.block_until_ready(touch(raw))),
        lambda: per_step * _seconds(lambda: jax.block_until_ready(live(newborn))),
        limit=5,
    )


BARE = """
import sys, time, gymnasium
env = gymnasium.make("HalfCheetah-v5")
env.reset(seed=0)
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        if env.step(env.action_space.sample())[3]:
            env.reset()
    print("done", flush=True)
"""


def half_cheetah() -> Iterator[Row]:
    """Lives of HalfCheetah with its network beside the bare environment with random actions, as many processes each."""
    c, _, network = configure("gymnasium:HalfCheetah-v5")
    workers = Workers(c, CORES)
    workers.wait()
    bare = [
        subprocess.Popen([sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(CORES)
    ]
    for process in bare:
        process.stdout.readline()  # type: ignore[union-attr]
    lives, steps = 32, 1000
    genome = seeds.start(0, network.parameters, "normal", [0])

    def floor() -> float:
        def step_all() -> None:
            for process in bare:
                process.stdin.write(f"{lives * steps // CORES}\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            for process in bare:
                process.stdout.readline()  # type: ignore[union-attr]

        return _seconds(step_all) * 1e6 / (lives * steps)

    def figure() -> float:
        groups = [[life_of(0, number, 0, seeds.Stream.EVALUATION)] for number in range(lives)]
        return _seconds(lambda: list(workers.live(groups, genome))) * 1e6 / (lives * steps)

    name = "a step of HalfCheetah-v5 with its network, two workers"
    yield Row(name, "µs", "the bare environment", floor, figure, limit_ratio=1 / 0.7)
    workers.close()
    for process in bare:
        process.communicate()


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
