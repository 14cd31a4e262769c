"""The quadruped's rows: its worlds beside AntBulletEnv-v0, with random torques and with the network."""

from __future__ import annotations

import functools
import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.harness import Part, Row
from metahebb import seeds
from metahebb.configuration import configure, network_of
from metahebb.lifetimes import make_slots
from metahebb.lifetimes.lives import life_of
from metahebb.lifetimes.slots import compiler_options

STEPS = 300
"""of a life in the worlds' rows"""


class Contender(NamedTuple):
    """One of our simulators."""

    name: str
    task: str
    simulator: str
    times_as_fast: float
    """as AntBulletEnv-v0, at least"""


CONTENDERS = (
    Contender("quadruped", "quadruped", "", 7.5),
    Contender("quadruped-bullet", "quadruped-bullet", "exact", 1.8),
    Contender("quadruped-bullet, merged", "quadruped-bullet", "merged", 3.0),
)


def rows() -> Iterator[Row]:
    """The rows, each made ready to measure as it is asked for."""
    for with_policy, what in ((False, "a step"), (True, "a step with its network")):
        for contender in CONTENDERS:
            yield from beside_the_original(contender, with_policy, f"{contender.name}, {what}, one core")


def beside_the_original(contender: Contender, with_policy: bool, name: str) -> Iterator[Row]:
    """Lives in one of our worlds and in AntBulletEnv-v0, with random torques or those of a network."""
    row = functools.partial(Row, name, "µs", "AntBulletEnv-v0", limit_ratio=1 / contender.times_as_fast)
    if importlib.util.find_spec("pybullet_envs_gymnasium") is None:
        nothing = functools.partial(float, "nan")
        yield row(nothing, nothing, missing="pybullet-envs-gymnasium")
        return
    theirs, ours = ("original_lives", "lives") if with_policy else ("original", "world")
    with (
        Part(f"benchmarks.quadruped:{theirs}") as floor,
        Part(f"benchmarks.quadruped:{ours}", contender.task, contender.simulator) as figure,
    ):
        yield row(floor, figure)


def original() -> Callable[[], float]:
    """µs a step of lives in AntBulletEnv-v0, one after another."""
    from pybullet_envs_gymnasium.gym_locomotion_envs import AntBulletEnv

    env = AntBulletEnv()
    env.reset(seed=0)
    actions = _actions(1)[:, 0]

    def work() -> None:
        env.reset(seed=1)
        for action in actions:
            env.step(action)

    return _timed(work, STEPS)


def original_lives() -> Callable[[], float]:
    """µs a step of lives in AntBulletEnv-v0 whose actions our network makes, one after another."""
    from pybullet_envs_gymnasium.gym_locomotion_envs import AntBulletEnv

    env = AntBulletEnv()
    env.reset(seed=0)
    step, plasticity, born = _network("quadruped", "", 1)

    def work() -> None:
        weights = born()
        observation = env.reset(seed=1)[0]
        for _ in range(STEPS):
            weights, action = step(plasticity, weights, observation[None])
            observation = env.step(np.asarray(action)[0])[0]

    return _timed(work, STEPS)


def world(task: str, simulator: str = "") -> Callable[[], float]:
    """µs a step of as many lives as a worker has slots, side by side in one of our worlds."""
    slots = _slots(task)
    simulation = configure(task, simulator=simulator or None)[1].make_world(slots, False)._world
    everyone, actions = np.arange(slots), _actions(slots)

    def work() -> None:
        for slot in everyone:
            simulation.reset(int(slot), seed=int(slot))
        for action in actions:
            simulation.step(everyone, action)

    return _timed(work, STEPS * slots)


def lives(task: str, simulator: str = "") -> Callable[[], float]:
    """µs a step of as many lives, as a worker lives them, whole ones with all that belongs to them."""
    c, made, network = configure(task, simulator=simulator or None)
    slots = make_slots(network, made, made.make_world(made.slots, False))
    genomes = _genomes(made.slots, network.parameters)

    def work() -> float:
        begun, steps = time.perf_counter(), 0
        for slot in range(made.slots):
            slots.place(slot, genomes[slot], life_of(slot, 0, c.seed, seeds.Stream.TRAINING, slot, body="standard"))
        while len(slots.living):
            steps += sum(outcome.steps for outcome in slots.advance())
        return (time.perf_counter() - begun) / steps * 1e6

    return work


def _network(task: str, simulator: str, lives: int) -> tuple[Any, Any, Callable[[], Any]]:
    """(step, plasticity, born): a network's compiled step, what it reads, and what makes newborn weights."""
    c, made, _ = configure(task, simulator=simulator or None)
    network = network_of(c, made)
    keys = jax.random.split(jax.random.key(0), lives)
    genome = network.unflatten(_genomes(lives, network.parameters))
    plasticity = network.express(genome)

    @functools.partial(jax.jit, donate_argnums=1, compiler_options=dict(compiler_options()))
    def step(plasticity: Any, weights: Any, observation: jax.Array) -> Any:
        activities = network.act(plasticity, weights, observation)
        return network.learn(plasticity, weights, activities), activities[-1]

    return step, plasticity, lambda: network.init(genome, keys)


def _slots(task: str) -> int:
    return configure(task)[1].slots


def _genomes(lives: int, parameters: int) -> np.ndarray:
    return seeds.start(0, parameters, "normal", list(range(lives)))


def _actions(lives: int) -> np.ndarray:
    """Random torques: float32 [STEPS, lives, 8]."""
    return np.random.default_rng(0).uniform(-1, 1, (STEPS, lives, 8)).astype(np.float32)


def _timed(work: Callable[[], object], count: int) -> Callable[[], float]:
    """µs of one of so many things that ``work`` does at once."""

    def timed() -> float:
        begun = time.perf_counter()
        work()
        return (time.perf_counter() - begun) / count * 1e6

    return timed
