"""What one does with metahebb, from Python and from the command line alike."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metahebb.agents import Agent, load_agent, with_code_found
from metahebb.assembly import configure, network_of, settings_from, task_of
from metahebb.configuration import SEED, SETTINGS, Configuration, read_configuration
from metahebb.errors import RunError, UsageError, quoted
from metahebb.evolution.evosax_strategies import EvosaxStrategy
from metahebb.evolution.runs import Run, create_run, open_run
from metahebb.evolution.strategies import Strategy
from metahebb.evolution.training import (
    Ending,
    Observer,
    evolve,
    first_checkpoint,
    live_agent,
    most_waiting,
    start_of,
    strategy_of,
)
from metahebb.evolution.workers import Workers, how_many, on_accelerator
from metahebb.files import user_path
from metahebb.lifetimes.lives import FAULTS, Life, Outcome, life_of, why_diverged
from metahebb.networks import Network
from metahebb.perturbations import Perturbation, perturbations_for
from metahebb.resources import (
    Need,
    check_memory,
    needs_of_attention,
    needs_of_lives,
    needs_of_search,
    needs_of_state,
    needs_of_workers,
)
from metahebb.seeds import Stream
from metahebb.settings import Group, Number, Whole
from metahebb.shipped import is_shipped
from metahebb.source import write_rule
from metahebb.tasks import Task
from metahebb.trust import new_folder, remember, split_task

__all__ = ["Evaluation", "evaluate", "load", "new_run", "resume", "train"]

logger = logging.getLogger("metahebb")


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


def load(path: str | Path, *, imports: Sequence[str] = (), trust_code: bool = False) -> Agent:
    """The agent of a file, the best agent of a run's folder, or an agent that comes with metahebb.

    Args:
        path: the file or the folder, or a name that `metahebb agents` lists; a file or folder of that name comes first.
        imports: modules or .py files that register environments of your own, such as the agent's where its file has
            moved: they take the place of files of the same names beside the agent.
        trust_code: run Python code that the agent brings even if you have not trained with it.

    Raises UsageError if there is no agent, or if it brings code that is not to be run.
    """
    return load_agent(path, imports=imports, trust_code=trust_code)


def new_run(
    task: str | None = None,
    *,
    run: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | None = None,
    start_from: Agent | str | Path | None = None,
    rule: str | Callable[..., Any] | None = None,
    trust_code: bool = False,
    workers: int | None = None,
    **options: Any,
) -> Run:
    """Check everything that can be known before work starts, then make the run's folder, its first checkpoint in it.

    The parameters are those of ``train``.
    """
    imports = SETTINGS["imports"].read(options.get("imports") or ())
    if callable(rule):
        rule = write_rule(rule, new_folder())
    base: dict[str, Any] = {}
    if config is not None:
        if preset is not None:
            raise UsageError(f"--config and --preset {preset} both bring settings; leave one of them out.")
        read = _read_config(config, rule is not None, imports, trust_code)
        task = task or read.task
        base |= settings_from(read, task, Group.NETWORK, Group.SEARCH, Group.RUN)
    if task is None:
        raise UsageError("No task was given; `metahebb tasks` lists them.")
    task = SETTINGS["task"].read(task)
    # What a run writes down names its modules as imports, and none in the id.
    task, modules = split_task(task)
    if modules:
        options["imports"] = (*imports, *modules)
    agent = None if start_from is None else agent_of(start_from, imports, trust_code)
    if agent is not None:
        # What evolves it further is the caller's.
        base |= settings_from(agent.configuration, task, Group.NETWORK)
    configuration, made, network = configure(task, preset, base=base, rule=rule, **options)
    if agent is not None and agent.network.genome != network.genome:
        raise UsageError(
            f"The agent is one of task {agent.configuration.task!r} with {agent.network.parameters:,} parameters; "
            f"its genome does not fit task {task!r} with these options, which needs {network.parameters:,}."
        )
    strategy = _checked_strategy(configuration, made, network, workers, agent)
    if made.trial is not None:
        configuration = dataclasses.replace(configuration, **made.trial())
    first = first_checkpoint(strategy, network, agent)
    created = create_run(configuration, None if run is None else user_path("--run", run), first)
    if agent is not None and _rule_of(agent.configuration) != _rule_of(configuration):
        # Of the same shape, but meant for something else: whoever asks for it may know, whoever reads the log does not.
        its, now = Path(agent.configuration.rule).name, Path(configuration.rule).name
        with created.opened():
            logger.warning(
                "The agent that evolution starts from was evolved with another rule, %s%s: its genes are now taken for "
                "coefficients of %s.",
                its,
                ", of which the file has changed" if its == now else "",
                now,
            )
    return created


def _rule_of(c: Configuration) -> tuple[str, str | None]:
    """What a rule does, wherever its file lies: a name and the digest of its file."""
    return c.rule.rpartition(":")[2], c.rule_digest


def _read_config(config: str | Path, another_rule: bool, imports: Sequence[str], trust_code: bool) -> Configuration:
    """The configuration of ``--config``, with its code; its rule is not asked for where there is ``another_rule``."""
    file = user_path("--config", config)
    read = read_configuration(file)
    if another_rule:
        read = dataclasses.replace(read, rule=Configuration.rule, rule_digest=None)
    source = f"The configuration {quoted(config)}"
    return with_code_found(read, file.parent, source, imports=imports, trust_code=trust_code)


def _checked_strategy(
    c: Configuration, task: Task, network: Network, workers: int | None, agent: Agent | None
) -> Strategy:
    """The strategy of a run; raises UsageError for one that does not work, or would not fit into the memory."""
    needs = needs_of_run(c, task, network, workers)
    check_memory(needs)
    strategy = strategy_of(c, network, None if agent is None else agent.genome)
    if isinstance(strategy, EvosaxStrategy):
        strategy.check()
        needs += needs_of_state(c.strategy, strategy.template())
        if strategy.context is not None:
            needs += needs_of_attention(c.strategy, network.evolved_parameters, strategy.context)
        check_memory(needs)
    return strategy


def train(
    task: str | None = None,
    *,
    run: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | None = None,
    start_from: Agent | str | Path | None = None,
    rule: str | Callable[..., Any] | None = None,
    trust_code: bool = False,
    workers: int | None = None,
    cluster: str | None = None,
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
        start_from: an agent, or the file of one, that evolution starts from: as the mean of the search, or, for
            strategies of evosax that keep a population, as its first member, with the others around it
            (``StartingPopulation``).
        rule: a rule's name, ``"my_rules.py:my_rule"``, or a function ``(pre, post, weight, A, …)``.
        trust_code: run Python code that ``config`` or ``start_from`` brings even if you have not trained with it.
        workers: worker processes, by default one per core. The result does not depend on them.
        cluster: live the lives on the Ray cluster at this address, ``"HOST:PORT"`` or ``"auto"``; ``"local"`` starts
            one here. The result does not depend on it.
        time_limit: minutes after which the run ends, with the generation if that is done half a minute later.
        observer: is told of the progress.
        **options: settings of ``Configuration``.

    Raises UsageError before anything is written, RunError if the run fails.
    """
    workers, time_limit = check_resources(workers, time_limit)
    with on_cluster(cluster):
        made = new_run(
            task,
            run=run,
            preset=preset,
            config=config,
            start_from=start_from,
            rule=rule,
            trust_code=trust_code,
            workers=None if cluster else workers,
            **options,
        )
        evolve_run(made, workers=workers, cluster=cluster, time_limit=time_limit, observer=observer)
    return made


def resume(
    run: str | Path | Run,
    *,
    generations: int | None = None,
    trust_code: bool = False,
    workers: int | None = None,
    cluster: str | None = None,
    time_limit: float | None = None,
    observer: Observer | None = None,
) -> Run:
    """Continue a run as if it had never stopped, to another number of generations if one is given.

    A run with Python code that you have not trained with is refused unless ``trust_code``. ``cluster`` is as for
    ``train``.
    """
    workers, time_limit = check_resources(workers, time_limit)
    with on_cluster(cluster):
        folder = run.folder if isinstance(run, Run) else run
        opened = run_to_continue(folder, generations, None if cluster else workers, trust_code=trust_code)
        evolve_run(opened, workers=workers, cluster=cluster, time_limit=time_limit, observer=observer)
    return opened


def on_cluster(address: str | None) -> contextlib.AbstractContextManager[None]:
    """Within, this process belongs to a Ray cluster, if there is an address; raises UsageError if it cannot."""
    if address is None:
        return contextlib.nullcontext()
    from metahebb.evolution.cluster import connected

    return connected(address)


def run_to_continue(
    folder: str | Path, generations: int | None = None, workers: int | None = None, *, trust_code: bool = False
) -> Run:
    """A run to be continued, with another number of generations if one is given.

    Raises UsageError, before that is written, if the run cannot go on or has done more generations.
    """
    run = open_run(folder, trust_code=trust_code)
    if is_shipped(run.folder):
        raise UsageError(
            f"The run of {run.folder.name!r}, which comes with metahebb, cannot go on; begin another with --from "
            f"{run.folder.name}."
        )
    remember(run.configuration)
    c = run.configuration
    task = task_of(c)
    network = network_of(c, task)
    check_memory(needs_of_run(c, task, network, workers))
    return run if generations is None else run.with_generations(generations, strategy_of(c, network))


def needs_of_run(c: Configuration, task: Task, network: Network, workers: int | None) -> list[Need]:
    """The memory that evolution would take, but for the state of the search."""
    return [*needs_of_search(c, network), most_waiting(c), *needs_of_pool(c, task, network, workers)]


def needs_of_pool(c: Configuration, task: Task, network: Network, workers: int | None) -> list[Need]:
    """The memory that the workers would take."""
    accelerated = on_accelerator(c)
    return needs_of_workers(network, how_many(workers, accelerated), 0 if accelerated else task.slots)


def check_resources(workers: int | None, time_limit: float | None) -> tuple[int | None, float | None]:
    """Both as plain numbers; raises UsageError for workers or a time limit (minutes) that make no sense."""
    minutes = Number(above=0, unit="minutes")
    return (
        None if workers is None else Whole(1).read("workers", workers),
        None if time_limit is None else minutes.read("time-limit", time_limit),
    )


def check_lives(lives: int, seed: int, workers: int | None) -> tuple[int, int, int | None]:
    """How many lives, which, and the workers, as plain numbers; raises UsageError for what makes no sense."""
    workers, _ = check_resources(workers, None)
    return Whole(1).read("lives", lives), SEED.read("seed", seed), workers


def evolve_run(
    run: Run,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    time_limit: float | None = None,
    observer: Observer | None = None,
) -> Ending:
    """Evolve an opened run, holding its folder; ``time_limit`` in minutes.

    The folder of a run that was made just now is removed where only the workers can tell that the input is bad, as with
    a task that they do not know because the calling script has registered it.
    """
    seconds = None if time_limit is None else 60 * time_limit
    with contextlib.ExitStack() as afterwards, run.opened():
        try:
            return evolve(run, workers=workers, cluster=cluster, time_limit=seconds, observer=observer)
        except UsageError:
            if not run.metrics():
                afterwards.callback(run.remove)
            raise


def evaluate(
    agent: Agent | Run | str | Path,
    lives: int = 100,
    *,
    seed: int = 0,
    morphology: str | None = None,
    simulator: str | None = None,
    random_rules: bool = False,
    perturb: Sequence[str | Perturbation] = (),
    imports: Sequence[str] = (),
    trust_code: bool = False,
    workers: int | None = None,
    lived: Callable[[Outcome], None] | None = None,
) -> Evaluation:
    """Live an agent's lives on fresh seeds, which no training or validation uses.

    The same ``seed`` gives the same lives (worlds and initial weights) for every agent. With ``random_rules`` each life
    has genes of its own instead, drawn as those that the agent's evolution began with. A task with bodies lives in
    ``morphology``, by default the first that the agent was evolved in; ``simulator`` chooses another of the task's
    simulators. ``perturb`` disturbs every life, such as ``["zero-weights@300"]`` (``metahebb.perturbations``).
    ``imports`` and ``trust_code`` are as for ``load``.
    """
    lives, seed, workers = check_lives(lives, seed, workers)
    agent = agent_of(agent, imports, trust_code).living_in(morphology, simulator)
    waiting = needs_of_lives("lives", lives, lives, "lower --lives")
    check_memory([*waiting, *needs_of_pool(agent.configuration, agent.task, agent.network, workers)])
    fresh = [life_of(0, number, seed, Stream.EVALUATION, body=agent.body) for number in range(lives)]
    variant = perturbations_for(perturb, agent.task, agent.network)
    with Workers(agent.configuration, workers, variants=[variant]) as pool:
        pool.wait()
        began = time.monotonic()
        outcomes = (
            live_randomly(pool, agent, fresh, seed, lived) if random_rules else live_agent(pool, agent, fresh, lived)
        )
        seconds = time.monotonic() - began
    return evaluation_of(outcomes, seconds)


def agent_of(given: Agent | Run | str | Path, imports: Sequence[str] = (), trust_code: bool = False) -> Agent:
    """The agent that is given itself, or as a run or the path of either; the rest is as for ``load``."""
    if isinstance(given, Agent):
        return given
    return load_agent(given.folder if isinstance(given, Run) else given, imports=imports, trust_code=trust_code)


def live_randomly(
    pool: Workers, agent: Agent, lives: Sequence[Life], seed: int, lived: Callable[[Outcome], None] | None = None
) -> list[Outcome]:
    """Live each life with random genes of its own; the outcomes in the order of the lives."""
    own = [life._replace(member=i) for i, life in enumerate(lives)]
    outcomes = []
    for outcome in pool.live(([life] for life in own), lambda member: random_genome(agent, seed, own[member].number)):
        outcomes.append(outcome)
        if lived is not None:
            lived(outcome)
    return sorted(outcomes, key=lambda outcome: outcome.number)


def random_genome(agent: Agent, seed: int, number: int) -> np.ndarray:
    """One of the genomes that the agent's evolution might have started from, float32 [parameters]."""
    evolved = start_of(dataclasses.replace(agent.configuration, seed=seed), agent.network).genome(number)
    return np.concatenate([evolved, agent.genome[agent.network.evolved_parameters :]])


def evaluation_of(outcomes: Sequence[Outcome], seconds: float) -> Evaluation:
    """The evaluation of outcomes; raises RunError if every life diverged."""
    raw = np.array([outcome.fitness for outcome in outcomes])
    finite = np.isfinite(raw)
    if not finite.any():
        raise RunError(f"None of {len(raw)} lives had a finite fitness: {FAULTS[why_diverged(outcomes)]}.")
    scores = np.where(finite, raw, raw[finite].min())
    return Evaluation(scores, int((~finite).sum()), sum(outcome.steps for outcome in outcomes), seconds)
