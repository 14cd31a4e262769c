"""How everything is printed: text as it is, on whatever takes it."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from rich.console import Console

from metahebb.errors import RunError

__all__ = ["Stream", "console", "standard_streams"]

PLAIN = {
    "Δ": "d", "η": "eta", "·": "*", "±": "+/-", "−": "-", "→": "->", "…": "...", "×": "x", "²": "^2", "–": "-",
    "’": "'", "‘": "'", "“": '"', "”": '"', "╭": "+", "╮": "+", "╰": "+", "╯": "+", "│": "|", "─": "-",
}  # fmt: skip
"""what stands for our characters where a terminal has no such ones"""


def console(*, stderr: bool = False, width: int | None = None, soft_wrap: bool = True) -> Console:
    """A console on which nothing is markup: paths, ids and messages are users' own, ``[/b]`` and ``:fire:`` included.

    What is to have a style is given as ``rich.text.Text``. Lines stay whole; a live display alone needs them cut
    (``soft_wrap=False``).
    """
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap, width=width)


class Stream(io.TextIOWrapper):
    """A stream that no text and no reader can make fail, so that work goes on: once refused, the rest is dropped.

    Characters that its encoding has not are written in others, ours in such that look like them.
    """

    def __init__(self, descriptor: int, like: TextIO | None) -> None:
        """``like`` is the stream of Python's that it takes the place of; None where that was closed."""
        self._raw = _Descriptor(descriptor)
        encoding = getattr(like, "encoding", None) or "utf-8"
        line_buffering = getattr(like, "line_buffering", False)
        super().__init__(io.BufferedWriter(self._raw), encoding, "metahebb.plain", line_buffering=line_buffering)

    def finish(self) -> None:
        """Write the rest; raises RunError where something was dropped, unless nobody wanted to read on."""
        self.flush()
        if (refused := self._raw.refused) is not None and not isinstance(refused, BrokenPipeError):
            raise RunError(f"Standard output could not be written: {refused.strerror}.")


class _Descriptor(io.FileIO):
    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.refused: OSError | None = None

    def write(self, data: Any) -> int:
        if self.refused is None:
            try:
                while (written := super().write(data)) is None:
                    # A pipe that does not wait for its reader.
                    select.select([], [self], [])
                return written
            except OSError as e:
                self.refused = e
        return memoryview(data).nbytes


@contextlib.contextmanager
def standard_streams() -> Iterator[Stream]:
    """Within, standard output and standard error never fail (``Stream``); yields the former."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # What is opened next would take the number, and everything printed would end up in it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    out, err = Stream(1, sys.stdout), Stream(2, sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield out
        finally:
            out.flush()
            err.flush()


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """The handler of characters that an encoding has not."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if (plain := PLAIN.get(character)) is not None:
        return plain, error.start + 1
    return ascii(character)[1:-1], error.start + 1


codecs.register_error("metahebb.plain", _plain)
