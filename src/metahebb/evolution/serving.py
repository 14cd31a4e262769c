"""What a worker does: lives the lives that it is given, and adds up noise."""

from __future__ import annotations

import collections
import dataclasses
import queue
from collections.abc import Callable

import numpy as np

from metahebb.assembly import network_of, task_of
from metahebb.evolution.messages import Message
from metahebb.evolution.populations import MirroredPopulation
from metahebb.evolution.protocol import (
    AHEAD,
    Start,
    lived_message,
    moment_message,
    read_live,
    read_population,
    read_record,
    read_start,
    read_sum,
    ready_message,
    summed_message,
)
from metahebb.evolution.supervision import LIVING, Work
from metahebb.lifetimes import make_slots
from metahebb.lifetimes.lives import Life
from metahebb.perturbations import parse_perturbation

__all__ = ["serve"]

Answer = Callable[[Message], None]


def serve(messages: queue.SimpleQueue[Message], answer: Answer, work: Work) -> None:
    """Do what the messages say, the first of which is a ``start``, for ever; ``work`` is kept true meanwhile."""
    server = _Server(read_start(messages.get()), messages, answer, work)
    while True:
        # Without a life to live there is nothing to do but to wait for a message.
        while messages.qsize() or server.idle:
            server.obey(messages.get())
        server.live()


class _Server:
    """A worker's slots, the lives that wait for them, and the population that these belong to."""

    def __init__(self, start: Start, messages: queue.SimpleQueue[Message], answer: Answer, work: Work) -> None:
        self._messages = messages
        self._work = work
        work.doing = "making its environments"
        task = task_of(start.configuration)
        task = dataclasses.replace(task, slots=start.slots or task.slots)
        network = network_of(start.configuration, task)
        world = task.make_world(task.slots, start.render)
        variants = [tuple(parse_perturbation(text, world.conditions) for text in variant) for variant in start.variants]
        self._slots = make_slots(network, task, world, variants, start.keep_rewards, start.record)
        work.steps, work.seeds = lambda: self._slots.steps, lambda: self._slots.seeds
        self._render = start.render
        self._answer = answer
        self._population: MirroredPopulation | None = None
        self._waiting: collections.deque[tuple[Life, np.ndarray | None]] = collections.deque()
        answer(ready_message(task.slots, self._slots.recorded))

    @property
    def idle(self) -> bool:
        """Whether there is no life to live."""
        return not self._waiting and not len(self._slots.living)

    def obey(self, message: Message) -> None:
        """Do what a message says, or remember it."""
        match message.kind:
            case "population":
                self._population = read_population(message)
            case "live":
                self._waiting.extend(read_live(message))
            case "sum":
                self._add_up(message)
            case "record":
                self._record(message)
            case "drop":
                self._waiting.clear()
                self._slots.abandon()
                self._answer(Message("dropped"))

    def live(self) -> None:
        """Begin lives that wait in the slots that are free, live on, and tell what came of those that ended."""
        for slot in self._slots.free[: len(self._waiting)]:
            life, genome = self._waiting.popleft()
            self._work.doing = f"beginning the life with seed {life.world}"
            self._slots.place(slot, self._genome_of(life) if genome is None else genome, life)
        self._work.doing = LIVING
        if outcomes := self._slots.advance():
            self._answer(lived_message(outcomes))

    def _genome_of(self, life: Life) -> np.ndarray:
        assert self._population is not None
        return self._population.genome(life.member)

    def _add_up(self, message: Message) -> None:
        assert self._population is not None
        self._work.doing = "adding up noise"
        wanted = read_sum(message)
        self._answer(summed_message(wanted.unit, self._population.weighted_noise(wanted.pairs, wanted.weights)))

    def _record(self, message: Message) -> None:
        self._work.doing = LIVING
        for number, moment in enumerate(self._slots.record(*read_record(message), render=self._render)):
            if number >= AHEAD:
                # One for each moment that has been taken; nothing else is said to whoever records.
                self._messages.get()
            self._answer(moment_message(moment))
        self._answer(Message("recorded"))
