"""What one does with metahebb, from Python and from the command line alike."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metahebb import seeds
from metahebb.agents import Agent, load_agent, located
from metahebb.configuration import check_seed, configure, network_of, read_configuration, task_of
from metahebb.errors import RunError, UsageError
from metahebb.evolution.checkpoints import Checkpoint
from metahebb.evolution.evosax_strategies import EvosaxStrategy
from metahebb.evolution.openai_es import OpenAIES
from metahebb.evolution.runs import Run, create_run, open_run
from metahebb.evolution.training import Ending, Observer, evolve, live_agent, strategy_of
from metahebb.evolution.workers import Workers
from metahebb.files import user_path
from metahebb.lifetimes.lives import Life, Outcome, life_of
from metahebb.seeds import Stream
from metahebb.source import write_rule

__all__ = ["Evaluation", "evaluate", "load", "prepare", "resume", "train"]

WORLD_SETTINGS = ("env_args", "greyscale", "frame_stack", "imports", "simulator", "morphologies")
NETWORK_SETTINGS = (
    "rule", "rule_digest", "static", "initial_weights", "normaliser", "hidden", "activation", "coefficients",
)  # fmt: skip

RANDOM_GENOMES = 100
"""random genomes that an evaluation holds at a time: 183 MB of the paper's vision network"""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of an agent's lives."""

    scores: np.ndarray
    """float64 [lives]; a life whose network diverged has the worst of them"""
    diverged: int
    """how many did"""
    steps: int
    seconds: float

    @property
    def lives(self) -> int:
        return len(self.scores)

    @property
    def mean(self) -> float:
        return float(self.scores.mean())

    @property
    def deviation(self) -> float:
        """The standard deviation over the lives."""
        return float(self.scores.std())

    @property
    def median(self) -> float:
        return float(np.median(self.scores))

    @property
    def min(self) -> float:
        return float(self.scores.min())

    @property
    def max(self) -> float:
        return float(self.scores.max())

    @property
    def lives_per_second(self) -> float:
        return self.lives / self.seconds

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        names = ("mean", "deviation", "median", "min", "max", "lives", "diverged", "lives_per_second")
        return {**{name: getattr(self, name) for name in names}, "scores": self.scores.tolist()}


def load(path: str | Path) -> Agent:
    """The agent of a file, or the best agent of a run's folder. Raises UsageError if it is not one."""
    return load_agent(path)


def prepare(
    task: str | None = None,
    *,
    run: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | None = None,
    start_from: Agent | str | Path | None = None,
    rule: str | Callable[..., Any] | None = None,
    **options: Any,
) -> Run:
    """Check everything that can be known before work starts, then make the run's folder, its first checkpoint in it.

    The parameters are those of ``train``.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = {name: value for name, value in options.items() if value is not None}
        if callable(rule):
            rule = write_rule(rule, Path(folder))
        if rule is not None:
            given["rule"] = rule
        if config is not None:
            file = user_path("--config", config)
            read = dataclasses.asdict(located(read_configuration(file), file.parent))
            given = {**read, **given}
            task = task or read["task"]
            given.pop("task", None)
        if task is None:
            raise UsageError("No task was given; `metahebb tasks` lists them.")
        agent = start_from if isinstance(start_from, Agent) or start_from is None else load_agent(start_from)
        if agent is not None:
            # The network, and on its own task the world, are the agent's; what evolves it further is the caller's.
            its = list(NETWORK_SETTINGS)
            if agent.configuration.task == task:
                its += WORLD_SETTINGS
            given = {name: getattr(agent.configuration, name) for name in its} | given
        configuration, _, network = configure(task, preset, **given)
        if agent is not None and agent.network.genome != network.genome:
            raise UsageError(
                f"The agent is one of task {agent.configuration.task!r} with {agent.network.parameters:,} parameters; "
                f"its genome does not fit task {task!r} with these options, which needs {network.parameters:,}."
            )
        strategy = strategy_of(configuration, network)
        if isinstance(strategy, EvosaxStrategy):
            strategy.check_memory(_available_memory())
        first = Checkpoint(0, strategy.init(None if agent is None else agent.genome))
        return create_run(configuration, None if run is None else user_path("--run", run), first)


def train(
    task: str | None = None,
    *,
    run: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | None = None,
    start_from: Agent | str | Path | None = None,
    rule: str | Callable[..., Any] | None = None,
    workers: int | None = None,
    time_limit: float | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> Run:
    """Evolve rules for a task in a new run.

    Args:
        task: such as ``"gymnasium:CartPole-v1"``.
        run: the folder to make; by default ``runs/<task>-<n>``.
        preset: ``"paper"``, or None for the task's own settings.
        config: a configuration file to take the settings from.
        start_from: an agent, or the file of one, that evolution starts from.
        rule: a rule's name, ``"my_rules.py:my_rule"``, or a function ``(pre, post, weight, A, …)``.
        workers: worker processes, by default one per core. The result does not depend on them.
        time_limit: minutes after which the run ends with the generation.
        observer: is told of the progress.
        **options: settings of ``Configuration``.

    Raises UsageError before anything is written, RunError if the run fails.
    """
    check_resources(workers, time_limit)
    made = prepare(task, run=run, preset=preset, config=config, start_from=start_from, rule=rule, **options)
    go_on(made, workers=workers, time_limit=time_limit, observer=observer)
    return made


def resume(
    run: str | Path | Run,
    *,
    generations: int | None = None,
    workers: int | None = None,
    time_limit: float | None = None,
    observer: Observer | None = None,
) -> Run:
    """Continue a run as if it had never stopped, to another number of generations if one is given."""
    check_resources(workers, time_limit)
    opened = reopen(run.folder if isinstance(run, Run) else run, generations)
    go_on(opened, workers=workers, time_limit=time_limit, observer=observer)
    return opened


def reopen(folder: str | Path, generations: int | None = None) -> Run:
    """A run to be continued, with another number of generations if one is given.

    Raises UsageError, before that is written, if the run cannot go on or has done more generations.
    """
    run = open_run(folder)
    if generations is None:
        return run
    c = run.configuration
    return run.extended(generations, strategy_of(c, network_of(c, task_of(c))))


def check_resources(workers: int | None, time_limit: float | None) -> None:
    """Raise UsageError for a number of workers or a time limit (minutes) that makes no sense."""
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise UsageError(f"--workers is {workers!r}; it must be a whole number, 1 or more.")
    if time_limit is not None and not (math.isfinite(time_limit) and time_limit > 0):
        raise UsageError(f"--time-limit is {time_limit!r}; it must be a finite number of minutes above 0.")


def go_on(
    run: Run,
    *,
    workers: int | None = None,
    time_limit: float | None = None,
    observer: Observer | None = None,
) -> Ending:
    """Evolve an opened run, holding its folder; ``time_limit`` in minutes."""
    seconds = None if time_limit is None else 60 * time_limit
    with run.opened():
        return evolve(run, workers=workers, time_limit=seconds, observer=observer)


def evaluate(
    agent: Agent | Run | str | Path,
    lives: int = 100,
    *,
    seed: int = 0,
    morphology: str | None = None,
    simulator: str | None = None,
    random_rules: bool = False,
    workers: int | None = None,
    lived: Callable[[Outcome], None] | None = None,
) -> Evaluation:
    """Live an agent's lives on fresh seeds, which no training or validation uses.

    The same ``seed`` gives the same lives (worlds and initial weights) for every agent. With ``random_rules`` each life
    has genes of its own instead, drawn as those that the agent's evolution began with. A task with bodies lives in
    ``morphology``, by default the first that the agent was evolved in; ``simulator`` chooses another of the task's
    simulators.
    """
    check_resources(workers, None)
    if not isinstance(lives, int) or lives < 1:
        raise UsageError(f"--lives is {lives!r}; it must be a whole number, 1 or more.")
    check_seed(seed)
    agent = agent.best if isinstance(agent, Run) else agent if isinstance(agent, Agent) else load_agent(agent)
    agent = agent.elsewhere(morphology, simulator)
    fresh = [life_of(0, number, seed, Stream.EVALUATION, body=agent.body) for number in range(lives)]
    with Workers(agent.configuration, workers) as pool:
        pool.wait()
        began = time.monotonic()
        outcomes = (
            live_randomly(pool, agent, fresh, seed, lived) if random_rules else live_agent(pool, agent, fresh, lived)
        )
        seconds = time.monotonic() - began
    return evaluation_of(outcomes, seconds)


def live_randomly(
    pool: Workers, agent: Agent, lives: Sequence[Life], seed: int, lived: Callable[[Outcome], None] | None = None
) -> list[Outcome]:
    """Live each life with random genes of its own; the outcomes in the order of the lives."""
    outcomes = []
    for first in range(0, len(lives), RANDOM_GENOMES):
        batch = [life._replace(member=i) for i, life in enumerate(lives[first : first + RANDOM_GENOMES])]
        genomes = np.empty((len(batch), agent.network.parameters), np.float32)
        for life in batch:
            genomes[life.member] = random_genome(agent, seed, life.number)
        for outcome in pool.live(([life] for life in batch), genomes):
            outcomes.append(outcome)
            if lived is not None:
                lived(outcome)
    return sorted(outcomes, key=lambda outcome: outcome.number)


def random_genome(agent: Agent, seed: int, number: int) -> np.ndarray:
    """One of the genomes that the agent's evolution might have started from, float32 [parameters]."""
    c, network = agent.configuration, agent.network
    search = OpenAIES(c, network.parameters, network.synaptic_parameters, network.filter_parameters)
    # Strategies that scale no filters have a filter_scale of 1.
    return search.scaled(seeds.start(seed, network.parameters, c.start, [number], c.start_scale)[0])


def evaluation_of(outcomes: Sequence[Outcome], seconds: float) -> Evaluation:
    """The evaluation of outcomes; raises RunError if every life diverged."""
    raw = np.array([outcome.fitness for outcome in outcomes])
    finite = np.isfinite(raw)
    if not finite.any():
        raise RunError(f"The network diverged in all of {len(raw)} lives.")
    scores = np.where(finite, raw, raw[finite].min())
    return Evaluation(scores, int((~finite).sum()), sum(outcome.steps for outcome in outcomes), seconds)


def _available_memory() -> int:
    """Bytes that are free for a strategy's state; everything where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 2**63 - 1
