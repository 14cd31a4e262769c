"""Watching over workers: which of them are silent or stand still, over what, and when one is given up.

A worker says every second that it is there, and how far it has come (``beating``, a thread of its own). One that is
there but gets no further, as in an environment that hangs, is told of; it may only be slow, and is left alone. One that
says nothing at all is stopped or stuck in compiled code that lets no other thread run, which may be a simulator at
work: it is told of, and given up only after a long while.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metahebb.evolution.messages import Message

__all__ = ["LIVING", "LOOK", "Pulse", "Work", "beating"]

BEAT = 1.0
"""Seconds between two of a worker's messages that it is there"""
LOOK = 1.0
"""Seconds between two looks at the workers. Time is counted in looks: none passes while this process is stopped."""
WARN = 120.0
"""Seconds without a word, or without a step, after which a worker is told of: an environment may take its time"""
GIVE_UP = 600.0
"""Seconds without a word after which a worker is replaced: no code that is at work keeps all threads waiting longer"""


MOST = 8
"""seeds of lives that are named"""
LIVING = "living"
"""what a worker does while its lives advance: their seeds are told"""


@dataclass
class Work:
    """A worker's own account of what it is doing."""

    doing: str = "starting"
    steps: Callable[[], int] = lambda: 0
    """a number that changes as long as lives advance"""
    seeds: Callable[[], Sequence[int]] = tuple
    """of the lives that are lived now"""

    def message(self) -> Message:
        """What is told of it."""
        doing = self.doing
        if doing == LIVING:
            seeds = [str(seed) for seed in self.seeds()]
            named = ", ".join(seeds[:MOST]) + (f" and {len(seeds) - MOST} more" if len(seeds) > MOST else "")
            doing = f"in a step of the {'life with seed' if len(seeds) == 1 else 'lives with seeds'} {named}"
        return Message("beat", {"doing": doing, "steps": self.steps()})


def beating(work: Work, send: Callable[[Message], None]) -> None:
    """Say for ever that the worker is there, what it is doing, and how far it has come."""
    while True:
        try:
            send(work.message())
        except OSError:
            # The parent is gone; the worker's listener ends it.
            return
        time.sleep(BEAT)


class Pulse:
    """What a worker's parent knows of how it is; ``beat`` may be called by another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: object = None
        self.doing = "starting"
        self.silent = self.still = 0.0
        """seconds for which it has said nothing, and for which it has got no further"""
        self._warned = False

    def beat(self, message: Message) -> None:
        """It has said how it is."""
        with self._lock:
            self.silent = 0.0
            if message.fields != self._said:
                self._advanced()
            self._said, self.doing = message.fields, message.fields["doing"]

    def answered(self) -> None:
        """It has answered something, or has been given work after it had none."""
        with self._lock:
            self.silent = 0.0
            self._advanced()

    def look(self) -> str | None:
        """Another look at it; how it is, where that is to be told now."""
        with self._lock:
            self.silent += LOOK
            self.still += LOOK
            if self._warned or self.still < WARN:
                return None
            self._warned = True
            minutes = f"{self.still / 60:.0f} minutes" if self.still > 90 else f"{self.still:.0f} seconds"
            if self.silent < WARN / 2:
                return f"has got no further for {minutes}, while {self.doing}"
            return f"has said nothing for {minutes}; the last it said was that it is {self.doing}"

    @property
    def given_up(self) -> bool:
        """Whether it has said nothing for so long that it never will."""
        return self.silent >= GIVE_UP

    def _advanced(self) -> None:
        self.still, self._warned = 0.0, False
