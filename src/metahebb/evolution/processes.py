"""Workers on this machine: each a process with pipes, a thread that waits for each of them, and its end."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from metahebb.configuration import Configuration
from metahebb.errors import UsageError
from metahebb.evolution.messages import Message, receive, send
from metahebb.evolution.sites import Channel, Hear, Site
from metahebb.files import reason_of
from metahebb.jax_defaults import without_jax_settings
from metahebb.trust import check_unchanged

__all__ = ["ThisMachine", "WorkerProcess"]

LAST_WORDS = 1.0
"""Seconds for what a dead worker has sent to arrive; its pipe may never end, where a child that it forked holds it."""
CLOSING = 2.0
"""Seconds for a worker to end by itself"""


class ThisMachine(Site):
    """So many workers on this machine, for a configuration."""

    def __init__(self, configuration: Configuration, workers: int, accelerated: bool) -> None:
        self.accelerated = accelerated
        self._configuration = configuration
        self._workers = workers

    def open(self, hear: Hear, log_output: Callable[[str], None]) -> Sequence[Channel]:
        self._hear, self._log_output = hear, log_output
        channels: list[Channel] = []
        try:
            for _ in range(self._workers):
                channels.append(self._new())
        except BaseException as e:
            for channel in channels:
                channel.kill()
            if not isinstance(e, OSError):
                raise
            raise UsageError(
                f"{self._workers} worker processes cannot be started: {reason_of(e)}; lower --workers, or raise what "
                "the system allows (ulimit)."
            ) from e
        return channels

    def replacement(self, lost: Channel) -> Channel:
        return self._new()

    def close(self) -> None:
        pass

    def _new(self) -> WorkerProcess:
        check_unchanged(self._configuration)
        return WorkerProcess(self._hear, self._log_output, self.accelerated)


class WorkerProcess(Channel):
    """One worker process, and its pipes."""

    def __init__(self, hear: Hear, log_output: Callable[[str], None], accelerated: bool) -> None:
        super().__init__()
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
        listener = threading.Thread(target=self._listen, args=(hear,), daemon=True)
        overhearer = threading.Thread(target=self._overhear, args=(log_output,), daemon=True)
        ender = threading.Thread(target=self._wait, args=(hear, listener, overhearer), daemon=True)
        for thread in (listener, overhearer, ender, threading.Thread(target=self._send, daemon=True)):
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def ended(self) -> str:
        code = self._process.wait()
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"

    def send(self, message: Message) -> bool:
        self._outbox.put(message)
        return self.alive

    def kill(self) -> None:
        self._process.kill()

    def begin_to_close(self) -> None:
        # Upon the end of its pipe it ends.
        self._outbox.put(None)

    def close(self) -> None:
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

    def _listen(self, hear: Hear) -> None:
        assert self._process.stdout is not None
        try:
            while (message := receive(self._process.stdout)) is not None:
                if message.kind == "beat":
                    self.pulse.beat(message)
                else:
                    self.pulse.answered()
                    hear(self, message)
        finally:
            # Whatever else it may do, it cannot be heard any more.
            self.close()

    def _overhear(self, log_output: Callable[[str], None]) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if text := line.decode(errors="replace").rstrip():
                self.last_words.append(text)
                log_output(text)

    def _wait(self, hear: Hear, *threads: threading.Thread) -> None:
        self._process.wait()
        for thread in threads:
            thread.join(LAST_WORDS)
        hear(self, None)


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
