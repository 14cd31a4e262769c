"""A run's folder: configuration, metrics, checkpoints, agents, log and the fitness curve.

======================== =======================================================================
config.json              the configuration; ``--config`` reads it
metrics.jsonl            a line per generation
checkpoints/             the newest few, one per generation
latest.safetensors       the agent at the mean of the newest generation
best.safetensors         the agent at the mean of the generation with the best validation score
fitness.png              the fitness curve
log.txt                  versions, restarts of workers, warnings
*.py                     the user's own code, if the run has any: a rule, environments
======================== =======================================================================
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from metahebb.agents import Agent, load_agent, located, portable
from metahebb.configuration import Configuration, read_configuration
from metahebb.errors import UsageError
from metahebb.files import replacing, sweep, writing
from metahebb.json_text import json_text
from metahebb.trust import remember, signed

__all__ = ["Run", "create_run", "default_folder", "open_run"]

RECORDED_VERSIONS = ("metahebb", "jax", "jaxlib", "numpy", "gymnasium", "evosax", "optax")


@dataclass(frozen=True)
class Run:
    """A run on the disk."""

    folder: Path
    configuration: Configuration

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def curve(self) -> Path:
        """The fitness curve, drawn while the run goes on."""
        return self.folder / "fitness.png"

    @property
    def best(self) -> Agent:
        """The agent with the best validation score."""
        return load_agent(self.folder / "best.safetensors")

    @property
    def latest(self) -> Agent:
        """The agent of the newest generation."""
        return load_agent(self.folder / "latest.safetensors")

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics, a dictionary per generation."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return []
        lines = path.read_text().splitlines()
        whole = [line for line in lines if line.endswith("}")]
        return [json.loads(line) for line in whole]

    def add_metrics(self, line: Mapping[str, Any]) -> None:
        """Append a generation's line."""
        path = self.folder / "metrics.jsonl"
        with writing("The metrics", path), open(path, "a") as file:
            file.write(json_text(line) + "\n")

    def cut_metrics(self, generations: int) -> list[dict[str, Any]]:
        """Keep the lines of the first generations only, and return them."""
        kept = [line for line in self.metrics() if line["generation"] < generations]
        path = self.folder / "metrics.jsonl"
        with writing("The metrics", path), replacing(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
        return kept

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for one process; raises UsageError if another holds it."""
        lock = FileLock(self.folder / ".lock")
        with writing("The lock", self.folder / ".lock"):
            try:
                lock.acquire(blocking=False)
            except Timeout as e:
                raise UsageError(f"Another process is working on the run {str(self.folder)!r}.") from e
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder as ``held`` does, swept, with a log."""
        with self.held(), self._logged():
            for folder in (self.folder, self.checkpoints):
                with writing("The run folder", folder):
                    sweep(folder)
            yield

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        logger = logging.getLogger("metahebb")
        with writing("The log", self.folder / "log.txt"):
            handler = logging.FileHandler(self.folder / "log.txt")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        try:
            logger.debug("opened with %s", ", ".join(f"{name} {metadata.version(name)}" for name in RECORDED_VERSIONS))
            yield
        finally:
            logger.setLevel(level)
            logger.removeHandler(handler)
            handler.close()


def default_folder(task: str) -> Path:
    """``runs/<task>-<n>`` with the first n that is free."""
    name = task.rpartition(":")[2].replace("/", "-")
    number = 1
    while (folder := Path("runs") / f"{name}-{number}").exists():
        number += 1
    return folder


def create_run(configuration: Configuration, folder: Path) -> Run:
    """Make a run's folder, which appears whole, by rename; its user's code is remembered as what they train with.

    Raises UsageError if it exists, RunError if it cannot be written.
    """
    if folder.exists():
        hint = " Continue it with --resume, or choose another folder." if (folder / "config.json").exists() else ""
        raise UsageError(f"The run folder {str(folder)!r} exists.{hint}")
    configuration = signed(configuration)
    remember(configuration)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    with writing("The run folder", folder):
        try:
            (temporary / "checkpoints").mkdir(parents=True)
            saved = portable(configuration, temporary)
            (temporary / "config.json").write_text(json.dumps(saved.to_json(), indent=2) + "\n")
            os.rename(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Run(folder, located(saved, folder, _called(folder)))


def open_run(folder: str | Path, *, trust_code: bool = False) -> Run:
    """A run that exists.

    Raises UsageError if the folder is not one, and for a run with Python code that this user has not trained with,
    unless ``trust_code``.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"There is no run folder {str(folder)!r}.")
    if not (folder / "config.json").exists():
        raise UsageError(f"{str(folder)!r} is not a run: it has no config.json.")
    configuration = read_configuration(folder / "config.json")
    return Run(folder, located(configuration, folder, _called(folder), trust_code=trust_code))


def _called(folder: Path) -> str:
    return f"The run {str(folder)!r}"


def extended(run: Run, generations: int | None) -> Run:
    """The run with another number of generations to go to, written into its configuration.

    Raises UsageError if another process holds the run.
    """
    if generations is None:
        return run
    configuration = dataclasses.replace(run.configuration, generations=generations)
    target, scores = (
        configuration.target,
        [line["validation"] for line in run.metrics() if line.get("validation") is not None],
    )
    if target is not None and max(scores, default=-math.inf) >= target:
        # Who asks for more generations of a run that has reached its target does not want to stop there again.
        configuration = dataclasses.replace(configuration, target=None)
    path = run.folder / "config.json"
    with run.held(), writing("The configuration", path), replacing(path) as temporary:
        temporary.write_text(json.dumps(portable(configuration, run.folder).to_json(), indent=2) + "\n")
    return Run(run.folder, configuration)
