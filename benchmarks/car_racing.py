"""CarRacing's rows: the world beside EnvPool's, a life's step, and a whole training beside the parts of its steps."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks import full_lives
from benchmarks.harness import Part, Row
from benchmarks.training import Training
from metahebb import seeds
from metahebb.assembly import configure
from metahebb.lifetimes import make_slots
from metahebb.lifetimes.lives import life_of
from metahebb.lifetimes.slots import compiler_options
from metahebb.lifetimes.step import step
from metahebb.networks import Plasticity, State
from metahebb.worlds.car_racing import CarRacing

CORES = 2
STEPS = 50
"""that a part makes at once"""
REPEATS = 4
POPULATION = 200


def rows() -> Iterator[Row]:
    """The rows, each made ready to measure as it is asked for."""
    yield from beside_envpool("CarRacing, a step of the world, one core", "world", 0.1)
    yield from beside_envpool("CarRacing, a step of a life (world and network), one core", "life", 0.3)
    yield from training()
    yield from memory()


def beside_envpool(name: str, part: str, limit: float) -> Iterator[Row]:
    """One of the parts below, with a worker's slots, beside EnvPool's simulator alone."""
    row = functools.partial(Row, name, "µs", "EnvPool's CarRacing-v3", limit_ratio=limit)
    if importlib.util.find_spec("envpool") is None:
        nothing = functools.partial(float, "nan")
        yield row(nothing, nothing, missing="the extra benchmark")
        return
    with Part("benchmarks.car_racing:envpool") as floor, Part(f"benchmarks.car_racing:{part}") as figure:
        yield row(floor, figure)


def training() -> Iterator[Row]:
    """Trainings of two workers, beside world and network at the same time on the same cores, each alone."""
    alone = "world and network, each alone"
    parts = [Part(f"benchmarks.car_racing:{part}", processes=CORES) for part in ("world", "network")]
    settings = {"population": POPULATION, "validate_every": 10**6, "generations": 10**6}
    with parts[0] as world, parts[1] as network:

        def floor() -> float:
            return world() + network()

        with Training("car-racing", CORES, seed=3, **settings) as first:
            # By then most lives last 60 to 120 steps; before, half as long.
            for _ in range(23):
                first.step()
            name = "CarRacing, a core's step in training, lives of about 100 steps"
            yield Row(name, "µs", alone, floor, first.step, limit_ratio=1 / 0.6)
        in_full = functools.partial(Training, full_lives.NAME, CORES, imports=(full_lives.__file__,), **settings)
        with in_full() as full:
            name = "CarRacing, a core's step in training, lives of 1,000 steps"
            yield Row(name, "µs", alone, floor, full.step, limit_ratio=1 / 0.8)
            # What was measured for this row, round by round.
            living, rest = iter(full.living), iter(full.rest)
            yield Row(
                "… ask, tell and all else of these generations",
                "s", "the living", lambda: next(living), lambda: next(rest), limit_ratio=0.05,
            )  # fmt: skip
            with in_full(coefficients="float32", noise_rank=0) as wide:
                yield Row(name, "µs", "float32, noise of full rank", wide.step, full.step, limit_ratio=0.8)


def memory() -> Iterator[Row]:
    """The memory of a training's processes together, pages that they share counted once, from its start on."""
    name = "CarRacing, peak memory of a training's processes together"
    if not Path("/proc/self/smaps_rollup").exists():
        yield Row(name, "GB", "", None, lambda: float("nan"), limit=3, missing="Linux")
        return
    folder = tempfile.mkdtemp()
    options = ["--population", str(POPULATION), "--workers", str(CORES), "--run", f"{folder}/run"]
    training = subprocess.Popen(
        [sys.executable, "-m", "metahebb.cli", "train", "car-racing", *options],
        # Nothing is compiled yet, as in a first training.
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": f"{folder}/cache"},
        stdout=subprocess.DEVNULL,
    )
    metrics, highest = Path(folder, "run", "metrics.jsonl"), 0.0

    def figure() -> float:
        """The peak so far, a generation later."""
        nonlocal highest
        before = _lines(metrics)
        while _lines(metrics) == before:
            if training.poll() is not None:
                raise RuntimeError("the training has ended")
            highest = max(highest, _proportional_set_size(training.pid))
            time.sleep(0.2)
        return highest

    try:
        yield Row(name, "GB", "", None, figure, limit=3)
    finally:
        training.terminate()
        training.wait()


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def _proportional_set_size(process: int) -> float:
    """Of a process and its children, GB."""
    kilobytes = 0
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    for one in (process, *children):
        # A child that has just ended has no memory.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = dict(line.split(":", 1) for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()[1:])
            kilobytes += int(fields["Pss"].split()[0])
    return kilobytes * 1024 / 1e9


def world(lives: int = 0) -> Callable[[], float]:
    """Steps of our world's lives, by default as many as a worker's."""
    lives = lives or _slots()
    # Where there are very many, some begin alike.
    tracks = np.arange(lives) % 128
    begun = CarRacing().reset(np.arange(tracks.max() + 1))
    state, frames = jax.tree.map(lambda leaf: leaf[tracks], begun)
    actions = jnp.asarray(_actions(lives))

    def live(state: Any, frames: jax.Array) -> Any:
        def step(carry: Any, action: jax.Array) -> Any:
            after = CarRacing().step(carry[0], action)
            return (after.state, after.observation), after.reward

        return lax.scan(step, (state, frames), actions)

    compiled = jax.jit(live, donate_argnums=(0, 1), compiler_options=dict(compiler_options()))
    held = [(state, frames)]

    def work() -> None:
        held[0], rewards = compiled(*held[0])
        rewards.block_until_ready()

    return _timed(work, lives)


def network(lives: int = 0) -> Callable[[], float]:
    """Steps of the network alone: encoder, forward pass, update; a few frames in turns."""
    _, task, network = configure("car-racing")
    lives = lives or task.slots
    key = jax.random.key(0)
    genome = network.unflatten(_genomes(lives, network.parameters))
    plasticity, newborn = network.express(genome), network.init(genome, jax.random.split(key, lives))
    frames = jax.random.randint(key, (4, lives, 96, 96, 3), 0, 256, jnp.uint8)

    def live(plasticity: Plasticity, state: State) -> tuple[State, jax.Array]:
        def one(state: State, number: jax.Array) -> tuple[State, jax.Array]:
            lived = step(network, task.readout, plasticity, state, frames[number % len(frames)])
            return lived.state, lived.action

        return lax.scan(one, state, jnp.arange(STEPS))

    compiled = jax.jit(live, donate_argnums=1, compiler_options=dict(compiler_options()))
    held = [newborn]

    def work() -> None:
        held[0], actions = compiled(plasticity, held[0])
        actions.block_until_ready()

    return _timed(work, lives)


def life(lives: int = 0) -> Callable[[], float]:
    """Steps of lives, as a worker lives them; full ones, so that all slots are in use."""
    _, task, network = configure(full_lives.NAME)
    task = dataclasses.replace(task, slots=lives or task.slots)
    slots = make_slots(network, task, task.make_world(task.slots, False))
    genomes = _genomes(task.slots, network.parameters)

    def work() -> float:
        for slot in slots.free:
            slots.place(slot, genomes[slot], life_of(slot, 0, 0, seeds.Stream.TRAINING, slot))
        return timed()

    def steps() -> None:
        for _ in range(STEPS // slots.STRETCH):
            slots.advance()

    timed = _timed(steps, task.slots)
    return work


def envpool() -> Callable[[], float]:
    """Steps of as many lives in EnvPool's CarRacing-v3."""
    import envpool

    lives = _slots()
    env = envpool.make_gymnasium("CarRacing-v3", num_envs=lives, num_threads=1, max_episode_steps=10**6)
    env.reset()
    actions = _actions(lives)

    def work() -> None:
        for action in actions:
            env.step(action)

    return _timed(work, lives)


def _timed(work: Callable[[], object], lives: int) -> Callable[[], float]:
    """µs a life's step, where ``work`` makes STEPS steps of so many lives."""

    def timed() -> float:
        begun = time.perf_counter()
        for _ in range(REPEATS):
            work()
        return (time.perf_counter() - begun) / REPEATS / STEPS / lives * 1e6

    return timed


def _slots() -> int:
    return configure("car-racing")[1].slots


def _genomes(lives: int, parameters: int) -> np.ndarray:
    return seeds.start(0, parameters, "normal", list(range(lives)))


def _actions(lives: int) -> np.ndarray:
    """Gentle driving: float32 [STEPS, lives, 3]."""
    rng = np.random.default_rng(0)
    return rng.uniform([-0.3, 0.0, 0.0], [0.3, 0.3, 0.0], (STEPS, lives, 3)).astype(np.float32)
