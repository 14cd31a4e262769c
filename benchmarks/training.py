"""Whole trainings, measured generation by generation."""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from metahebb.assembly import configure
from metahebb.evolution.runs import Run, create_run
from metahebb.evolution.training import Observer, evolve

__all__ = ["Training"]


class EndedError(Exception):
    """No further generation is wanted."""


class Training(Observer):
    """A training that goes on by one generation whenever it is told to; a context manager that ends it."""

    def __init__(self, task: str, workers: int, cluster: str | None = None, **settings: Any) -> None:
        self._workers, self._cluster = workers, cluster
        self.living: list[float] = []
        """seconds of each generation in which lives were lived"""
        self.rest: list[float] = []
        """all other seconds"""
        self._go: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[dict[str, Any] | Exception] = queue.SimpleQueue()
        self._folder = tempfile.TemporaryDirectory()
        run = create_run(configure(task, **settings)[0], Path(self._folder.name) / "run")
        self._thread = threading.Thread(target=self._evolve, args=(run,))

    def step(self) -> float:
        """Live a generation: µs of a core for each of its steps, all else included."""
        begun = time.perf_counter()
        self._go.put(True)
        metrics = self._metrics()
        seconds = time.perf_counter() - begun
        self.living.append(metrics["living_seconds"])
        self.rest.append(seconds - metrics["living_seconds"])
        return seconds * self._workers / metrics["steps"] * 1e6

    def generation(self, metrics: dict[str, Any]) -> None:
        """Wait until there is to be another (see ``Observer``)."""
        self._done.put(metrics)
        if not self._go.get():
            raise EndedError

    def __enter__(self) -> Training:
        self._thread.start()
        self._metrics()
        return self

    def __exit__(self, *error: object) -> None:
        self._go.put(False)
        self._thread.join()
        self._folder.cleanup()

    def _metrics(self) -> dict[str, Any]:
        metrics = self._done.get()
        if isinstance(metrics, Exception):
            raise metrics
        return metrics

    def _evolve(self, run: Run) -> None:
        try:
            evolve(run, workers=self._workers, cluster=self._cluster, observer=self)
        except Exception as e:
            self._done.put(e)
