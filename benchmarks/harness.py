"""Interleaved measurements and the table that they end in.

A row compares a figure with its floor: the least that the same work could cost, or another program that does it. Both
are measured in turns, as a rule five times in one run, so that what else the machine does falls on both; medians are
shown, and the ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.table import Table

__all__ = ["ROUNDS", "Part", "Row", "show"]

ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """A claim: ``figure`` and ``floor`` each do their work once and return what it cost, in ``unit``."""

    name: str
    unit: str
    floor_name: str
    floor: Callable[[], float] | None
    """None where there is nothing to compare with"""
    figure: Callable[[], float]
    limit: float | None = None
    """the most that the figure may be, in its unit"""
    limit_ratio: float | None = None
    """the most that figure ÷ floor may be"""
    rounds: int = ROUNDS
    missing: str | None = None
    """what has to be installed before it can be measured"""


class Part:
    """Work in processes of their own, a core for each, as a worker has it; called, all do it once at the same time.

    ``make`` is ``module:function``; the function, called with ``arguments``, makes what does the work once and returns
    what it cost. A context manager that ends the processes.
    """

    def __init__(self, make: str, *arguments: object, processes: int = 1) -> None:
        command = [sys.executable, "-m", "benchmarks.part", make]
        self._processes = [
            subprocess.Popen(
                [*command, str(core), *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for core in range(processes)
        ]
        self._answers()

    def __call__(self) -> float:
        """The mean of what it cost the processes."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return statistics.mean(map(float, self._answers()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.communicate()

    def _answers(self) -> Sequence[str]:
        answers = [process.stdout.readline() for process in self._processes if process.stdout is not None]
        if not all(answers):
            raise RuntimeError(f"{self._processes[0].args} ended before it answered")
        return answers


def measured(row: Row) -> tuple[float, float, float]:
    """(floor, figure, ratio), medians over the rounds; each ran once before, so that nothing is compiled in a round."""
    floor = row.floor or (lambda: float("nan"))
    floor(), row.figure()
    floors, figures = [], []
    for _ in range(row.rounds):
        floors.append(floor())
        figures.append(row.figure())
    ratios = [figure / floor for figure, floor in zip(figures, floors, strict=True)]
    return statistics.median(floors), statistics.median(figures), statistics.median(ratios)


def machine() -> str:
    """The machine in one line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            (line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line), cpu
        )
    packages = ", ".join(f"{name} {version(name)}" for name in ("jax", "numpy", "gymnasium"))
    return f"{os.cpu_count()} cores of {cpu}, {platform.system()}, Python {platform.python_version()}, {packages}"


def show(rows: Iterable[Row]) -> None:
    """Measure the rows, each as it comes, and print the table."""
    console = Console(width=150, highlight=False)
    table = Table("", "floor", "", "figure", "ratio", "claim", "", title=machine(), title_justify="left")
    for row in rows:
        claims = []
        if row.limit is not None:
            claims.append(f"≤ {row.limit:g} {row.unit}")
        if row.limit_ratio is not None:
            claims.append(f"ratio ≤ {row.limit_ratio:.3g}")
        if row.missing is not None:
            table.add_row(row.name, row.floor_name, "", "", "", ", ".join(claims), f"left out: needs {row.missing}")
            continue
        print(f"measuring: {row.name}", file=sys.stderr)
        floor, figure, ratio = measured(row)
        holds = (row.limit is None or figure <= row.limit) and (row.limit_ratio is None or ratio <= row.limit_ratio)
        cells = ["", f"{figure:.3g} {row.unit}", ""]
        if row.floor is not None:
            cells = [f"{floor:.3g} {row.unit}", cells[1], f"{ratio:.3g}"]
        table.add_row(row.name, row.floor_name, *cells, ", ".join(claims), "holds" if holds else "[bold]MISSED[/]")
        # The table comes last; whoever stops before it has seen these.
        print(f"    {' '.join(cell for cell in cells if cell)}", file=sys.stderr)
    console.print(table)
