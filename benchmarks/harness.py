"""Interleaved measurements and the table that they end in.

A row compares a figure with its floor: the least that the same work could cost. Both are measured in turns, five times
in one run, so that what else the machine does falls on both; medians are shown, and the ratio is the median of the
rounds' ratios.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

__all__ = ["ROUNDS", "Row", "show"]

ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """A claim: ``figure`` and ``floor`` each do their work once and return what it cost, in ``unit``."""

    name: str
    unit: str
    floor_name: str
    floor: Callable[[], float]
    figure: Callable[[], float]
    limit: float | None = None
    """the most that the figure may be, in its unit"""
    limit_ratio: float | None = None
    """the most that figure ÷ floor may be"""


def measured(row: Row) -> tuple[float, float, float]:
    """(floor, figure, ratio), medians over the rounds; each ran once before, so that nothing is compiled in a round."""
    row.floor(), row.figure()
    floors, figures = [], []
    for _ in range(ROUNDS):
        floors.append(row.floor())
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


def show(rows: list[Row]) -> None:
    """Measure the rows and print the table."""
    console = Console(width=150, highlight=False)
    table = Table("", "floor", "", "figure", "ratio", "claim", "", title=machine(), title_justify="left")
    for row in rows:
        floor, figure, ratio = measured(row)
        claims, holds = [], True
        if row.limit is not None:
            claims.append(f"≤ {row.limit:g} {row.unit}")
            holds &= figure <= row.limit
        if row.limit_ratio is not None:
            claims.append(f"ratio ≤ {row.limit_ratio:.2f}")
            holds &= ratio <= row.limit_ratio
        cells = (f"{floor:.3g} {row.unit}", f"{figure:.3g} {row.unit}", f"{ratio:.2f}")
        table.add_row(row.name, row.floor_name, *cells, ", ".join(claims), "holds" if holds else "[bold]MISSED[/]")
    console.print(table)
