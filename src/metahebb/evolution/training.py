"""The loop of evolution: ask, live, tell, validate, write down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metahebb.agents import Agent
from metahebb.analysis.figures import draw_curve
from metahebb.configuration import Configuration, network_of, task_of
from metahebb.errors import RunError
from metahebb.evolution import checkpoints
from metahebb.evolution.checkpoints import Checkpoint
from metahebb.evolution.evosax_strategies import EvosaxStrategy, check_strategy
from metahebb.evolution.openai_es import OpenAIES
from metahebb.evolution.populations import MirroredPopulation, pair_and_sign
from metahebb.evolution.runs import Run
from metahebb.evolution.strategies import Strategy
from metahebb.evolution.workers import Workers
from metahebb.files import writing
from metahebb.lifetimes.lives import Life, Outcome, life_of
from metahebb.networks import Network
from metahebb.seeds import Stream

__all__ = ["Ending", "Observer", "evolve", "fitness_of", "lives_of", "strategy_of"]

BARREN = 3
"""Generations in a row without any finite fitness that end a run."""
CURVE_SECONDS = 60


class Observer:
    """Told of a run's progress; does nothing unless overridden."""

    def started(self, run: Run, generation: int, network: Network) -> None:
        """The run goes on from a generation."""

    def lived(self, outcome: Outcome, lives: int) -> None:
        """One of a generation's so many lives has ended."""

    def generation(self, metrics: dict[str, Any]) -> None:
        """A generation is done and written down."""


@dataclass(frozen=True)
class Ending:
    """Why a run has ended, and where it stands."""

    reason: str
    """``generations``, ``target`` or ``time``"""
    generation: int
    best: float | None


def evolve(
    run: Run,
    *,
    workers: int | None = None,
    time_limit: float | None = None,
    observer: Observer | None = None,
) -> Ending:
    """Evolve from the run's newest checkpoint, or in a run that has none from the beginning, until its end.

    ``time_limit`` in seconds ends it after the generation in which it passes, and validates that one's mean. Raises
    RunError where the run cannot go on; what was written stays.
    """
    began = drawn = time.monotonic()
    observer = observer or Observer()
    c = run.configuration
    network = network_of(c, task_of(c))
    strategy = strategy_of(c, network)
    now = run.newest(strategy)
    if now is None:
        now = Checkpoint(0, strategy.init())
        checkpoints.save(run.checkpoints, now, c)
    history = run.cut_metrics(now.generation)
    scoreboard = scoreboard_of(run)
    observer.started(run, now.generation, network)
    reason = _reason_to_end(c, now)
    if reason is not None:
        return Ending(reason, now.generation, now.best)
    try:
        with Workers(c, workers) as pool:
            # The first generation's speed is that of its lives, not of the workers' start.
            pool.wait()
            while reason is None:
                generation_began = time.monotonic()
                generation = now.generation
                population, state = strategy.ask(now.state, generation)
                outcomes = list(live(pool, c, population, generation, observer))
                living = time.monotonic() - generation_began
                fitness, metrics = fitness_of(outcomes, c)
                barren = 0
                if fitness is None:
                    barren = now.barren + 1
                else:
                    state = strategy.tell(state, population, fitness, generation, pool.weighted_noise)
                if state is not None and not np.isfinite(strategy.mean(state)).all():
                    raise RunError(
                        f"The search's mean is no longer finite after generation {generation}; the checkpoint before "
                        f"it is intact. Start a new run with {_smaller_steps(c)}."
                    )
                best = now.best
                late = time_limit is not None and time.monotonic() - began >= time_limit
                metrics = {"generation": generation, **metrics, **_search_metrics(strategy, now.state, state)}
                if state is not None:
                    agent = Agent(c, strategy.mean(state), {"generation": generation})
                    agent.save(run.folder / "latest.safetensors")
                    if (generation + 1) % c.validate_every == 0 or generation + 1 == c.generations or late:
                        score = validate(pool, agent)
                        metrics["validation"] = score
                        if score is not None and (best is None or score > best):
                            best = score
                            Agent(c, agent.genome, {**agent.record, "validation": score}).save(
                                run.folder / "best.safetensors"
                            )
                now = Checkpoint(generation + 1, state, best, barren)
                seconds = time.monotonic() - generation_began
                metrics |= {
                    "seconds": round(seconds, 4),
                    "living_seconds": round(living, 4),
                    "steps_per_second": round(metrics["steps"] / living, 1),
                }
                run.add_metrics(metrics)
                checkpoints.save(run.checkpoints, now, c)
                history.append(metrics)
                scoreboard(metrics)
                observer.generation(metrics)
                reason = _reason_to_end(c, now)
                if reason is None and late:
                    reason = "time"
                if time.monotonic() - drawn > CURVE_SECONDS:
                    with writing("The fitness curve", run.curve):
                        draw_curve(history, run.curve, c.task)
                    drawn = time.monotonic()
    finally:
        if history:
            with writing("The fitness curve", run.curve):
                draw_curve(history, run.curve, c.task)
    return Ending(reason, now.generation, now.best)


def _reason_to_end(c: Configuration, now: Checkpoint) -> str | None:
    if now.barren >= BARREN:
        raise RunError(
            f"No life of the last {BARREN} generations had a finite fitness: the networks diverge. "
            f"Try a normaliser (--normaliser max-abs), {_smaller_steps(c)} or another rule."
        )
    if c.target is not None and now.best is not None and now.best >= c.target:
        return "target"
    return "generations" if now.generation >= c.generations else None


def _smaller_steps(c: Configuration) -> str:
    if c.strategy == "openai-es":
        return "a smaller --lr or --sigma"
    return f"smaller values of {c.strategy}'s own options (--strategy-option)"


def strategy_of(c: Configuration, network: Network) -> Strategy:
    """The strategy that a configuration names; raises UsageError for one that cannot be used."""
    if c.strategy == "openai-es":
        return OpenAIES(c, network.parameters, network.synaptic_parameters, network.filter_parameters)
    check_strategy(c.strategy)
    return EvosaxStrategy(c, network.parameters)


def lives_of(c: Configuration, generation: int) -> Iterable[Sequence[Life]]:
    """The lives of a generation, in groups that share a worker: a mirrored pair's, so that its noise is made once."""
    mirrored = c.strategy == "openai-es"
    bodies = c.morphologies or ("",)
    group = 2 if mirrored else 1
    for first in range(0, c.population, group):
        yield [
            life_of(
                member,
                number,
                c.seed,
                Stream.TRAINING,
                generation,
                # Seeds are those of the pair's first member where the pair shares its lives.
                pair_and_sign(member)[0] * 2 if mirrored and c.paired_lives else member,
                body=body,
            )
            for number, body in enumerate(c.lives * bodies)
            for member in range(first, first + group)
        ]


def lives_per_member(c: Configuration) -> int:
    """How many lives a member's fitness is the mean of."""
    return c.lives * max(len(c.morphologies), 1)


def live(pool: Workers, c: Configuration, population: Any, generation: int, observer: Observer) -> Iterable[Outcome]:
    """Live a generation."""
    genomes = None
    if isinstance(population, MirroredPopulation):
        pool.set_population(population)
    else:
        genomes = population
    for outcome in pool.live(lives_of(c, generation), genomes):
        observer.lived(outcome, c.population * lives_per_member(c))
        yield outcome


def validate(pool: Workers, agent: Agent) -> float | None:
    """The mean fitness of an agent's validation lives, which are the same at every validation of a run.

    As in a generation, a diverged life scores the worst of them; without any finite one there is no score (None).
    """
    c = agent.configuration
    bodies = c.morphologies or ("",)
    lives = [life_of(0, i, c.seed, Stream.VALIDATION, body=bodies[i % len(bodies)]) for i in range(c.validation_lives)]
    raw = np.array([outcome.fitness for outcome in live_agent(pool, agent, lives)])
    finite = np.isfinite(raw)
    return float(np.where(finite, raw, raw[finite].min()).mean()) if finite.any() else None


def live_agent(
    pool: Workers, agent: Agent, lives: Sequence[Life], lived: Callable[[Outcome], None] | None = None
) -> list[Outcome]:
    """Live an agent's lives; their outcomes in the order of the lives."""
    outcomes = []
    for outcome in pool.live(([life] for life in lives), agent.genome[None]):
        outcomes.append(outcome)
        if lived is not None:
            lived(outcome)
    return sorted(outcomes, key=lambda outcome: outcome.number)


def fitness_of(outcomes: Sequence[Outcome], c: Configuration) -> tuple[np.ndarray | None, dict[str, Any]]:
    """The fitness that the strategy is told, float64 [population], and the metrics of a generation's lives.

    A diverged life scores the worst of its generation; without any finite one there is no fitness (None). The mean of a
    member's lives carries the penalty on its genes.
    """
    raw = np.full((c.population, lives_per_member(c)), np.nan)
    mean_square = np.zeros(c.population)
    for outcome in outcomes:
        raw[outcome.member, outcome.number] = outcome.fitness
        mean_square[outcome.member] = outcome.mean_square
    penalty = c.penalty * mean_square
    finite = np.isfinite(raw)
    metrics: dict[str, Any] = {
        "fitness_mean": None,
        "fitness_best": None,
        "fitness_deviation": None,
        "penalty": float(penalty.mean()),
        "lives": len(outcomes),
        "steps": sum(outcome.steps for outcome in outcomes),
        "diverged": int((~finite).sum()),
    }
    if not finite.any():
        return None, metrics
    members = np.where(finite, raw, raw[finite].min()).mean(axis=1)
    metrics |= {
        "fitness_mean": float(members.mean()),
        "fitness_best": float(members.max()),
        "fitness_deviation": float(members.std()),
    }
    return members - penalty, metrics


def _search_metrics(strategy: Strategy, before: Any, after: Any) -> dict[str, Any]:
    if after is None:
        return {}
    mean = strategy.mean(after)
    norms = {"mean_norm": float(np.linalg.norm(mean))}
    if before is not None:
        norms["update_norm"] = float(np.linalg.norm(mean - strategy.mean(before)))
        norms |= {
            name: getattr(before, name) for name in ("lr", "sigma") if isinstance(getattr(before, name, None), float)
        }
    return norms


def scoreboard_of(run: Run) -> Callable[[dict[str, Any]], None]:
    """Where metrics are mirrored to: TensorBoard if it is installed, else nowhere."""
    try:
        from tensorboard.summary import Writer
    except ImportError:
        return lambda metrics: None
    folder = run.folder / "tensorboard"
    with writing("TensorBoard's folder", folder):
        writer = Writer(str(folder))

    def mirror(metrics: dict[str, Any]) -> None:
        with writing("TensorBoard's folder", folder):
            for name, value in metrics.items():
                if name != "generation" and value is not None:
                    writer.add_scalar(name, value, metrics["generation"])
            writer.flush()

    return mirror
