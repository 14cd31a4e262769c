"""What is to be undone before a signal ends the command, how the user goes on, and which KeyboardInterrupt is theirs.

``metahebb_command`` ends the process from a thread, so that no ``finally`` runs and nothing is raised: a
KeyboardInterrupt is then an environment's or a rule's own. Called from Python, Ctrl-C is what it always is.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from metahebb.errors import UsageError, raised

__all__ = ["ctrl_c_told_apart", "going_on", "is_the_users", "told", "undo", "undo_at_end", "undone"]

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


class _CtrlC(KeyboardInterrupt):
    """The user's; a plain one has another cause."""


@contextlib.contextmanager
def ctrl_c_told_apart() -> Iterator[None]:
    """Within, Ctrl-C is told apart from a KeyboardInterrupt that an environment raises itself."""
    if threading.current_thread() is not threading.main_thread() or not _default_handler():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise _CtrlC

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def is_the_users(error: BaseException) -> bool:
    """Whether it is Ctrl-C, as far as can be known."""
    return isinstance(error, _CtrlC) or (isinstance(error, KeyboardInterrupt) and _default_handler())


@contextlib.contextmanager
def told(doing: str) -> Iterator[None]:
    """Whatever a user's code raises within is a UsageError of one sentence, which begins with ``doing``."""
    try:
        yield
    except UsageError:
        raise
    except BaseException as e:
        if is_the_users(e):
            raise
        raise UsageError(f"{doing} raised {raised(e)}") from e


def _default_handler() -> bool:
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler
