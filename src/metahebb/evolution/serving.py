"""What a worker does: lives the lives that it is given, and adds up noise."""

from __future__ import annotations

import collections
import dataclasses
import functools
import queue
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np

from metahebb.assembly import network_of, task_of
from metahebb.evolution.device_population import DevicePopulation, NoiseAhead
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
from metahebb.lifetimes.device import memory_of_devices, slots_that_fit
from metahebb.lifetimes.lives import Life
from metahebb.perturbations import parse_perturbation
from metahebb.resources import available_memory, cores

__all__ = ["serve"]

Answer = Callable[[Message], None]

NOISE_OF_MEMORY = 4
"""The share of the host's memory, one in so many, that noise may take where an accelerator makes genomes of it"""


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
        self._noise: NoiseAhead | None = None
        work.doing = "making its environments"
        accelerated = start.slots is not None
        task = task_of(start.configuration)
        network = network_of(start.configuration, task)
        if start.slots is not None:
            task = dataclasses.replace(task, slots=slots_that_fit(network, task, start.slots, memory_of_devices()))
            pairs = start.configuration.population // 2
            self._noise = NoiseAhead(pairs, available_memory() // NOISE_OF_MEMORY, cores())
        world = task.make_world(task.slots, start.render)
        variants = [tuple(parse_perturbation(text, world.conditions) for text in variant) for variant in start.variants]
        self._slots = make_slots(network, task, world, variants, start.keep_rewards, start.record, accelerated)
        work.steps, work.seeds = lambda: self._slots.steps, lambda: self._slots.seeds
        self._render = start.render
        self._answer = answer
        self._population: MirroredPopulation | DevicePopulation | None = None
        self._waiting: collections.deque[tuple[Life, np.ndarray | None]] = collections.deque()
        answer(ready_message(len(self._slots.free), self._slots.recorded))

    @property
    def idle(self) -> bool:
        """Whether there is no life to live."""
        return not self._waiting and not len(self._slots.living)

    def obey(self, message: Message) -> None:
        """Do what a message says, or remember it."""
        match message.kind:
            case "population":
                population = read_population(message)
                self._population = DevicePopulation(population, self._noise) if self._noise else population
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
        if room := self._slots.room(len(self._waiting)):
            begun = dict(self._waiting.popleft() for _ in range(room))
            self._slots.place_all(list(begun), functools.partial(self._genomes_of, begun))
        self._work.doing = LIVING
        if outcomes := self._slots.advance():
            self._answer(lived_message(outcomes))

    def _genomes_of(self, travelled: Mapping[Life, np.ndarray | None], lives: Sequence[Life]) -> np.ndarray | jax.Array:
        """Flat genomes of lives that begin: those that came with them, or the population's."""
        self._work.doing = f"beginning the life with seed {lives[0].world}"
        genomes = [genome for life in lives if (genome := travelled[life]) is not None]
        if genomes:
            return np.stack(genomes)
        assert self._population is not None
        return self._population.genomes([life.member for life in lives])

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
