"""The workers of a run, wherever they are (``sites``), and how its work is shared out among them.

Units of work (groups of lives, sums of noise) go to whichever worker has room; a worker that dies is replaced and its
unfinished units are done again. One that says nothing for very long is ended, and one that stands still told of
(``supervision``). Where a machine is late with the last units, they are done on another as well, and the first answer
counts. Results come back by unit, so that who did what does not matter.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import math
import os
import queue
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from metahebb.evolution.processes import ThisMachine
from metahebb.evolution.protocol import (
    Start,
    Sum,
    live_message,
    population_message,
    read_lived,
    read_moment,
    read_summed,
    record_message,
    start_message,
    sum_message,
    unanswered_message,
)
from metahebb.evolution.sites import JOINED, Channel, Site, Staff
from metahebb.evolution.supervision import LOOK
from metahebb.files import reason_of
from metahebb.lifetimes.lives import Life, Outcome
from metahebb.lifetimes.slots import Moment
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
LATE = 2.0
"""Times what units usually take after which one is done on another machine as well"""


class OutOfTimeError(Exception):
    """The workers' deadline has passed before their answer came."""


_Inbox: TypeAlias = "queue.SimpleQueue[tuple[Channel, Message | None]]"


@dataclass(eq=False)
class _Unit:
    """A piece of work for a worker: its message, and the lives that are yet to be answered."""

    number: int
    group: int
    message: Message
    lives: set[tuple[int, int]] = field(default_factory=set)
    deaths: int = 0
    received: bool = False
    """whether the worker that has it was alive when it was given"""
    given: float = 0.0
    """when, by the monotonic clock"""
    workers: list[_Worker] = field(default_factory=list)
    """who has it: two, where one is late"""

    @property
    def remaining(self) -> Message:
        """The message for what is not answered yet."""
        return unanswered_message(self.message, self.lives) if self.lives else self.message


@dataclass(eq=False)
class _Worker:
    """A worker, and the units that it has."""

    channel: Channel
    units: list[_Unit] = field(default_factory=list)
    groups: set[int] = field(default_factory=set)
    ready: bool = False
    slots: int = 0
    behind: bool = False
    """whether it is still at something that another has answered"""
    dropping: bool = False
    """whether it has been told to drop that, and has not said that it did: what it says meanwhile is not wanted"""

    @property
    def free(self) -> bool:
        """Whether it can be given work."""
        return self.ready and not self.dropping

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


def site_of(configuration: Configuration, workers: int | None, cluster: str | None) -> Site:
    """This machine, or the cluster at an address, with so many workers, by default as many as suit it."""
    if cluster is not None:
        from metahebb.evolution.cluster import RayCluster

        return RayCluster(configuration, cluster, workers)
    accelerated = on_accelerator(configuration)
    return ThisMachine(configuration, how_many(workers, accelerated), accelerated)


class Workers:
    """Workers for a configuration, here or on a cluster; a context manager that ends them.

    By default one per core, or on an accelerator so many that some begin lives while another advances its own.
    ``cluster`` is the address of a Ray cluster (see ``metahebb.evolution.cluster``).
    """

    def __init__(
        self,
        configuration: Configuration,
        workers: int | None = None,
        *,
        render: bool = False,
        cluster: str | None = None,
    ) -> None:
        self.restarts = 0
        self.deadline = math.inf
        """when to give up waiting for the workers, by the monotonic clock: whoever waits then gets OutOfTimeError"""
        self._looked = time.monotonic()
        self._site = site_of(configuration, workers, cluster)
        self._population: Message | None = None
        self._inbox: _Inbox = queue.SimpleQueue()
        self._overheard: set[str] = set()
        self._failed_starts = 0
        self._took: list[float] = []
        """seconds that each of the units took that are done, of the work that goes on"""
        self._left: list[_Unit] = []
        """what workers that are gone have left, to be done by others"""
        channels = self._site.open(lambda *said: self._inbox.put(said), self._log_output)
        # An accelerator advances all lives at once, a core as many as suit its caches.
        slots = math.ceil(configuration.population / len(channels)) if self._site.accelerated else None
        self._start = start_message(Start(configuration, render, slots))
        self._workers = [self._new(channel) for channel in channels]

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
            worker.channel.begin_to_close()
        for worker in self._workers:
            worker.channel.close()
        self._workers = []
        self._site.close()

    @property
    def processes(self) -> list[int]:
        """The process identifiers of the workers, each on its machine."""
        return [worker.channel.pid for worker in self._workers]

    @property
    def staff(self) -> Staff:
        """Who works now."""
        nodes = {worker.channel.node for worker in self._workers} - {""}
        return Staff(len(nodes), len(self._workers), self.restarts)

    def set_population(self, population: MirroredPopulation) -> None:
        """Tell all workers the population that lives without genomes belong to."""
        self._population = population_message(population)
        self._site.send_all([worker.channel for worker in self._workers], self._population)

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
                life = outcome.member, outcome.number
                unit = next((unit for unit in worker.units if life in unit.lives), None)
                if unit is None:
                    # It was lived twice, and the other was first.
                    continue
                unit.lives.remove(life)
                if not unit.lives:
                    self._finish(unit, worker)
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
            for unit in [unit for unit in worker.units if unit.number == number]:
                self._finish(unit, worker)
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
                self._finish(unit, worker)
            else:
                yield read_moment(message)

    def wait(self) -> None:
        """Wait until all workers are ready."""
        while not self._workers or not all(worker.ready for worker in self._workers):
            if (said := self._receive()) is not None:
                self._heard(*said)

    def _work(self, units: Iterator[_Unit], room: int | None = None) -> Iterator[tuple[_Worker, Message]]:
        """Hand out units as workers have room; yield the workers' answers until none has work left.

        ``room``: how much a worker is given at once, by default lives for its slots and a few to go on with. Whoever
        consumes the answers says which units are done (``_finish``).
        """
        waiting: dict[int, collections.deque[_Unit]] = {}
        for unit in units:
            waiting.setdefault(unit.group, collections.deque()).append(unit)
        self._took, self._left = [], []
        while waiting or any(worker.units for worker in self._workers):
            # One by one to the least busy, so that none is left with more than its share at the end.
            while waiting and (free := [w for w in self._workers if w.free and w.load < (room or w.slots + SPARE)]):
                worker = min(free, key=lambda worker: worker.load)
                group = self._next(worker, waiting)
                self._give(worker, waiting[group].popleft())
                if not waiting[group]:
                    del waiting[group]
            if not waiting:
                self._give_again()
            if (said := self._receive()) is None:
                continue
            if (answer := self._heard(*said)) is not None:
                yield answer
            for unit in self._left:
                waiting.setdefault(unit.group, collections.deque()).appendleft(unit)
            self._left = []

    def _heard(self, channel: Channel, message: Message | None) -> tuple[_Worker, Message] | None:
        """Take note of what a worker said of itself; else its answer, with the worker."""
        if message is not None and message.kind == JOINED:
            self._workers.append(self._new(channel))
            return None
        worker = next((worker for worker in self._workers if worker.channel is channel), None)
        if worker is None:
            return None
        if message is None:
            self._left += self._replace(worker)
        elif message.kind == "ready":
            worker.ready, worker.slots = True, message.fields["slots"]
            self._failed_starts = 0
        elif message.kind == "failed":
            if trace := message.fields.get("traceback"):
                logger.info("A worker failed:\n%s", trace)
            where = f" (on {channel.node})" if channel.node else ""
            sentence = message.fields["sentence"]
            raise (UsageError if message.fields.get("usage") else RunError)(f"{sentence}{where}")
        elif worker.dropping:
            worker.dropping = message.kind != "dropped"
        else:
            return worker, message
        return None

    def _finish(self, unit: _Unit, by: _Worker) -> None:
        """A unit is done: whoever else has it may drop it."""
        self._took.append(time.monotonic() - unit.given)
        for worker in unit.workers:
            worker.units.remove(unit)
            worker.behind |= worker is not by
            if worker.behind and not worker.units:
                worker.behind, worker.dropping = False, worker.channel.send(Message("drop"))
        unit.workers = []

    def _give_again(self) -> None:
        """Give what a machine is late with to workers of others that have nothing to do; once each."""
        idle = [worker for worker in self._workers if worker.free and not worker.units]
        if not idle or not self._took:
            return
        latest = time.monotonic() - LATE * statistics.median(self._took)
        for worker in idle:
            late = [
                unit
                for other in self._workers
                if other.channel.node != worker.channel.node
                for unit in other.units
                if unit.given < latest and len(unit.workers) == 1
            ]
            if late:
                self._give(worker, min(late, key=lambda unit: unit.given))

    def _next(self, worker: _Worker, waiting: Mapping[int, object]) -> int:
        """The first of the groups that a worker has begun; else of those that none has; else of all."""
        begun = set().union(*(other.groups for other in self._workers))
        return min(waiting.keys() & worker.groups or waiting.keys() - begun or waiting)

    def _give(self, worker: _Worker, unit: _Unit) -> None:
        worker.units.append(unit)
        unit.workers.append(worker)
        worker.groups.add(unit.group)
        unit.given = time.monotonic()
        unit.received = worker.channel.send(unit.remaining)

    def _receive(self) -> tuple[Channel, Message | None] | None:
        """The next message of a worker, None for its end; or None where there is none for a while.

        Raises OutOfTimeError at the deadline.
        """
        now = time.monotonic()
        if now >= self.deadline:
            raise OutOfTimeError
        if now - self._looked >= LOOK:
            self._look_after_all()
            self._looked = now
        with contextlib.suppress(queue.Empty):
            return self._inbox.get(timeout=min(LOOK, self.deadline - now))
        return None

    def _look_after_all(self) -> None:
        """Tell of workers that do not get on with their work; end those that never will."""
        for number, worker in enumerate(self._workers, 1):
            if worker.free and not worker.units:
                continue
            channel = worker.channel
            who = f"Worker {number} of {len(self._workers)} ({channel.name})"
            if how := channel.pulse.look():
                logger.warning("%s %s.", who, how)
            if channel.pulse.given_up and channel.alive:
                logger.warning("%s is given up; another takes its place.", who)
                channel.kill()

    def _replace(self, dead: _Worker) -> list[_Unit]:
        """Put a new worker in the place of a dead one, if it has one; the units that the dead one leaves."""
        how = dead.channel.ended
        if not dead.ready and not dead.channel.lost:
            self._failed_starts += 1
            if self._failed_starts >= DEATHS:
                last = f" It said: {' / '.join(dead.channel.last_words)}" if dead.channel.last_words else ""
                raise RunError(f"{DEATHS} workers in a row did not start; the last one {how}.{last}")
        for unit in dead.units:
            unit.workers.remove(dead)
            unit.deaths += unit.received and not dead.channel.lost
            if unit.deaths >= DEATHS:
                raise RunError(f"{DEATHS} workers died over the same lives; the last one {how}.")
        self.restarts += 1
        where = f" on {dead.channel.node}" if dead.channel.node else ""
        logger.warning("A worker%s %s; its lives are lived again.", where, how)
        try:
            replacement = self._site.replacement(dead.channel)
        except OSError as e:
            raise RunError(f"A worker {how}, and another cannot be started: {reason_of(e)}.") from e
        number = self._workers.index(dead)
        self._workers[number : number + 1] = [] if replacement is None else [self._new(replacement)]
        if not self._workers:
            logger.warning("No worker is left; the run waits for nodes to join.")
        return [unit for unit in reversed(dead.units) if not unit.workers]

    def _new(self, channel: Channel) -> _Worker:
        channel.send(self._start)
        if self._population is not None:
            channel.send(self._population)
        return _Worker(channel)

    def _log_output(self, line: str) -> None:
        """Log what an environment or a library prints, each line once: every slot of every worker repeats it."""
        if line not in self._overheard:
            self._overheard.add(line)
            output.info("%s", line)
