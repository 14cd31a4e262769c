"""Where a run's workers are: what starts them, and carries their messages.

A ``Site`` starts workers, each of which its run speaks to through a ``Channel``. There are two: this machine, with a
process and its pipes for each worker (``processes``), and a Ray cluster (``cluster``). The worker itself, and what it
is told, is the same (``worker``, ``protocol``).
"""

from __future__ import annotations

import collections
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from metahebb.evolution.messages import Message
from metahebb.evolution.protocol import read_summed
from metahebb.evolution.supervision import Pulse

__all__ = ["Channel", "Hear", "Site", "Staff"]

JOINED = "joined"
"""The kind of the message by which a channel that was not asked for announces itself: a node has joined."""


class Staff(NamedTuple):
    """Who works for a run."""

    nodes: int
    """machines; 0 where it is this one alone"""
    workers: int
    restarts: int
    """workers that were lost so far, and whose lives were lived again"""


class Channel(ABC):
    """One worker as its run has it, wherever it is."""

    node: str = ""
    """the machine that it is on; empty for this one"""
    lost: bool = False
    """whether it ended with the machine, or all workers of a machine, rather than by itself"""

    def __init__(self) -> None:
        self.pulse = Pulse()
        self.last_words: collections.deque[str] = collections.deque(maxlen=5)

    @property
    @abstractmethod
    def pid(self) -> int:
        """The process identifier, on its machine."""

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return f"process {self.pid} on {self.node}" if self.node else f"process {self.pid}"

    @property
    @abstractmethod
    def alive(self) -> bool:
        """Whether it is not known to have ended."""

    @property
    @abstractmethod
    def ended(self) -> str:
        """How it ended: it ``was killed by signal 9``."""

    @abstractmethod
    def send(self, message: Message) -> bool:
        """Send, without waiting for a worker that does not read, and say whether it lives."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once."""

    @abstractmethod
    def begin_to_close(self) -> None:
        """Let it end when all is sent."""

    @abstractmethod
    def close(self) -> None:
        """End it, by force if it does not end soon."""


Hear: TypeAlias = Callable[[Channel, Message | None], None]
"""What a channel's messages are given to, by any thread; the last of them is None, when the worker has ended"""


class Site(ABC):
    """Where workers are."""

    accelerated: bool
    """whether lives are advanced by JAX's accelerator there"""

    @abstractmethod
    def open(self, hear: Hear, log_output: Callable[[str], None]) -> Sequence[Channel]:
        """Start the workers; others may announce themselves later, by a message JOINED.

        Raises UsageError where they cannot be started.
        """

    @abstractmethod
    def replacement(self, lost: Channel) -> Channel | None:
        """A worker in the place of one that has ended; None where its place is gone, too. Raises OSError."""

    def send_all(self, channels: Sequence[Channel], message: Message) -> None:
        """Send one message to all workers."""
        for channel in channels:
            channel.send(message)

    def add_up(self, sums: Sequence[tuple[Channel, Message]]) -> np.ndarray | None:
        """What ``summed`` messages hold, each from its worker, added in this order, float32 [parameters].

        None where something of it is lost, and all of it has to be made again.
        """
        total = read_summed(sums[0][1])[1].copy()
        for _, message in sums[1:]:
            total += read_summed(message)[1]
        return total

    @abstractmethod
    def close(self) -> None:
        """End what is left when all channels are closed."""
