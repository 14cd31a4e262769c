"""The worker processes of a run, and how its work is shared out among them.

Units of work (groups of lives, sums of noise) go to whichever worker has room; a worker that dies is replaced and its
unfinished units are done again. One that says nothing for very long is ended, and one that stands still told of
(``supervision``). Results come back by unit, so that who did what does not matter.
"""

from __future__ import annotations

import collections
import logging
import math
import os
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias

import jax
import numpy as np

from metahebb.assembly import task_of
from metahebb.configuration import Configuration
from metahebb.errors import RunError, UsageError
from metahebb.evolution.messages import Message
from metahebb.evolution.populations import MirroredPopulation
from metahebb.evolution.processes import WorkerProcess
from metahebb.evolution.protocol import (
    Start,
    Sum,
    live_message,
    population_message,
    read_lived,
    read_moment,
    read_ready,
    read_summed,
    record_message,
    start_message,
    sum_message,
    unanswered_message,
)
from metahebb.evolution.supervision import LOOK
from metahebb.files import reason_of
from metahebb.lifetimes.lives import Life, Outcome
from metahebb.lifetimes.recorder import Rows, To
from metahebb.lifetimes.slots import Moment
from metahebb.perturbations import Perturbations
from metahebb.trust import check_unchanged
from metahebb.worlds import TracedWorld

__all__ = ["OutOfTimeError", "Workers"]

logger = logging.getLogger("metahebb")
output = logging.getLogger("metahebb.output")
"""What environments and libraries print in the workers: shown and logged, but no warning of ours."""

SPARE = 4
"""Lives beyond its slots that a worker is given, so that a slot never waits for its next."""
ACCELERATED = 3
"""Workers that share an accelerator: while one begins lives, on the host, the others' are advanced."""
PAIRS = 8
"""Mirrored pairs of a group, whose noise one worker adds up: the one that lived them, as far as can be."""
DEATHS = 3
"""How often a worker may die over the same unit before the run gives up: the unit kills, not chance."""


class OutOfTimeError(Exception):
    """The workers' deadline has passed before their answer came."""


_Inbox: TypeAlias = "queue.SimpleQueue[tuple[_Worker, Message | None]]"


@dataclass(eq=False)
class _Unit:
    """A piece of work for one worker: its message, and the lives that it has yet to answer."""

    number: int
    group: int
    message: Message
    lives: set[tuple[int, int]] = field(default_factory=set)
    deaths: int = 0
    received: bool = False
    """whether the worker that has it was alive when it was given"""

    @property
    def remaining(self) -> Message:
        """The message for what is not answered yet."""
        return unanswered_message(self.message, self.lives) if self.lives else self.message


class _Worker(WorkerProcess):
    """One process, and the units that it has."""

    def __init__(self, inbox: _Inbox, log_output: Callable[[str], None], accelerated: bool) -> None:
        self.units: list[_Unit] = []
        self.groups: set[int] = set()
        self.ready = False
        self.slots = 0
        super().__init__(lambda message: inbox.put((self, message)), log_output, accelerated)

    @property
    def load(self) -> int:
        """Lives or other pieces of work that it has not answered."""
        return sum(len(unit.lives) or 1 for unit in self.units)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_accelerator(configuration: Configuration) -> bool:
    """Whether lives are advanced by JAX's accelerator: it is for worlds written in JAX, many lives at once."""
    task = task_of(configuration)
    return jax.default_backend() != "cpu" and isinstance(task.make_world(1, False), TracedWorld)


def how_many(workers: int | None, accelerated: bool) -> int:
    """The number of workers: as asked for, by default one per core, on an accelerator a few."""
    return workers or (min(ACCELERATED, cores()) if accelerated else cores())


class Workers:
    """Worker processes for a configuration; a context manager that ends them.

    By default one per core, or on an accelerator so many that some begin lives while another advances its own.
    ``variants`` are what may disturb lives (``Life.variant``); with ``keep_rewards`` outcomes have each step's reward.
    ``record`` says where lives are recorded.
    """

    def __init__(
        self,
        configuration: Configuration,
        workers: int | None = None,
        *,
        render: bool = False,
        variants: Sequence[Perturbations] = ((),),
        keep_rewards: bool = False,
        record: To | None = None,
    ) -> None:
        self.restarts = 0
        self.recorded: Mapping[str, Rows] = {}
        """the arrays that are recorded, by name, once a worker is ready"""
        self.deadline = math.inf
        """when to give up waiting for the workers, by the monotonic clock: whoever waits then gets OutOfTimeError"""
        self._looked = time.monotonic()
        self._configuration = configuration
        self._accelerated = on_accelerator(configuration)
        workers = how_many(workers, self._accelerated)
        # An accelerator advances all lives at once, a core as many as suit its caches.
        slots = math.ceil(configuration.population / workers) if self._accelerated else None
        self._start = start_message(Start(configuration, render, slots, variants, keep_rewards, record))
        self._population: Message | None = None
        self._inbox: _Inbox = queue.SimpleQueue()
        self._overheard: set[str] = set()
        self._failed_starts = 0
        self._workers: list[_Worker] = []
        try:
            for _ in range(workers):
                self._workers.append(self._new())
        except OSError as e:
            self.close()
            raise UsageError(
                f"{workers} worker processes cannot be started: {reason_of(e)}; lower --workers, or raise what the "
                "system allows (ulimit)."
            ) from e

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        # All at once: those that do not end by themselves take their time.
        for worker in self._workers:
            worker.begin_to_close()
        for worker in self._workers:
            worker.close()
        self._workers = []

    @property
    def processes(self) -> list[int]:
        """The process identifiers of the workers."""
        return [worker.pid for worker in self._workers]

    def set_population(self, population: MirroredPopulation) -> None:
        """Tell all workers the population that lives without genomes belong to."""
        self._population = population_message(population)
        for worker in self._workers:
            worker.send(self._population)

    def live(self, groups: Iterable[Sequence[Life]], genomes: np.ndarray | None = None) -> Iterator[Outcome]:
        """Live groups of lives and yield what comes of each, in the order in which they end.

        The lives of a group share a worker. ``genomes`` float32 [members, parameters], or None where the members are
        those of the mirrored population.
        """

        for worker in self._workers:
            worker.groups = set()

        def units() -> Iterator[_Unit]:
            for number, group in enumerate(groups):
                lives = {(life.member, life.number) for life in group}
                yield _Unit(number, number // PAIRS, live_message(group, genomes), lives)

        for worker, message in self._work(units()):
            for outcome in read_lived(message):
                for unit in worker.units:
                    unit.lives.discard((outcome.member, outcome.number))
                worker.units = [unit for unit in worker.units if unit.lives]
                yield outcome

    def weighted_noise(self, weights: np.ndarray) -> np.ndarray:
        """Σ weight·noise over all pairs of the population, float32 [parameters].

        The sums of fixed groups of pairs are added in one order, so that the result has the same bits for any number of
        workers.
        """
        starts = range(0, len(weights), PAIRS)

        def units() -> Iterator[_Unit]:
            for number, first in enumerate(starts):
                pairs = range(first, min(first + PAIRS, len(weights)))
                wanted = Sum(number, pairs, weights[pairs.start : pairs.stop].astype(np.float32))
                yield _Unit(number, number, sum_message(wanted))

        sums: dict[int, np.ndarray] = {}
        for worker, message in self._work(units(), 2):
            number, part = read_summed(message)
            worker.units = [unit for unit in worker.units if unit.number != number]
            sums[number] = part
        total = sums[0].copy()
        for number in range(1, len(starts)):
            total += sums[number]
        return total

    def record(self, genome: np.ndarray, life: Life) -> Iterator[Moment]:
        """Live one life, of a flat genome float32 [parameters], moment by moment; with pictures if workers make them.

        Where a worker dies in the middle of it the moments begin again.
        """
        unit = _Unit(0, 0, record_message(genome, life))
        for worker, message in self._work(iter([unit]), 1):
            if message.kind == "recorded":
                worker.units = []
            else:
                yield read_moment(message)

    def wait(self) -> None:
        """Wait until all workers are ready."""
        while not all(worker.ready for worker in self._workers):
            worker, message = self._receive()
            if message is None:
                self._replace(worker)
            elif message.kind == "ready":
                self._greet(worker, message)

    def _work(self, units: Iterator[_Unit], room: int | None = None) -> Iterator[tuple[_Worker, Message]]:
        """Hand out units as workers have room; yield the workers' answers until none has work left.

        ``room``: how much a worker is given at once, by default lives for its slots and a few to go on with. Whoever
        consumes the answers takes finished units off the worker.
        """
        waiting: dict[int, collections.deque[_Unit]] = {}
        for unit in units:
            waiting.setdefault(unit.group, collections.deque()).append(unit)
        while waiting or any(worker.units for worker in self._workers):
            # One by one to the least busy, so that none is left with more than its share at the end.
            while waiting and (free := [w for w in self._workers if w.ready and w.load < (room or w.slots + SPARE)]):
                worker = min(free, key=lambda worker: worker.load)
                group = self._next(worker, waiting)
                self._give(worker, waiting[group].popleft())
                if not waiting[group]:
                    del waiting[group]
            worker, message = self._receive()
            if message is None:
                for unit in self._replace(worker):
                    waiting.setdefault(unit.group, collections.deque()).appendleft(unit)
            elif message.kind == "ready":
                self._greet(worker, message)
            else:
                yield worker, message

    def _greet(self, worker: _Worker, ready: Message) -> None:
        worker.ready, (worker.slots, self.recorded) = True, read_ready(ready)
        self._failed_starts = 0

    def _next(self, worker: _Worker, waiting: Mapping[int, object]) -> int:
        """The first of the groups that a worker has begun; else of those that none has; else of all."""
        begun = set().union(*(other.groups for other in self._workers))
        return min(waiting.keys() & worker.groups or waiting.keys() - begun or waiting)

    def _give(self, worker: _Worker, unit: _Unit) -> None:
        worker.units.append(unit)
        worker.groups.add(unit.group)
        unit.received = worker.send(unit.remaining)

    def _receive(self) -> tuple[_Worker, Message | None]:
        """The next message of a worker that is ours; None when it died.

        Raises what a worker reports as failed, and OutOfTimeError at the deadline.
        """
        while True:
            now = time.monotonic()
            if now >= self.deadline:
                raise OutOfTimeError
            if now - self._looked >= LOOK:
                self._look_after_all()
                self._looked = now
            try:
                worker, message = self._inbox.get(timeout=min(LOOK, self.deadline - now))
            except queue.Empty:
                continue
            if worker not in self._workers:
                continue
            if message is not None and message.kind == "failed":
                if trace := message.fields.get("traceback"):
                    logger.info("A worker failed:\n%s", trace)
                raise (UsageError if message.fields.get("usage") else RunError)(message.fields["sentence"])
            return worker, message

    def _look_after_all(self) -> None:
        """Tell of workers that do not get on with their work; end those that never will."""
        for number, worker in enumerate(self._workers, 1):
            if worker.ready and not worker.units:
                continue
            who = f"Worker {number} of {len(self._workers)} (process {worker.pid})"
            if how := worker.pulse.look():
                logger.warning("%s %s.", who, how)
            if worker.pulse.given_up and worker.code is None:
                logger.warning("%s is given up; another takes its place.", who)
                worker.kill()

    def _replace(self, dead: _Worker) -> list[_Unit]:
        """A new worker in the place of a dead one; the units that the dead one leaves."""
        code = dead.code
        assert code is not None
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        if not dead.ready:
            self._failed_starts += 1
            if self._failed_starts >= DEATHS:
                last = f" It said: {' / '.join(dead.last_words)}" if dead.last_words else ""
                raise RunError(f"{DEATHS} workers in a row did not start; the last one {how}.{last}")
        for unit in dead.units:
            unit.deaths += unit.received
            if unit.deaths >= DEATHS:
                raise RunError(f"{DEATHS} workers died over the same lives; the last one {how}.")
        self.restarts += 1
        logger.warning("A worker %s; its lives are lived again.", how)
        try:
            self._workers[self._workers.index(dead)] = self._new()
        except OSError as e:
            raise RunError(f"A worker {how}, and another cannot be started: {reason_of(e)}.") from e
        return list(reversed(dead.units))

    def _new(self) -> _Worker:
        check_unchanged(self._configuration)
        worker = _Worker(self._inbox, self._log_output, self._accelerated)
        worker.send(self._start)
        if self._population is not None:
            worker.send(self._population)
        return worker

    def _log_output(self, line: str) -> None:
        """Log what an environment or a library prints, each line once: every slot of every worker repeats it."""
        if line not in self._overheard:
            self._overheard.add(line)
            output.info("%s", line)
