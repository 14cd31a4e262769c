"""The loop of evolution: ask, live, tell, validate, write down."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np

from metahebb.agents import Agent
from metahebb.analysis.figures.run_curve import draw_curve
from metahebb.assembly import network_of, task_of
from metahebb.configuration import Configuration
from metahebb.errors import RunError
from metahebb.evolution import checkpoints
from metahebb.evolution.checkpoints import Checkpoint
from metahebb.evolution.evosax_strategies import EvosaxStrategy, check_strategy
from metahebb.evolution.noise import FULL, NoiseShape
from metahebb.evolution.openai_es import OPTIMIZERS, SHAPINGS, Decay, OpenAIES
from metahebb.evolution.populations import FilterScale, MirroredPopulation, StartingPopulation, pair_and_sign
from metahebb.evolution.runs import Run
from metahebb.evolution.sites import Staff
from metahebb.evolution.strategies import Strategy
from metahebb.evolution.workers import OutOfTimeError, Workers
from metahebb.files import writing
from metahebb.initial_weights import leaves_nothing
from metahebb.lifetimes.lives import FAULTS, NETWORK, Life, Outcome, life_of, why_diverged
from metahebb.networks import Network
from metahebb.observations import Sensed
from metahebb.resources import Need, available_memory, gib, needs_of_lives
from metahebb.seeds import Stream

__all__ = ["Ending", "Observer", "evolve", "first_checkpoint", "fitness_of", "lives_of", "strategy_of"]

logger = logging.getLogger("metahebb")

MANY = 10
"""Lives that take this fraction, a tenth, of the available memory are told of."""
BARREN = 3
"""Generations in a row without any finite fitness that end a run."""
CURVE_SECONDS = 60
LAST_GENERATION, LAST_VALIDATION = 30.0, 60.0
"""Seconds after a time limit at which a generation that is not done, and then a validation, are given up"""
NOT_VALIDATED = "The mean of generation %d was not validated: the time limit had passed for too long."


Metrics: TypeAlias = dict[str, float | None]
"""A generation's line of metrics; None where there is no finite number."""
Population: TypeAlias = MirroredPopulation | np.ndarray
"""What a strategy asks for: a mirrored population, or genomes float32 [population, parameters]."""


class Observer:
    """Told of a run's progress; does nothing unless overridden."""

    def started(self, run: Run, generation: int, network: Network) -> None:
        """The run goes on from a generation."""

    def lived(self, outcome: Outcome, lives: int) -> None:
        """One of a generation's so many lives has ended."""

    def staffed(self, staff: Staff) -> None:
        """So many work for the run at a generation's end; told before ``generation``."""

    def generation(self, metrics: Metrics) -> None:
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
    cluster: str | None = None,
    time_limit: float | None = None,
    observer: Observer | None = None,
) -> Ending:
    """Evolve from the run's newest checkpoint, or in a run that has none from the beginning, until its end.

    ``cluster``: the address of a Ray cluster that this process belongs to (``cluster.connected``).

    ``time_limit`` in seconds ends it: with the generation in which it passes, if that is done within LAST_GENERATION,
    else that generation is dropped, to be lived again when the run goes on. Either way the newest mean is validated, if
    that is done within LAST_VALIDATION. Raises RunError where the run cannot go on; what was written stays.
    """
    deadline = time.monotonic() + time_limit if time_limit is not None else math.inf
    observer = observer or Observer()
    c = run.configuration
    network = network_of(c, task_of(c))
    _warn_of_zeros(network)
    _warn_of_many_lives(c)
    strategy = strategy_of(c, network)
    now = run.newest(strategy) or _first_checkpoint(run, strategy, network)
    begun_at = now.generation
    diary = _Diary(run, now.generation)
    observer.started(run, now.generation, network)
    reason = _reason_to_end(c, now)
    if reason is not None:
        return Ending(reason, now.generation, now.best)
    with diary:
        try:
            with Workers(c, workers, cluster=cluster) as pool:
                pool.deadline = deadline + LAST_GENERATION
                # The first generation's speed is that of its lives, not of the workers' start.
                pool.wait()
                while reason is None:
                    now, late = _generation(pool, run, strategy, now, deadline, diary, observer)
                    reason = _reason_to_end(c, now) or ("time" if late else None)
        except OutOfTimeError:
            reason = "time"
            logger.warning(
                "Generation %d was not done when the time limit had passed; it is lived again when the run goes on.",
                now.generation + 1,
            )
            if now.generation == begun_at:
                logger.warning(
                    "None was done within it: as short a limit makes no progress. Give --time-limit more than a "
                    "generation takes, or start a run with a smaller --population or fewer --lives."
                )
            now = _validated_late(run, workers, cluster, strategy, now, deadline, diary)
    return Ending(reason, now.generation, now.best)


def _generation(
    pool: Workers, run: Run, strategy: Strategy, now: Checkpoint, deadline: float, diary: _Diary, observer: Observer
) -> tuple[Checkpoint, bool]:
    """Live, tell, validate and write down a generation; the checkpoint after it, and whether the deadline has passed.

    Raises OutOfTimeError if it is not done soon after the deadline; nothing is written down then.
    """
    c = run.configuration
    began = time.monotonic()
    population, asked = strategy.ask(now.state, now.generation)
    outcomes = list(live(pool, c, _sensing(population, now.sensed), now.generation, observer))
    living = time.monotonic() - began
    fitness, metrics = fitness_of(outcomes, c)
    _check_environment(outcomes, now.generation)
    steps = sum(outcome.steps for outcome in outcomes)
    after = _told(pool, strategy, now._replace(state=asked), population, fitness, steps)
    after = after._replace(sensed=_sensed_after(now.sensed, outcomes))
    _check_mean(c, strategy, after)
    late = time.monotonic() >= deadline
    metrics |= _search_metrics(strategy, now.state, after.state)
    pool.deadline = deadline + LAST_VALIDATION
    after, validation = _validated(pool, run, strategy, after, late)
    pool.deadline = deadline + LAST_GENERATION
    metrics |= validation | _speed(steps, living, time.monotonic() - began)
    diary.write({"generation": now.generation, **metrics}, after)
    observer.staffed(pool.staff)
    observer.generation(diary.metrics[-1])
    return after, late or ("validation" in validation and time.monotonic() >= deadline)


def _validated_late(
    run: Run,
    workers: int | None,
    cluster: str | None,
    strategy: Strategy,
    now: Checkpoint,
    deadline: float,
    diary: _Diary,
) -> Checkpoint:
    """The checkpoint with its mean validated, by new workers: the others are in lives that may never end."""
    if now.state is None or not diary.metrics or "validation" in diary.metrics[-1]:
        return now
    agent = _agent_of(run, strategy, now)
    try:
        with Workers(run.configuration, workers, cluster=cluster) as pool:
            pool.deadline = deadline + LAST_VALIDATION
            after, _ = _scored(run, agent, now, validate(pool, agent))
    except OutOfTimeError:
        logger.warning(NOT_VALIDATED, now.generation)
        return now
    checkpoints.save(run.checkpoints, after, run.configuration)
    return after


def _first_checkpoint(run: Run, strategy: Strategy, network: Network) -> Checkpoint:
    """For a run without any, as earlier versions made them; it is written."""
    first = first_checkpoint(strategy, network)
    checkpoints.save(run.checkpoints, first, run.configuration)
    return first


def _sensing(population: Population, sensed: Sensed | None) -> Population:
    """The population with what has been observed so far behind each genome, where networks normalise observations."""
    if sensed is None:
        return population
    normalisation = sensed.normalisation
    if isinstance(population, MirroredPopulation):
        return dataclasses.replace(population, fixed=normalisation)
    return np.concatenate([population, np.tile(normalisation, (len(population), 1))], axis=1)


def _sensed_after(before: Sensed | None, outcomes: Sequence[Outcome]) -> Sensed | None:
    """What has been observed after a generation, whose lives may have ended in any order."""
    if before is None:
        return None
    ordered = sorted(outcomes, key=lambda outcome: (outcome.member, outcome.number))
    return before.with_lives((its.steps, its.sensed) for its in ordered if its.sensed is not None)


def _check_environment(outcomes: Sequence[Outcome], generation: int) -> None:
    """Raise RunError where no life had a finite fitness and the environment is to blame."""
    if all(outcome.diverged for outcome in outcomes) and (fault := why_diverged(outcomes)) != NETWORK:
        raise RunError(f"No life of generation {generation} had a finite fitness: {FAULTS[fault]}.")


def _told(
    pool: Workers, strategy: Strategy, now: Checkpoint, population: Population, fitness: np.ndarray | None, steps: int
) -> Checkpoint:
    """The checkpoint after a generation of so many steps: the strategy is told its fitness, if it had any."""
    if fitness is None:
        return now._replace(generation=now.generation + 1, barren=now.barren + 1)
    state = strategy.tell(now.state, population, fitness, steps, now.generation, pool.weighted_noise)
    return now._replace(generation=now.generation + 1, barren=0, state=state)


def _check_mean(c: Configuration, strategy: Strategy, after: Checkpoint) -> None:
    """Raise RunError where the search's mean is no longer finite."""
    if after.state is not None and not np.isfinite(strategy.mean(after.state)).all():
        raise RunError(
            f"The search's mean is no longer finite after generation {after.generation - 1}; the checkpoint before it "
            f"is intact. Start a new run: {_smaller_steps(c)}."
        )


def _validated(
    pool: Workers, run: Run, strategy: Strategy, after: Checkpoint, at_once: bool
) -> tuple[Checkpoint, Metrics]:
    """Write down the agent at the search's mean, and validate it if its turn has come, or ``at_once``.

    Returns the checkpoint with the best score that there is now, and the metrics of the validation.
    """
    if after.state is None:
        return after, {}
    c = run.configuration
    agent = _agent_of(run, strategy, after)
    agent.save(run.folder / "latest.safetensors")
    due = after.generation % c.validate_every == 0 or after.generation == c.generations
    if not due and not at_once:
        return after, {}
    try:
        return _scored(run, agent, after, validate(pool, agent))
    except OutOfTimeError:
        if due:
            # It belongs to the run: the generation is lived again, with its validation.
            raise
        logger.warning(NOT_VALIDATED, after.generation)
        return after, {}


def _agent_of(run: Run, strategy: Strategy, after: Checkpoint) -> Agent:
    """The agent at the search's mean."""
    record: dict[str, Any] = {"generation": after.generation - 1}
    genome = strategy.mean(after.state)
    if after.sensed is not None:
        genome = np.concatenate([genome, after.sensed.normalisation])
        record["observed_steps"] = after.sensed.steps
    return Agent(run.configuration, genome, record)


def _scored(run: Run, agent: Agent, after: Checkpoint, score: float | None) -> tuple[Checkpoint, Metrics]:
    """Save an agent as the best if its validation's score is; the checkpoint with the best score, and the metrics."""
    if score is not None and (after.best is None or score > after.best):
        Agent(agent.configuration, agent.genome, {**agent.record, "validation": score}).save(
            run.folder / "best.safetensors"
        )
        after = after._replace(best=score)
    return after, {"validation": score}


class _Diary:
    """What is written down of a run, generation by generation; a context at whose end the curve is drawn."""

    def __init__(self, run: Run, generation: int) -> None:
        """Goes on with a ``generation``: what is written of that one and later ones is struck out."""
        self._run = run
        self.metrics: list[Metrics] = run.cut_metrics(generation)
        self._mirror = scoreboard_of(run)
        self._drawn = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.metrics:
            self._draw()

    def write(self, metrics: Metrics, after: Checkpoint) -> None:
        """Write down a generation and the checkpoint after it, and now and then the curve."""
        self._run.add_metrics(metrics)
        checkpoints.save(self._run.checkpoints, after, self._run.configuration)
        self.metrics.append(metrics)
        self._mirror(metrics)
        if time.monotonic() - self._drawn > CURVE_SECONDS:
            self._draw()

    def _draw(self) -> None:
        with writing("The fitness curve", self._run.curve):
            draw_curve(self.metrics, self._run.curve, self._run.configuration.task)
        self._drawn = time.monotonic()


def _speed(steps: int, living: float, seconds: float) -> Metrics:
    """The metrics of a generation that took so many steps and seconds, so many of them for its lives."""
    return {
        "seconds": round(seconds, 4),
        "living_seconds": round(living, 4),
        "steps_per_second": round(steps / living, 1),
    }


def _reason_to_end(c: Configuration, now: Checkpoint) -> str | None:
    if now.barren >= min(BARREN, c.generations):
        raise RunError(
            f"No life of the last {now.barren} generations had a finite fitness: {FAULTS[NETWORK]}: "
            f"try a normaliser (--normaliser max-abs) or another rule, or {_smaller_steps(c)}."
        )
    if c.target is not None and now.best is not None and now.best >= c.target:
        return "target"
    return "generations" if now.generation >= c.generations else None


def _smaller_steps(c: Configuration) -> str:
    """What to do where the search has gone too far."""
    if c.strategy == "openai-es":
        return "lower --lr or --sigma"
    return f"give {c.strategy} smaller steps by --strategy-option, or choose another strategy"


def most_waiting(c: Configuration) -> Need:
    """What the lives of a generation, or those of a validation if they are more, take while they wait for workers."""
    generation = needs_of_lives(
        "lives of a generation",
        c.population * c.lives_per_member,
        c.population // 2,
        "lower --lives or --population",
    )
    validation = needs_of_lives(
        "lives of a validation", c.validation_lives, c.validation_lives, "lower --validation-lives"
    )
    return max(*generation, *validation, key=lambda need: need.size)


def _warn_of_many_lives(c: Configuration) -> None:
    """Say what lives take before the first of them, where they are so many that nothing else will be seen for long."""
    waiting, available = most_waiting(c), available_memory()
    if waiting.size * MANY >= available:
        logger.warning(
            "The %s take at least %s of memory while they wait to be lived, of %s that are available: %s if that is "
            "more than you meant.",
            waiting.what,
            gib(waiting.size),
            gib(available),
            waiting.remedy,
        )


def _warn_of_zeros(network: Network) -> None:
    layers = [(i, o) for i, o in network.layers if leaves_nothing(network.initial_weights, o)]
    if layers and network.rule is not None:
        logger.warning(
            "With --initial-weights sparse all weights of a layer of four outputs or fewer begin at zero, here of %s: "
            "a rule that needs activity on both ends of a synapse, such as A, changes nothing there.",
            ", ".join(f"{inputs}→{outputs}" for inputs, outputs in layers),
        )


def first_checkpoint(strategy: Strategy, network: Network, agent: Agent | None = None) -> Checkpoint:
    """Where a run begins: with nothing observed, or with what the evolution of an ``agent`` has."""
    if not network.normalise_observations:
        return Checkpoint(0, strategy.init())
    sensed = Sensed.nothing(network.encoder.features)
    if agent is not None:
        sensed = Sensed.of(agent.record.get("observed_steps", 1), agent.genome[network.evolved_parameters :])
    return Checkpoint(0, strategy.init(), sensed=sensed)


def strategy_of(c: Configuration, network: Network, around: np.ndarray | None = None) -> Strategy:
    """The strategy that a configuration names, over the network's genomes.

    It starts from random genomes, or ``around`` one, float32 [parameters]. Raises UsageError for a strategy that cannot
    be used.
    """
    parameters = network.evolved_parameters
    start = start_of(c, network, around)
    if c.strategy != "openai-es":
        check_strategy(c.strategy)
        return EvosaxStrategy(c.strategy, c.strategy_options, parameters, c.population, c.seed, start.genome)
    return OpenAIES(
        parameters,
        network.synaptic_parameters,
        c.population,
        c.seed,
        OPTIMIZERS[c.optimizer](),
        Decay(c.lr, c.lr_decay, c.lr_minimum),
        Decay(c.sigma, c.sigma_decay, c.sigma_minimum),
        start.genome,
        start.filter_scale,
        NoiseShape(c.noise_rank, network.matrices) if c.noise_rank else FULL,
        SHAPINGS[c.shaping],
        c.decay_steps,
    )


def start_of(c: Configuration, network: Network, around: np.ndarray | None = None) -> StartingPopulation:
    """The evolved parts of the genomes that a configuration starts from: random, or ``around`` a genome."""
    around = None if around is None else around[: network.evolved_parameters]
    synaptic = network.synaptic_parameters
    filter_scale = FilterScale(synaptic, synaptic + network.filter_parameters, c.filter_scale)
    return StartingPopulation(network.evolved_parameters, c.seed, c.start, c.start_scale, filter_scale, around)


def lives_of(c: Configuration, generation: int) -> Iterable[Sequence[Life]]:
    """The lives of a generation, in groups that share a worker: a mirrored pair's, so that its noise is made once."""
    mirrored = c.strategy == "openai-es"
    bodies = c.morphologies or ("",)
    group = 2 if mirrored else 1
    for turn, first in enumerate(range(0, c.population, group), generation):
        lived_in = (bodies[turn % len(bodies)],) if c.bodies_in_turn else bodies
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
            for number, body in enumerate(c.lives * lived_in)
            for member in range(first, first + group)
        ]


def live(
    pool: Workers, c: Configuration, population: Population, generation: int, observer: Observer
) -> Iterable[Outcome]:
    """Live a generation."""
    genomes = None
    if isinstance(population, MirroredPopulation):
        pool.set_population(population)
    else:
        genomes = population
    for outcome in pool.live(lives_of(c, generation), genomes):
        observer.lived(outcome, c.population * c.lives_per_member)
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


def fitness_of(outcomes: Sequence[Outcome], c: Configuration) -> tuple[np.ndarray | None, Metrics]:
    """The fitness that the strategy is told, float64 [population], and the metrics of a generation's lives.

    A diverged life scores the worst of its generation; without any finite one there is no fitness (None). The mean of a
    member's lives carries the penalty on its genes.
    """
    raw = np.full((c.population, c.lives_per_member), np.nan)
    mean_square = np.zeros(c.population)
    for outcome in outcomes:
        raw[outcome.member, outcome.number] = outcome.fitness
        mean_square[outcome.member] = outcome.mean_square
    penalty = c.penalty * mean_square
    finite = np.isfinite(raw)
    metrics: Metrics = {
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


def _search_metrics(strategy: Strategy, before: object, after: object) -> Metrics:
    if after is None:
        return {}
    mean = strategy.mean(after)
    norms: Metrics = {"mean_norm": float(np.linalg.norm(mean))}
    if before is not None:
        norms["update_norm"] = float(np.linalg.norm(mean - strategy.mean(before)))
        norms |= {
            name: getattr(before, name) for name in ("lr", "sigma") if isinstance(getattr(before, name, None), float)
        }
    return norms


def scoreboard_of(run: Run) -> Callable[[Metrics], None]:
    """Where metrics are mirrored to: TensorBoard if it is installed, else nowhere."""
    try:
        from tensorboard.summary import Writer
    except ImportError:
        return lambda metrics: None
    folder = run.folder / "tensorboard"
    with writing("TensorBoard's folder", folder):
        writer = Writer(str(folder))

    def mirror(metrics: Metrics) -> None:
        with writing("TensorBoard's folder", folder):
            for name, value in metrics.items():
                if name != "generation" and value is not None:
                    writer.add_scalar(name, value, metrics["generation"])
            writer.flush()

    return mirror
