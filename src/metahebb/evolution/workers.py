"""The workers of a run, wherever they are (``sites``), and how its work is shared out among them.

Units of work (groups of lives, sums of noise) go to whichever worker has room; a worker that dies is replaced and its
unfinished units are done again. One that says nothing for very long is ended, and one that stands still told of
(``supervision``). Where a machine is late with the last units, they are done on another as well, and the first answer
counts. Results come back by unit, so that who did what does not matter.
"""

from __future__ import annotations

import bisect
import collections
import contextlib
import functools
import heapq
import itertools
import logging
import math
import queue
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
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
    GenomeOf,
    Start,
    Sum,
    live_message,
    population_message,
    read_lived,
    read_moment,
    read_ready,
    record_message,
    start_message,
    sum_message,
    unanswered_message,
)
from metahebb.evolution.sites import JOINED, Channel, Site, Staff
from metahebb.evolution.supervision import LOOK
from metahebb.files import reason_of
from metahebb.lifetimes.lives import Life, Outcome
from metahebb.lifetimes.recorder import Rows, To
from metahebb.lifetimes.slots import Moment
from metahebb.perturbations import Perturbations
from metahebb.resources import cores
from metahebb.worlds import TracedWorld

__all__ = ["OutOfTimeError", "Workers"]

logger = logging.getLogger("metahebb")
output = logging.getLogger("metahebb.output")
"""What environments and libraries print in the workers: shown and logged, but no warning of ours."""

SPARE = 4
"""Lives beyond its slots that a worker is given, so that a slot never waits for its next."""
PAIRS = 8
"""Mirrored pairs of a group, whose noise one core adds up: the one that lived them, as far as can be. An accelerator
adds up all."""
DEATHS = 3
"""How often a worker may die over the same unit before the run gives up: the unit kills, not chance."""
LOSSES = 10
"""How often sums of noise may be lost before the run gives up"""
LATE, LATE_AGAIN = 2.0, 0.05
"""Times what units usually take after which one is done on another node too, and seconds between looks for such"""


class OutOfTimeError(Exception):
    """The workers' deadline has passed before their answer came."""


_Inbox: TypeAlias = "queue.SimpleQueue[tuple[Channel, Message | None]]"


@dataclass(eq=False)
class _Unit:
    """A piece of work for a worker: its message, and the lives that are yet to be answered."""

    number: int
    group: int
    make: Callable[[], Message]
    """of its message: of many lives' genomes only those that are being lived are held"""
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
        message = self.make()
        return unanswered_message(message, self.lives) if self.lives else message


@dataclass(eq=False)
class _Worker:
    """A worker, and the units that it has."""

    channel: Channel
    number: int
    """those that came first go first"""
    units: list[_Unit] = field(default_factory=list)
    groups: set[int] = field(default_factory=set)
    ready: bool = False
    slots: int = 0
    load: int = 0
    """lives or other pieces of work that it has not answered"""
    behind: bool = False
    """whether it is still at something that another has answered"""
    dropping: bool = False
    """whether it has been told to drop that, and has not said that it did: what it says meanwhile is not wanted"""

    @property
    def free(self) -> bool:
        """Whether it can be given work."""
        return self.ready and not self.dropping


class _Waiting:
    """Units that wait for a worker, by their groups, which are taken in order; each step costs little, however many."""

    def __init__(self, units: Iterable[_Unit], begun: Set[int]) -> None:
        """``begun``: the groups that workers have begun already."""
        self._groups: dict[int, collections.deque[_Unit]] = {}
        for unit in units:
            self._groups.setdefault(unit.group, collections.deque()).append(unit)
        self._fresh = collections.deque(group for group in self._groups if group not in begun)
        self._order = list(self._groups)
        heapq.heapify(self._order)

    def __bool__(self) -> bool:
        return bool(self._groups)

    def back(self, unit: _Unit) -> None:
        """Put a unit back, before the others of its group."""
        if unit.group not in self._groups:
            self._groups[unit.group] = collections.deque()
            heapq.heappush(self._order, unit.group)
        self._groups[unit.group].appendleft(unit)

    def take(self, begun: set[int]) -> _Unit:
        """A unit of the first of the groups that a worker has ``begun``; else of those that none has; else of all."""
        if own := [group for group in begun if group in self._groups]:
            group = min(own)
        elif self._fresh:
            group = self._fresh.popleft()
        else:
            while self._order[0] not in self._groups:
                heapq.heappop(self._order)
            group = self._order[0]
        begun.add(group)
        units = self._groups[group]
        unit = units.popleft()
        if not units:
            del self._groups[group]
        return unit


def on_accelerator(configuration: Configuration) -> bool:
    """Whether lives are advanced by JAX's accelerator: it is for worlds written in JAX, many lives at once."""
    task = task_of(configuration)
    return jax.default_backend() != "cpu" and isinstance(task.make_world(1, False), TracedWorld)


def how_many(workers: int | None, accelerated: bool) -> int:
    """The number of workers: as asked for, by default one per core, or one that has all accelerators."""
    return workers or (1 if accelerated else cores())


def site_of(configuration: Configuration, workers: int | None, cluster: str | None) -> Site:
    """This machine, or the cluster at an address, with so many workers, by default as many as suit it."""
    if cluster is not None:
        from metahebb.evolution.cluster import RayCluster

        return RayCluster(configuration, cluster, workers)
    accelerated = on_accelerator(configuration)
    return ThisMachine(configuration, how_many(workers, accelerated), accelerated)


class Workers:
    """Workers for a configuration, here or on a cluster; a context manager that ends them.

    By default one per core, or one that has all accelerators.
    ``variants`` are what may disturb lives (``Life.variant``); with ``keep_rewards`` outcomes have each step's reward.
    ``record`` says where lives are recorded.
    ``cluster`` is the address of a Ray cluster (see ``metahebb.evolution.cluster``).
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
        cluster: str | None = None,
    ) -> None:
        self.restarts = 0
        self.recorded: Mapping[str, Rows] = {}
        """the arrays that are recorded, by name, once a worker is ready"""
        self.deadline = math.inf
        """when to give up waiting for the workers, by the monotonic clock: whoever waits then gets OutOfTimeError"""
        self._looked = self._looked_for_late = time.monotonic()
        self._site = site_of(configuration, workers, cluster)
        self._population: Message | None = None
        self._inbox: _Inbox = queue.SimpleQueue()
        self._overheard: set[str] = set()
        self._failed_starts = 0
        self._workers: dict[Channel, _Worker] = {}
        self._numbers = itertools.count()
        # Of the work that goes on:
        self._waiting = _Waiting([], set())
        self._out: dict[_Unit, None] = {}
        """the units that workers have, those that were given first first"""
        self._took: list[float] = []
        """seconds that each of the units took that are done, sorted"""
        self._least: list[tuple[int, int, _Worker]] = []
        """a heap of (load, number, worker), with some that no longer are so"""
        channels = self._site.open(lambda *said: self._inbox.put(said), self._log_output)
        self._pairs = sys.maxsize if self._site.accelerated else PAIRS
        # An accelerator advances a whole generation at once if it can, a core as many lives as suit its caches.
        generation = configuration.population * configuration.lives_per_member
        slots = math.ceil(generation / len(channels)) if self._site.accelerated else None
        self._start = start_message(Start(configuration, render, slots, variants, keep_rewards, record))
        for channel in channels:
            self._welcome(channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        # All at once: those that do not end by themselves take their time.
        for channel in self._workers:
            channel.begin_to_close()
        for channel in self._workers:
            channel.close()
        self._workers = {}
        self._site.close()

    @property
    def processes(self) -> list[int]:
        """The process identifiers of the workers, each on its machine."""
        return [channel.pid for channel in self._workers]

    @property
    def staff(self) -> Staff:
        """Who works now."""
        nodes = {channel.node for channel in self._workers} - {""}
        return Staff(len(nodes), len(self._workers), self.restarts)

    def set_population(self, population: MirroredPopulation) -> None:
        """Tell all workers the population that lives without genomes belong to."""
        self._population = population_message(population)
        self._site.send_all(list(self._workers), self._population)

    def live(self, groups: Iterable[Sequence[Life]], genomes: np.ndarray | GenomeOf | None = None) -> Iterator[Outcome]:
        """Live groups of lives and yield what comes of each, in the order in which they end.

        The lives of a group share a worker. ``genomes`` float32 [members, parameters], or a function that makes a
        member's when its lives are handed out, or None where the members are those of the mirrored population.
        """

        for worker in self._workers.values():
            worker.groups = set()

        def units() -> Iterator[_Unit]:
            for number, group in enumerate(groups):
                lives = {(life.member, life.number) for life in group}
                yield _Unit(number, number // self._pairs, functools.partial(live_message, group, genomes), lives)

        for worker, message in self._work(units()):
            for outcome in read_lived(message):
                life = outcome.member, outcome.number
                unit = next((unit for unit in worker.units if life in unit.lives), None)
                if unit is None:
                    # It was lived twice, and the other was first.
                    continue
                unit.lives.remove(life)
                for other in unit.workers if unit.lives else ():
                    self._load(other, -1)
                if not unit.lives:
                    self._finish(unit, worker)
                yield outcome

    def weighted_noise(self, weights: np.ndarray) -> np.ndarray:
        """Σ weight·noise over all pairs of the population, float32 [parameters].

        The sums of fixed groups of pairs are added in one order, so that the result has the same bits for any number of
        workers.
        """
        starts = range(0, len(weights), self._pairs)

        def units() -> Iterator[_Unit]:
            for number, first in enumerate(starts):
                pairs = range(first, min(first + self._pairs, len(weights)))
                wanted = Sum(number, pairs, weights[pairs.start : pairs.stop].astype(np.float32))
                yield _Unit(number, number, functools.partial(sum_message, wanted))

        for _ in range(LOSSES):
            sums: dict[int, tuple[Channel, Message]] = {}
            for worker, message in self._work(units(), 2):
                for unit in [unit for unit in worker.units if unit.number == message.fields["unit"]]:
                    self._finish(unit, worker)
                    sums[unit.number] = worker.channel, message
            if (total := self._site.add_up([sums[number] for number in range(len(starts))])) is not None:
                return total
        raise RunError(
            f"The sums of noise were lost {LOSSES} times, with the nodes that had them; go on with --resume."
        )

    def record(self, genome: np.ndarray, life: Life) -> Iterator[Moment]:
        """Live one life, of a flat genome float32 [parameters], moment by moment; with pictures if workers make them.

        The worker is a few moments ahead and no more. Where it dies in the middle the moments begin again.
        """
        unit = _Unit(0, 0, functools.partial(record_message, genome, life))
        for worker, message in self._work(iter([unit]), 1):
            if message.kind == "recorded":
                self._finish(unit, worker)
            else:
                yield read_moment(message)
                worker.channel.send(Message("taken"))

    def wait(self) -> None:
        """Wait until all workers are ready."""
        while not self._workers or not all(worker.ready for worker in self._workers.values()):
            if (said := self._receive()) is not None:
                self._heard(*said)

    def _work(self, units: Iterator[_Unit], room: int | None = None) -> Iterator[tuple[_Worker, Message]]:
        """Hand out units as workers have room; yield the workers' answers until none has work left.

        ``room``: how much a worker is given at once, by default lives for its slots and a few to go on with. Whoever
        consumes the answers says which units are done (``_finish``).
        """
        self._waiting = _Waiting(units, set().union(*(worker.groups for worker in self._workers.values())))
        self._out, self._took = {}, []
        self._least = [(worker.load, worker.number, worker) for worker in self._workers.values()]
        heapq.heapify(self._least)
        while self._waiting or self._out:
            # One by one to the least busy, so that none is left with more than its share at the end.
            while self._waiting and (worker := self._least_busy(room)) is not None:
                self._give(worker, self._waiting.take(worker.groups))
            if not self._waiting:
                self._give_again()
            if (said := self._receive()) is not None and (answer := self._heard(*said)) is not None:
                yield answer

    def _least_busy(self, room: int | None) -> _Worker | None:
        """The first of the workers with the least to do; None if none of them has room."""
        while self._least:
            load, _, worker = self._least[0]
            if load == worker.load and worker.free and worker.channel in self._workers:
                if load < (room or worker.slots + SPARE):
                    return worker
                # Whoever has less is before it in the heap, and who has as much has as many slots.
                return None
            heapq.heappop(self._least)
        return None

    def _load(self, worker: _Worker, more: int) -> None:
        """Take note that a worker has more to do, or less."""
        worker.load += more
        heapq.heappush(self._least, (worker.load, worker.number, worker))

    def _heard(self, channel: Channel, message: Message | None) -> tuple[_Worker, Message] | None:
        """Take note of what a worker said of itself; else its answer, with the worker."""
        if message is not None and message.kind == JOINED:
            self._welcome(channel)
        if (worker := self._workers.get(channel)) is None:
            return None
        if message is None:
            self._replace(worker)
        elif message.kind == "ready":
            worker.ready, (worker.slots, self.recorded) = True, read_ready(message)
            self._failed_starts = 0
            self._load(worker, 0)
        elif message.kind == "failed":
            if trace := message.fields.get("traceback"):
                logger.info("A worker failed:\n%s", trace)
            raise (UsageError if message.fields.get("usage") else RunError)(message.fields["sentence"])
        elif worker.dropping:
            worker.dropping = message.kind != "dropped"
            self._load(worker, 0)
        elif message.kind != JOINED:
            return worker, message
        return None

    def _finish(self, unit: _Unit, by: _Worker) -> None:
        """A unit is done: whoever else has it may drop it."""
        del self._out[unit]
        bisect.insort(self._took, time.monotonic() - unit.given)
        for worker in unit.workers:
            worker.units.remove(unit)
            self._load(worker, -1)
            worker.behind |= worker is not by
            if worker.behind and not worker.units:
                worker.behind, worker.dropping = False, worker.channel.send(Message("drop"))
        unit.workers = []

    def _give_again(self) -> None:
        """Give what a node is late with to workers of others that have nothing to do; once each."""
        now = time.monotonic()
        if not self._took or now - self._looked_for_late < LATE_AGAIN:
            return
        self._looked_for_late = now
        latest = now - LATE * self._took[len(self._took) // 2]
        for unit in self._out:
            # Those that have been out the longest come first.
            if unit.given >= latest or (worker := self._least_busy(1)) is None:
                return
            if len(unit.workers) == 1 and worker.channel.node != unit.workers[0].channel.node:
                self._give(worker, unit)

    def _give(self, worker: _Worker, unit: _Unit) -> None:
        worker.units.append(unit)
        unit.workers.append(worker)
        self._load(worker, len(unit.lives) or 1)
        if unit not in self._out:
            unit.given = time.monotonic()
            self._out[unit] = None
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
        for number, worker in enumerate(self._workers.values(), 1):
            if worker.free and not worker.units:
                continue
            channel = worker.channel
            who = f"Worker {number} of {len(self._workers)} ({channel.name})"
            if how := channel.pulse.look():
                logger.warning("%s %s.", who, how)
            if channel.pulse.given_up and channel.alive:
                logger.warning("%s is given up; another takes its place.", who)
                channel.kill()

    def _replace(self, dead: _Worker) -> None:
        """Put a new worker in the place of a dead one, if it has one; what the dead one leaves waits again."""
        channel, how = dead.channel, dead.channel.ended
        if not dead.ready and not channel.lost:
            self._failed_starts += 1
            if self._failed_starts >= DEATHS:
                last = f" It said: {' / '.join(channel.last_words)}" if channel.last_words else ""
                raise RunError(f"{DEATHS} workers in a row did not start; the last one {how}.{last}")
        del self._workers[channel]
        for unit in reversed(dead.units):
            unit.workers.remove(dead)
            unit.deaths += unit.received and not channel.lost
            if unit.deaths >= DEATHS:
                raise RunError(f"{DEATHS} workers died over the same lives; the last one {how}.")
            if not unit.workers:
                del self._out[unit]
                self._waiting.back(unit)
        self.restarts += 1
        where = f" on {channel.node}" if channel.node else ""
        logger.warning("A worker%s %s; its lives are lived again.", where, how)
        try:
            replacement = self._site.replacement(channel)
        except OSError as e:
            raise RunError(f"A worker {how}, and another cannot be started: {reason_of(e)}.") from e
        if replacement is not None:
            self._welcome(replacement)
        elif not self._workers:
            logger.warning("No worker is left; the run waits for nodes to join.")

    def _welcome(self, channel: Channel) -> None:
        """Tell a new worker what it is for."""
        channel.send(self._start)
        if self._population is not None:
            channel.send(self._population)
        self._workers[channel] = _Worker(channel, next(self._numbers))

    def _log_output(self, line: str) -> None:
        """Log what an environment or a library prints, each line once: every slot of every worker repeats it."""
        if line not in self._overheard:
            self._overheard.add(line)
            output.info("%s", line)
