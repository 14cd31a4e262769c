"""What a perturbation costs a life, and a comparison beside a training: on CarRacing, with the agent in results/."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

import metahebb
from benchmarks import full_lives
from benchmarks.harness import Part, Row
from benchmarks.training import Training
from metahebb.agents import Agent, load_agent
from metahebb.lifetimes import make_slots
from metahebb.lifetimes.lives import life_of
from metahebb.perturbations import perturbations_for
from metahebb.seeds import Stream

CORES = 2
STEPS = 800
"""of each life"""
LIVES = 24
"""of each row of a comparison, and of each place of a sweep; and then six times as many"""
PERTURBATIONS = ("zero-weights@300", "freeze@400", "friction:0.9", "colour-shift:0.1", "frames", "blob")


def rows() -> Iterator[Row]:
    """The rows, each made ready to measure as it is asked for."""
    part = "benchmarks.experiments:lives"
    with Part(part, "-") as undisturbed:
        for text in PERTURBATIONS:
            with Part(part, text) as disturbed:
                name = f"CarRacing, a life's step under {text}, one core"
                yield Row(name, "µs", "the same lives undisturbed", undisturbed, disturbed, limit_ratio=1.05)
    settings = {"population": 200, "validate_every": 10**6, "generations": 10**6}
    with Training(full_lives.NAME, CORES, imports=(full_lives.__file__,), **settings) as training:
        figures = {
            "compare, undisturbed and disturbed": functools.partial(
                metahebb.compare, _agent(), perturb=["zero-weights@300"]
            ),
            "sweep, an onset at four steps": functools.partial(
                metahebb.sweep, _agent(), perturb="zero-weights@100..700:4"
            ),
        }
        for name, work in figures.items():
            floor = "a core's step in training, lives of 1,000 steps"
            yield Row(
                f"CarRacing, a core's step in {name}", "µs", floor, training.step, _per_step(work), limit_ratio=1.25
            )


def lives(text: str) -> Callable[[], float]:
    """The CPU time of a step of the agent's lives as a worker lives them, under a perturbation, or none (``-``).

    They end with their last step: what a perturbation does to how long lives last is no cost of its own.
    """
    agent = _agent()
    variant = perturbations_for([] if text == "-" else [text], agent.task, agent.network)
    slots = make_slots(agent.network, agent.task, full_lives.FullLives(), [variant])
    numbers = iter(range(10**9))

    def work() -> float:
        begun = time.process_time()
        for _ in range(STEPS // slots.STRETCH):
            for slot in slots.free:
                slots.place(slot, agent.genome, life_of(0, next(numbers) % 64, 0, Stream.EVALUATION))
            slots.advance()
        return (time.process_time() - begun) / STEPS / agent.task.slots * 1e6

    return work


def _agent() -> Agent:
    return load_agent("car-racing")


def _per_step(work: Callable[..., metahebb.Comparison | metahebb.Sweep]) -> Callable[[], float]:
    """µs of a core for each step of further lives: workers start, compile and wait for the last life once."""

    def measure() -> float:
        few, many = (work(lives=lives, workers=CORES) for lives in (LIVES, 6 * LIVES))
        steps = many.seconds * many.steps_per_second - few.seconds * few.steps_per_second
        return CORES * (many.seconds - few.seconds) / steps * 1e6

    return measure
