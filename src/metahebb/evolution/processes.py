"""A worker's process as its parent has it: the pipes, each with a thread that waits for it, and its end."""

from __future__ import annotations

import collections
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable

from metahebb.evolution.messages import Message, receive, send
from metahebb.evolution.supervision import Pulse
from metahebb.jax_defaults import without_jax_settings

__all__ = ["WorkerProcess"]

LAST_WORDS = 1.0
"""Seconds for what a dead worker has sent to arrive; its pipe may never end, where a child that it forked holds it."""
CLOSING = 2.0
"""Seconds for a worker to end by itself"""


class WorkerProcess:
    """One worker process; what it says, and at the very last None, is put where ``say`` says."""

    def __init__(
        self, say: Callable[[Message | None], None], log_output: Callable[[str], None], accelerated: bool
    ) -> None:
        self.pulse = Pulse()
        self.last_words: collections.deque[str] = collections.deque(maxlen=5)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "metahebb.evolution.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(accelerated),
            # Ctrl-C is the parent's to handle.
            start_new_session=True,
        )
        self._outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        listener = threading.Thread(target=self._listen, args=(say,), daemon=True)
        overhearer = threading.Thread(target=self._overhear, args=(log_output,), daemon=True)
        ender = threading.Thread(target=self._wait, args=(say, listener, overhearer), daemon=True)
        for thread in (listener, overhearer, ender, threading.Thread(target=self._send, daemon=True)):
            thread.start()

    @property
    def pid(self) -> int:
        """The process identifier."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it lives."""
        return self._process.poll()

    def send(self, message: Message) -> bool:
        """Send, without waiting for a worker that does not read, and say whether it lives."""
        self._outbox.put(message)
        return self.code is None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def begin_to_close(self) -> None:
        """Close its pipe when all is sent, upon which it ends."""
        self._outbox.put(None)

    def close(self) -> None:
        """End it, by force if it does not end soon."""
        try:
            self._process.wait(CLOSING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self) -> None:
        assert self._process.stdin is not None
        try:
            while (message := self._outbox.get()) is not None:
                send(self._process.stdin, message)
            self._process.stdin.close()
        except OSError:
            # Its death is for others to notice.
            return

    def _listen(self, say: Callable[[Message | None], None]) -> None:
        assert self._process.stdout is not None
        try:
            while (message := receive(self._process.stdout)) is not None:
                if message.kind == "beat":
                    self.pulse.beat(message)
                else:
                    self.pulse.answered()
                    say(message)
        finally:
            # Whatever else it may do, it cannot be heard any more.
            self.close()

    def _overhear(self, log_output: Callable[[str], None]) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if text := line.decode(errors="replace").rstrip():
                self.last_words.append(text)
                log_output(text)

    def _wait(self, say: Callable[[Message | None], None], *threads: threading.Thread) -> None:
        self._process.wait()
        for thread in threads:
            thread.join(LAST_WORDS)
        say(None)


def _environment(accelerated: bool) -> dict[str, str]:
    # A worker is one thread on one core, unless it has an accelerator; results do not depend on it, speed does.
    one_core = {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip(),
        "PJRT_NPROC": "1",
    }
    return {
        **without_jax_settings(os.environ),
        **({} if accelerated else one_core),
        # So that environments may print what they like, whatever the terminal takes.
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "SDL_VIDEODRIVER": os.environ.get("SDL_VIDEODRIVER", "dummy"),
        "PYGAME_HIDE_SUPPORT_PROMPT": "1",
        # What the parent can import (a user's module beside a script), the worker can.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
