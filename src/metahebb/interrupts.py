"""What is to be undone before a signal ends the command, and how the user goes on.

``metahebb_command`` ends the process from a thread, so that no ``finally`` runs. Called from Python, KeyboardInterrupt
is what it always is, and this module does nothing.
"""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable, Iterator

__all__ = ["going_on", "undo", "undo_at_end", "undone"]

_undoing: list[Callable[[], object]] = []

way_on = "."
"""what the last line says after the word for the signal"""


@contextlib.contextmanager
def undone(step: Callable[[], object]) -> Iterator[None]:
    """If the process is ended within, ``step`` is called first, in another thread; it must take no lock."""
    _undoing.append(step)
    try:
        yield
    finally:
        _undoing.remove(step)


def undo_at_end(step: Callable[[], object]) -> None:
    """Call ``step`` when the process ends, by a signal or by itself."""
    _undoing.append(step)
    atexit.register(step)


@contextlib.contextmanager
def going_on(how: str) -> Iterator[None]:
    """If the process is ended within, its line says how to go on."""
    global way_on
    before, way_on = way_on, how
    try:
        yield
    finally:
        way_on = before


def undo() -> None:
    """Undo all that is half made, the newest first."""
    for step in reversed(_undoing.copy()):
        with contextlib.suppress(Exception):
            step()
