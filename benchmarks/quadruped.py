"""The quadruped's rows: its worlds beside AntBulletEnv-v0, and trainings beside their parts."""

from __future__ import annotations

import functools
import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from benchmarks.harness import Part, Row
from benchmarks.training import Training
from metahebb import seeds
from metahebb.assembly import configure
from metahebb.lifetimes.slots import compiler_options
from metahebb.lifetimes.step import step
from metahebb.networks import Plasticity, State
from metahebb.tasks.quadruped import QuadrupedLives

STEPS = 300
"""of a life in the worlds' rows"""
ACTIONS = 500
"""of a life in the trainings' rows, about what they are in their first generations"""


class Contender(NamedTuple):
    """One of our simulators."""

    name: str
    task: str
    simulator: str
    times_as_fast: float
    """as AntBulletEnv-v0, at least"""
    population: int
    """of its training: so many lives that slots seldom wait for the generation's end"""


CONTENDERS = (
    Contender("quadruped", "quadruped", "", 7.5, 500),
    Contender("quadruped-bullet", "quadruped-bullet", "exact", 1.8, 100),
    Contender("quadruped-bullet, merged", "quadruped-bullet", "merged", 3.0, 100),
)


def rows() -> Iterator[Row]:
    """The rows, each made ready to measure as it is asked for."""
    for policy, what in (("", "a step"), ("network", "a step with its network")):
        for contender in CONTENDERS:
            yield from beside_the_original(contender, policy, f"{contender.name}, {what}, one core")
    for contender in CONTENDERS[:2]:
        for workers in (1, 2):
            yield from training(contender, workers)


def beside_the_original(contender: Contender, policy: str, name: str) -> Iterator[Row]:
    """Steps of lives in one of our worlds and in AntBulletEnv-v0, with random torques or those of a network."""
    beside = "AntBulletEnv-v0" + (" with the same network" if policy else "")
    row = functools.partial(Row, name, "µs", beside, limit_ratio=1 / contender.times_as_fast)
    if importlib.util.find_spec("pybullet_envs_gymnasium") is None:
        nothing = functools.partial(float, "nan")
        yield row(nothing, nothing, missing="pybullet-envs-gymnasium")
        return
    ours = contender.task, contender.simulator
    with (
        Part(f"{__name__}:original", policy) as floor,
        Part(f"{__name__}:world", *ours, policy) as figure,
    ):
        yield row(floor, figure)


def training(contender: Contender, workers: int) -> Iterator[Row]:
    """A training, beside the task's world and the network at the same time on as many cores, each alone."""
    arguments = contender.task, contender.simulator
    settings = {"simulator": contender.simulator or None, "population": contender.population}
    with (
        Part("benchmarks.quadruped:task_world", *arguments, processes=workers) as world,
        Part("benchmarks.quadruped:network", *arguments, processes=workers) as network,
        Training(contender.task, workers, **settings, validate_every=10**6, generations=10**6) as run,
    ):
        name = f"{contender.name}, a core's step in training, {workers} worker{'s' * (workers > 1)}"
        alone = "world and network, each alone"
        yield Row(name, "µs", alone, lambda: world() + network(), run.step, limit_ratio=1 / 0.8)


def original(policy: str = "") -> Callable[[], float]:
    """µs a step of lives in AntBulletEnv-v0, one after another, as it is fastest."""
    from pybullet_envs_gymnasium.gym_locomotion_envs import AntBulletEnv

    env = AntBulletEnv()
    act = ACTORS[policy]("quadruped-bullet", "", 1)

    def work() -> None:
        action = act()
        observation, _ = env.reset(seed=1)
        for _ in range(STEPS):
            observation, *_ = env.step(action(observation[None])[0])

    return _timed(work, STEPS)


def world(task: str, simulator: str = "", policy: str = "") -> Callable[[], float]:
    """µs a step of as many lives as a worker has slots, side by side in one of our worlds."""
    _, made, _ = configure(task, simulator=simulator or None)
    lives = made.make_world(made.slots, False)
    assert isinstance(lives, QuadrupedLives)
    everyone, act = np.arange(made.slots), ACTORS[policy](task, simulator, made.slots)

    def work() -> None:
        action = act()
        observations = np.stack([lives.world.reset(int(slot), seed=int(slot)) for slot in everyone])
        for _ in range(STEPS):
            observations, _, _ = lives.world.step(everyone, action(observations))

    return _timed(work, STEPS * made.slots)


def task_world(task: str, simulator: str = "") -> Callable[[], float]:
    """µs an action of lives as the task has them, their settling included, with random torques."""
    _, made, _ = configure(task, simulator=simulator or None)
    lives = made.make_world(made.slots, False)
    assert isinstance(lives, QuadrupedLives)
    everyone, act = np.arange(made.slots), random_actor(task, simulator, made.slots)

    def work() -> None:
        for slot in everyone:
            lives.reset(int(slot), seed=int(slot), body="standard")
        action = act()
        for _ in range(ACTIONS):
            lives.step(everyone, action(everyone))

    return _timed(work, ACTIONS * made.slots)


def network(task: str, simulator: str = "") -> Callable[[], float]:
    """µs a step and life of the network alone, of as many lives as a worker has slots."""
    slots = configure(task, simulator=simulator or None)[1].slots
    act = network_actor(task, simulator, slots)
    observations = np.random.default_rng(0).uniform(-1, 1, (slots, 28)).astype(np.float32)

    def work() -> None:
        action = act()
        for _ in range(STEPS):
            action(observations)

    return _timed(work, STEPS * slots)


Actor = Callable[[], Callable[[np.ndarray], np.ndarray]]
"""Begins lives; what it returns takes their observations [lives, 28] and gives their actions [lives, 8]."""


def random_actor(task: str, simulator: str, lives: int) -> Actor:
    """Random torques."""
    torques = np.random.default_rng(0).uniform(-1, 1, (ACTIONS, lives, 8)).astype(np.float32)

    def begin() -> Callable[[np.ndarray], np.ndarray]:
        steps = iter(torques)
        return lambda observations: next(steps)

    return begin


def network_actor(task: str, simulator: str, lives: int) -> Actor:
    """The paper's network, which learns."""
    _, made, network = configure(task, simulator=simulator or None)
    keys = jax.random.split(jax.random.key(0), lives)
    genome = network.unflatten(seeds.start(0, network.parameters, "normal", range(lives)))
    plasticity = network.express(genome)

    @functools.partial(jax.jit, donate_argnums=1, compiler_options=dict(compiler_options()))
    def compiled(plasticity: Plasticity, state: State, observations: jax.Array) -> tuple[State, jax.Array]:
        lived = step(network, made.readout, plasticity, state, observations)
        return lived.state, lived.action

    def begin() -> Callable[[np.ndarray], np.ndarray]:
        held = [network.init(genome, keys)]

        def action(observations: np.ndarray) -> np.ndarray:
            held[0], torques = compiled(plasticity, held[0], observations)
            return np.asarray(torques)

        return action

    return begin


ACTORS = {"": random_actor, "network": network_actor}


def _timed(work: Callable[[], object], count: int) -> Callable[[], float]:
    """µs of one of so many things that ``work`` does at once."""

    def timed() -> float:
        begun = time.perf_counter()
        work()
        return (time.perf_counter() - begun) / count * 1e6

    return timed
