"""The command ``metahebb``: from its first moment on, SIGINT (Ctrl-C), SIGTERM and SIGHUP end it in order.

A module of its own because importing the package takes a quarter of a second, in which Ctrl-C would be a traceback.

No signal raises into what runs, which may be a callback of JAX that swallows exceptions or an environment that catches
them. The system's handler writes to a pipe at once, even where the main thread is in compiled code for long; a thread
that reads it undoes what is half made (``metahebb.interrupts``), says one line and ends the process. Workers end when
their pipe closes. Files are whole or absent at every moment, so nothing is lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

# Not imported: typing takes longer than all that is.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

__all__ = ["catching_signals", "end_process", "main"]

WORDS = {"SIGINT": "Interrupted", "SIGTERM": "Terminated", "SIGHUP": "Hung up"}
PATIENCE = 3.0
"""Seconds that undoing may take, and that the line may: a lock or a pipe that nobody reads must not keep the command"""


def main() -> None:
    """Run the command."""
    with catching_signals():
        from metahebb.cli import main as command

        command()


class catching_signals(contextlib.AbstractContextManager[None]):  # noqa: N801
    """Within, the signals end the process; to be entered once, by the main thread, for the process's whole work."""

    def __enter__(self) -> None:
        # What the one who started the command ignores (nohup, a shell's background) stays ignored.
        known = {getattr(signal, name): word for name, word in WORDS.items() if hasattr(signal, name)}
        self._words = {number: word for number, word in known.items() if signal.getsignal(number) != signal.SIG_IGN}
        while (pipe := os.pipe())[0] < 3 or pipe[1] < 3:
            # Of a standard stream that is closed: what is printed to it must not end up in our pipe.
            for descriptor in pipe:
                os.close(descriptor)
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        reader, self._writer = pipe
        if os.name == "posix":
            os.set_blocking(self._writer, False)
        threading.Thread(target=self._wait, args=(reader,), daemon=True).start()
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in self._words:
            signal.signal(number, self._stand_still)
        if hasattr(os, "register_at_fork"):
            # What an environment forks must not end this process by its own signals, nor print a traceback. Until it
            # has handlers of its own it is sent none: ours would write to our pipe.
            os.register_at_fork(
                before=lambda: self._mask(signal.SIG_BLOCK),
                after_in_parent=lambda: self._mask(signal.SIG_UNBLOCK),
                after_in_child=self._forget,
            )

    def __exit__(self, *_: object) -> None:
        """The work is done, and what came of it is said: what is left is Python's own end."""
        # There is no stream where it was closed from the start.
        if sys.stdout is not None:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
        signal.set_wakeup_fd(-1)
        for number in self._words:
            signal.signal(number, lambda number, frame: os._exit(128 + number))

    def _stand_still(self, number: int, frame: FrameType | None) -> None:
        """The main thread does nothing any more while the process ends."""
        # An event loop may have put its own pipe in the place of ours.
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, bytes([number]))
        while True:
            threading.Event().wait()

    def _wait(self, reader: int) -> NoReturn:
        while (number := os.read(reader, 1)[0]) not in self._words:
            pass
        # Imported or not, or about to be.
        way_on: str = getattr(sys.modules.get("metahebb.interrupts"), "way_on", ".")
        end_process(f"{self._words[number]}{way_on}", 128 + number)

    def _mask(self, how: signal.Handlers | int) -> None:
        signal.pthread_sigmask(how, self._words)

    def _forget(self) -> None:
        if any(signal.getsignal(number) == self._stand_still for number in self._words):
            signal.set_wakeup_fd(-1)
            for number in self._words:
                signal.signal(number, signal.SIG_DFL)
        self._mask(signal.SIG_UNBLOCK)


def end_process(line: str, code: int) -> NoReturn:
    """End the process from any thread: undo what is half made, say the line on standard error."""
    try:
        _in_time(getattr(sys.modules.get("metahebb.interrupts"), "undo", lambda: None))
        _in_time(lambda: os.write(2, f"{line}\n".encode(errors="replace")))
    finally:
        os._exit(code)


def _in_time(step: Callable[[], object]) -> None:
    """Do it, for so long as there is patience; what the terminal or the disk refuses is past caring about."""

    def attempt() -> None:
        with contextlib.suppress(Exception):
            step()

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(PATIENCE)


if __name__ == "__main__":
    main()
