"""Ranges in texts: ``front-left=1.0,0.25..1.5:6`` stands for six bodies, ``zero-weights@100..900:5`` for five steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metahebb.errors import UsageError, quoted

__all__ = ["MOST_VALUES", "Ranged", "ranged"]

_NUMBER = r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"((?:(?<=[:=,])-)?{_NUMBER})\.\.(-?{_NUMBER}):(\d+)")
_MEANT = re.compile(r"[\d.]\.\.[-\d]|\d\.\.")
LETTERS = "xyzuvw"
MOST_VALUES = 1000


@dataclass(frozen=True)
class Ranged:
    """A text with ranges in it: one text for each combination of their values."""

    pieces: tuple[str, ...]
    """what stands around the ranges: one more than there are"""
    values: tuple[tuple[float, ...], ...]
    """of each range"""

    def text(self, chosen: Sequence[float]) -> str:
        """The text in which each range has one of its values."""
        words = [self.pieces[0]]
        for value, piece in zip(chosen, self.pieces[1:], strict=True):
            words += [f"{value:g}", piece]
        return "".join(words)

    def label(self, first: int, which: int) -> str:
        """The text in which ranges are letters, the first of them number ``first`` of all: the name of one's axis."""
        letters = LETTERS[first : first + len(self.values)]
        words = [self.pieces[0]]
        for letter, piece in zip(letters, self.pieces[1:], strict=True):
            words += [letter, piece]
        return f"{letters[which]} of {''.join(words)}"


def ranged(text: str, option: str) -> Ranged:
    """A text's ranges, FIRST..LAST:COUNT each; what stands behind the last @ is steps, and rounded to whole ones.

    Raises UsageError for one that is not written so, or that has no values, too many, or the same one twice.
    """
    pieces: list[str] = []
    values: list[tuple[float, ...]] = []
    end = 0
    for found in _RANGE.finditer(text):
        pieces.append(text[end : found.start()])
        end = found.end()
        steps = "@" in text[: found.start()] and "/" not in text[: found.start()].rpartition("@")[2]
        values.append(_values(found, steps, f"{option} {quoted(text)}"))
    pieces.append(text[end:])
    if any(_MEANT.search(piece) for piece in pieces):
        raise UsageError(f"{option} {quoted(text)} has no range: it is written as FIRST..LAST:COUNT, such as 0..1:5.")
    return Ranged(tuple(pieces), tuple(values))


def _values(found: re.Match[str], steps: bool, said: str) -> tuple[float, ...]:
    first, last, count = float(found[1]), float(found[2]), int(found[3])
    if not 1 <= count <= MOST_VALUES:
        raise UsageError(f"{said}: the range {found[0]!r} has {count} values; it must have 1 to {MOST_VALUES}.")
    if not np.isfinite([first, last]).all():
        raise UsageError(f"{said}: the range {found[0]!r} is not finite.")
    # As they are written: six digits.
    values = [float(f"{value:g}") for value in np.linspace(first, last, count)]
    if steps:
        values = [float(round(value)) for value in values]
    if len({*values}) < count:
        raise UsageError(f"{said}: the range {found[0]!r} has no {count} different values; lower its count.")
    return tuple(values)
