"""A machine of a Ray cluster, as it is there: an actor that holds the machine's workers and passes on what is said.

There is one such actor for each machine and run. Its workers are the same processes, with the same pipes, as those of a
run on one machine: they end when the actor does, whatever they are doing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import queue
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ray

from metahebb.evolution.messages import Message
from metahebb.evolution.processes import WorkerProcess
from metahebb.evolution.protocol import read_start, read_summed, start_message
from metahebb.evolution.sites import Channel
from metahebb.evolution.supervision import BEAT, Pulse
from metahebb.trust import code_of, with_code

__all__ = ["PACKAGES", "Facts", "Node", "Said", "versions"]

PACKAGES = (
    "metahebb", "jax", "jaxlib", "numpy", "gymnasium", "mujoco", "pybullet", "box2d", "box2d-py", "pygame", "ale-py",
)  # fmt: skip
"""What decides the bits of a life"""
GATHER = 0.03
"""Seconds for which a life's outcome waits for others to be passed on with: each call takes the run and this machine a
millisecond"""


class Facts(NamedTuple):
    """What a machine says of itself."""

    host: str
    versions: dict[str, str]
    """of Python and of ``PACKAGES``, as far as they are there"""
    missing: list[str]
    """the paths that it was asked for and does not have"""


class Said(NamedTuple):
    """What a worker said, or what became of it."""

    number: int
    what: str
    """``message``, ``started``, ``printed`` or ``ended``"""
    content: Any
    """the message, the process identifier, the line, or (how, last words)"""


def versions() -> dict[str, str]:
    """The versions of Python and of what decides the bits of a life, here."""
    here = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            here[name] = metadata.version(name)
    return here


class Node:
    """The workers of a machine, by their numbers. ``tell`` and ``hear`` are called at the same time."""

    def __init__(self, files: Mapping[str, bytes], accelerated: bool) -> None:
        """``files``: the code of the user's own by its paths on the run's machine."""
        self._accelerated = accelerated
        self._files = files
        self._folder = Path(tempfile.mkdtemp(prefix="metahebb-"))
        for path, content in files.items():
            (self._folder / Path(path).name).write_bytes(content)
        self._processes: dict[int, WorkerProcess] = {}
        self._welcomed: set[int] = set()
        """those that have been told what they are for"""
        self._said: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self._beats: dict[int, Message] = {}
        self._printed: set[str] = set()
        self._sums: dict[int, np.ndarray] = {}
        """sums of noise by their units, until all are added up"""
        self._early: dict[int, Sequence[tuple[int | None, str | Message]]] = {}
        self._next = 0

    @ray.method(concurrency_group="tell")
    def facts(self, paths: Sequence[str]) -> Facts:
        """What there is here, and which of these paths are not."""
        return Facts(platform.node(), versions(), [path for path in paths if not os.path.exists(path)])

    @ray.method(concurrency_group="tell")
    def tell(self, turn: int, told: Sequence[tuple[int | None, str | Message]] | Message) -> None:
        """Do as told, in the order of turns: (worker, message or ``start``, ``kill``), or a message for all."""
        # Nothing promises that calls arrive in the order in which they were made.
        self._early[turn] = [(None, told)] if isinstance(told, Message) else told
        while self._next in self._early:
            told = self._early.pop(self._next)
            self._next += 1
            for number, what in told:
                # Who has not been told yet what it is for is told the rest by whoever tells that.
                for one in self._welcomed & self._processes.keys() if number is None else [number]:
                    self._tell(one, what)

    @ray.method(concurrency_group="hear")
    def hear(self) -> tuple[list[Said], dict[int, Message]]:
        """What was said since the last call, and the newest beat of each worker; waits a while for something."""
        said = []
        with contextlib.suppress(queue.Empty):
            said.append(self._said.get(timeout=BEAT))
            if said[0].what == "message" and said[0].content.kind == "lived":
                time.sleep(GATHER)
            while True:
                said.append(self._said.get_nowait())
        beats, self._beats = self._beats, {}
        return said, beats

    @ray.method(concurrency_group="add")
    def parts(self, units: Sequence[int], slices: int) -> np.ndarray | tuple[np.ndarray, ...]:
        """The sums of these units, cut into so many slices of the parameters, each float32 [units, slice]."""
        cut = zip(*(np.array_split(self._sums.pop(unit), slices) for unit in units), strict=True)
        parts = tuple(np.stack(rows) for rows in cut)
        return parts if slices > 1 else parts[0]

    @ray.method(concurrency_group="add")
    def add(self, owners: Sequence[int], *parts: np.ndarray) -> np.ndarray:
        """A slice of all sums, float32 [slice]: one after another the next row of the part of each of ``owners``."""
        rows = [iter(part) for part in parts]
        total = next(rows[owners[0]]).copy()
        for owner in owners[1:]:
            total += next(rows[owner])
        return total

    @ray.method(concurrency_group="tell")
    def end(self) -> None:
        """End all workers."""
        for process in self._processes.values():
            process.begin_to_close()
        for process in self._processes.values():
            process.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tell(self, number: int, what: str | Message) -> None:
        if what == "start":
            self._start(number)
        elif process := self._processes.get(number):
            if what == "kill":
                process.kill()
            elif isinstance(what, Message) and what.kind == "start":
                self._welcomed.add(number)
                process.send(self._with_files_here(what))
            elif isinstance(what, Message):
                process.send(what)

    def _start(self, number: int) -> None:
        def hear(channel: Channel, message: Message | None) -> None:
            if message is not None:
                self._answered(number, message)
            else:
                self._processes.pop(number, None)
                self._said.put(Said(number, "ended", (channel.ended, list(channel.last_words))))

        def log_output(line: str) -> None:
            if line not in self._printed:
                self._printed.add(line)
                self._said.put(Said(number, "printed", line))

        try:
            process = WorkerProcess(hear, log_output, self._accelerated)
        except OSError as e:
            self._said.put(Said(number, "ended", (f"could not be started ({e})", [])))
            return
        process.pulse = _PassedOn(self, number)
        self._processes[number] = process
        self._said.put(Said(number, "started", process.pid))

    def _answered(self, number: int, message: Message) -> None:
        """Pass on an answer; a sum stays here until all are added up."""
        if message.kind == "summed":
            unit, self._sums[unit] = read_summed(message)
            message = Message("summed", message.fields)
        self._said.put(Said(number, "message", message))

    def _with_files_here(self, message: Message) -> Message:
        start = read_start(message)
        code = [
            dataclasses.replace(its, name=str(self._folder / Path(its.name).name)) if its.is_file else its
            for its in code_of(start.configuration)
        ]
        return start_message(start._replace(configuration=with_code(start.configuration, code)))


class _PassedOn(Pulse):
    """What a worker says of how it is, kept for whoever hears."""

    def __init__(self, node: Node, number: int) -> None:
        super().__init__()
        self._node, self._number = node, number

    def beat(self, message: Message) -> None:
        self._node._beats[self._number] = message
