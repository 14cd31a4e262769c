"""What is seen while a run goes on: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from metahebb.evolution.runs import Run
from metahebb.evolution.sites import Staff
from metahebb.evolution.training import Observer
from metahebb.interrupts import going_on, undone
from metahebb.lifetimes.lives import Outcome
from metahebb.networks import Network
from metahebb.printing import console

if TYPE_CHECKING:
    from metahebb.sweeps import Member

__all__ = ["counting", "showing", "showing_many", "table_of", "warnings_shown"]


def _line(metrics: dict[str, Any], generations: int) -> str:
    parts = [f"generation {metrics['generation'] + 1}/{generations}"]
    if metrics["fitness_mean"] is None:
        parts.append("no finite fitness")
    else:
        mean, deviation, best = (metrics[f"fitness_{name}"] for name in ("mean", "deviation", "best"))
        parts.append(f"fitness {mean:.1f} ± {deviation:.1f}, best {best:.1f}")
    parts.append(f"{metrics['steps_per_second']:,.0f} steps/s")
    if metrics.get("validation") is not None:
        parts.append(f"validation {metrics['validation']:.1f}")
    if metrics["diverged"]:
        parts.append(f"{metrics['diverged']} diverged")
    return " · ".join(parts)


def _on_cluster(metrics: dict[str, Any], staff: Staff) -> str:
    """Who lived a generation's lives, and how fast."""
    counted = [(staff.nodes, "node"), (staff.workers, "worker"), (staff.restarts, "retry")]
    words = [f"{n:,} {word if n == 1 else word.replace('y', 'ie') + 's'}" for n, word in counted if n]
    return ", ".join([*words, f"{metrics['lives'] / metrics['living_seconds']:,.1f} lives/s"])


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


class _Display(Observer):
    """Shows generations and the lives within one; in a file or a pipe, a line per generation."""

    def __init__(self, progress: Progress | None, run: Run, time_limit: float | None) -> None:
        self._progress = progress
        self._total = run.configuration.generations
        self._folder = run.folder
        self._task = run.configuration.task
        self._deadline = None if time_limit is None else time.monotonic() + 60 * time_limit
        self._began = 0.0
        self._first = 0
        self._staff = Staff(0, 0, 0)

    def started(self, run: Run, generation: int, network: Network) -> None:
        self._began, self._first = time.monotonic(), generation
        kind = "static weights" if network.rule is None else f"rule {network.rule.name}"
        layers = "→".join(str(n) for n in (network.layers[0][0], *(outputs for _, outputs in network.layers)))
        text = (
            f"{self._task}: {layers}, {network.synapses:,} synapses, {kind}, "
            f"{network.evolved_parameters:,} evolved parameters; run {self._folder}"
        )
        if generation:
            text += f", from generation {generation}"
        self._print(text)
        if self._progress is not None:
            self._generations = self._progress.add_task(
                "generations", total=self._total, completed=generation, left="compiling"
            )
            self._lives = self._progress.add_task("lives", total=None, left="")

    def lived(self, outcome: Outcome, lives: int) -> None:
        if self._progress is not None:
            self._progress.update(self._lives, advance=1, total=lives)

    def staffed(self, staff: Staff) -> None:
        self._staff = staff

    def generation(self, metrics: dict[str, Any]) -> None:
        done = metrics["generation"] + 1
        line = _line(metrics, self._total)
        if self._staff.nodes:
            line += f" · {_on_cluster(metrics, self._staff)}"
        left = f"{_duration(self._left(done))} left"
        if self._progress is None:
            self._print(f"{line} · {left}")
        else:
            self._print(line)
            self._progress.update(self._generations, completed=done, left=left)
            self._progress.reset(self._lives)

    def _left(self, done: int) -> float:
        now = time.monotonic()
        left = (now - self._began) / (done - self._first) * (self._total - done)
        return left if self._deadline is None else max(min(left, self._deadline - now), 0)

    def _print(self, text: str) -> None:
        if self._progress is None:
            print(text, flush=True)
        else:
            self._progress.console.print(text)


@contextlib.contextmanager
def showing(run: Run, time_limit: float | None) -> Iterator[Observer]:
    """An observer that shows a run, and the way on if a signal ends it; ``time_limit`` in minutes."""
    terminal = console(soft_wrap=False)
    how = f"; nothing but the lives in flight is lost. Continue: metahebb train --resume {run.folder}"
    with going_on(how):
        if not terminal.is_terminal:
            with warnings_shown(console(stderr=True)):
                yield _Display(None, run, time_limit)
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
        )
        with _live(Progress(*columns, console=terminal)) as progress, warnings_shown(progress.console):
            yield _Display(progress, run, time_limit)


@contextlib.contextmanager
def showing_many(members: Sequence[Member], again: str) -> Iterator[Callable[[Member], None]]:
    """What is to be told of each run of a sweep that has news: a table of all, or lines where there is no terminal.

    ``again`` is the command that goes on if a signal ends this one.
    """
    terminal = console(soft_wrap=False)
    how = f"; nothing but the lives in flight is lost. Continue: {again}"
    with going_on(how), warnings_shown():
        if not terminal.is_terminal:
            yield _tell
            return

        def leave() -> None:
            os.write(terminal.file.fileno(), b"\x1b[?25h\n")

        with undone(leave), Live(table_of(members), console=terminal, refresh_per_second=2, transient=True) as live:
            yield lambda member: live.update(table_of(members))


def _tell(member: Member) -> None:
    if member.state != "runs":
        print(f"{member.name}: {_state(member)}", flush=True)
    elif member.metrics is not None and "seconds" in member.metrics:
        print(f"{member.name}: {_line(member.metrics, member.generations)}", flush=True)


def _state(member: Member) -> str:
    states = {"waits": "waits", "runs": "runs", "done": "done", "time": "the time limit has passed"}
    return states.get(member.state) or f"failed: {member.sentence}"


def table_of(members: Sequence[Member]) -> Table:
    """How all runs of a sweep are."""
    table = Table("run", "generation", "fitness", "best validation", "steps/s", "")
    for column in table.columns[1:5]:
        column.justify = "right"
    for member in members:
        metrics: Mapping[str, Any] = member.metrics or {}
        done, mean, speed = (metrics.get(name) for name in ("generation", "fitness_mean", "steps_per_second"))
        table.add_row(
            member.name,
            "" if done is None else f"{done + 1}/{member.generations}",
            "" if mean is None else f"{mean:.1f}",
            "" if member.best is None else f"{member.best:.1f}",
            "" if speed is None else f"{speed:,.0f}",
            _state(member),
        )
    return table


@contextlib.contextmanager
def _live(progress: Progress) -> Iterator[Progress]:
    """Show progress; a signal that ends the command leaves the terminal a cursor and its line to itself."""

    def leave() -> None:
        if progress.console.is_terminal:
            # Not by Rich, whose locks the main thread may hold.
            os.write(progress.console.file.fileno(), b"\x1b[?25h\n")

    with undone(leave), progress:
        yield progress


class Count:
    """Told of each life that ends, and, where it was not known at first, of how many there will be (``of``)."""

    def __init__(self, progress: Progress, label: str, lives: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=lives)

    def __call__(self, outcome: Outcome) -> None:
        self._progress.advance(self._task)

    def of(self, lives: int) -> None:
        """Say how many lives there will be."""
        self._progress.update(self._task, total=lives)


@contextlib.contextmanager
def counting(lives: int | None, label: str) -> Iterator[Count]:
    """What is to be called at the end of each life, with a bar on standard error in a terminal."""
    with (
        _live(
            Progress(console=console(stderr=True, soft_wrap=False), transient=True, disable=not sys.stderr.isatty())
        ) as progress,
        warnings_shown(progress.console),
    ):
        yield Count(progress, label, lives)


@contextlib.contextmanager
def warnings_shown(shown_on: Console | None = None) -> Iterator[None]:
    """Show the package's warnings, by default on standard error, and what environments print as it is."""
    handler = _Messages(shown_on or console(stderr=True))
    logger, output = logging.getLogger("metahebb"), logging.getLogger("metahebb.output")
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    level = output.level
    output.setLevel(logging.INFO)
    try:
        yield
    finally:
        output.setLevel(level)
        logger.removeHandler(handler)
        logger.propagate = propagate


class _Messages(logging.Handler):
    """Writes a message to a console, a line each however long."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "metahebb.output":
            self._write(record.getMessage())
        elif record.levelno >= logging.WARNING:
            self._write(f"Warning: {record.getMessage()}")

    def _write(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)
