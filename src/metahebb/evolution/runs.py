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
import errno
import itertools
import json
import logging
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from metahebb.agents import Agent, load_agent, with_code_copied, with_code_found
from metahebb.configuration import Configuration, read_configuration
from metahebb.errors import RunError, UsageError, quoted
from metahebb.evolution import checkpoints
from metahebb.evolution.building import building_beside, sweep_beside
from metahebb.evolution.checkpoints import Checkpoint
from metahebb.evolution.strategies import Strategy
from metahebb.files import (
    WriteError,
    flush_folder,
    read_file,
    reason_of,
    sweep,
    user_path,
    write_file,
    writing,
)
from metahebb.interrupts import undone
from metahebb.json_text import json_text
from metahebb.shipped import located, not_found
from metahebb.trust import remember, signed

__all__ = ["Run", "create_run", "open_run", "read_run"]

logger = logging.getLogger("metahebb")

FILES = ("metrics.jsonl", "latest.safetensors", "best.safetensors", "fitness.png", "log.txt", ".lock")
"""What a run may write beside its configuration."""

RECORDED_VERSIONS = ("metahebb", "jax", "jaxlib", "numpy", "gymnasium", "evosax", "optax")


@dataclass(frozen=True)
class Run:
    """A run on the disk."""

    folder: Path
    configuration: Configuration
    made: tuple[Path, ...] = dataclasses.field(default=(), compare=False, repr=False)
    """the folders that were made for it, the innermost first; none for a run that was opened"""

    def remove(self) -> None:
        """Remove a run that this process has made, and the folders that were made for it."""
        for folder in self.made[:1]:
            shutil.rmtree(folder, ignore_errors=True)
        for parent in self.made[1:]:
            with contextlib.suppress(OSError):
                parent.rmdir()

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
        """The metrics, a dictionary per generation; lines that no run wrote are left out."""
        return self._lines()[0]

    def add_metrics(self, line: Mapping[str, Any]) -> None:
        """Append a generation's line."""
        path = self.folder / "metrics.jsonl"
        with writing("The metrics", path), open(path, "a", encoding="utf-8") as file:
            file.write(json_text(line) + "\n")

    def cut_metrics(self, generations: int) -> list[dict[str, Any]]:
        """Keep the lines of the first generations only, and return them; lines that no run wrote are set aside."""
        path = self.folder / "metrics.jsonl"
        lines, foreign = self._lines()
        if foreign:
            aside = _free(f"{path}.damaged{n or ''}" for n in itertools.count())
            write_file("The metrics", aside, path.read_bytes())
            logger.warning("metrics.jsonl has lines that no run wrote; as it was it is kept as %s.", aside.name)
        kept = [line for line in lines if line["generation"] < generations]
        write_file("The metrics", path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        return kept

    def _lines(self) -> tuple[list[dict[str, Any]], bool]:
        """The metrics, and whether there are other lines than these and one that was cut off."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return [], False
        *texts, last = read_file("The metrics", path).split(b"\n")
        if _metrics_of(last) is not None:
            # Cut off it would be no JSON: somebody's editor took the end of the line.
            texts.append(last)
        lines: list[dict[str, Any]] = []
        for line in map(_metrics_of, texts):
            if line is not None and line["generation"] > (lines[-1]["generation"] if lines else -1):
                lines.append(line)
        return lines, len(lines) < len(texts)

    def newest(self, strategy: Strategy) -> Checkpoint | None:
        """The newest checkpoint that is whole; None where the run has not begun.

        Raises UsageError where all are damaged, where the newest is of other settings, and where there is none though
        the run has begun.
        """
        newest = checkpoints.load_newest(self.checkpoints, strategy, self.configuration)
        made = [name for name in ("metrics.jsonl", "latest.safetensors", "best.safetensors") if self._has(name)]
        if newest is None and made:
            raise UsageError(
                f"{quoted(self.checkpoints)} has no checkpoint, but {quoted(self.folder)} has {' and '.join(made)}, "
                "which a run from the start would overwrite. Put the checkpoints back, or start a new run."
            )
        return newest

    def _has(self, name: str) -> bool:
        path = self.folder / name
        return path.exists() and path.stat().st_size > 0

    def with_generations(self, generations: int, strategy: Strategy) -> Run:
        """The run with another number of generations to go to, written into its configuration.

        Raises UsageError if that is less than is done, if the run cannot go on, or if another process holds it.
        """
        configuration = dataclasses.replace(self.configuration, generations=generations)
        with self.held():
            now = self.newest(strategy)
            if now is not None and generations < now.generation:
                raise UsageError(
                    f"--generations is {generations}, but {now.generation} generations of {quoted(self.folder)} are "
                    f"done; give {now.generation} or more."
                )
            target, best = configuration.target, None if now is None else now.best
            if target is not None and best is not None and best >= target:
                # Who asks for more generations of a run that has reached its target does not want to stop there again.
                configuration = dataclasses.replace(configuration, target=None)
            content = _json_of(with_code_copied(configuration, self.folder))
            write_file("The configuration", self.folder / "config.json", content)
        return Run(self.folder, configuration)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for one process; raises UsageError if another holds it, or if no run can go on there."""
        self._check_folder()
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout as e:
            raise UsageError(f"Another process is working on the run {quoted(self.folder)}.") from e
        except OSError as e:
            raise UsageError(f"The run {quoted(self.folder)} cannot be written: {reason_of(e)}.") from e
        try:
            yield
        except WriteError as e:
            raise RunError(
                f"{e} What was written before is intact: mend that, then go on with --resume {quoted(self.folder)}."
            ) from e
        finally:
            lock.release()

    def _check_folder(self) -> None:
        for path in (self.folder / name for name in FILES):
            # Opening a pipe would wait for its other end.
            if path.exists() and not path.is_file():
                raise UsageError(f"{quoted(path)} is not a file; move it away, so that the run can have one there.")
        # Behind a link lies what may be another run's.
        if self.checkpoints.is_symlink() or not self.checkpoints.is_dir():
            raise UsageError(f"{quoted(self.checkpoints)} is not a folder of the run's own; put its checkpoints there.")
        for path in (self.folder, self.checkpoints):
            if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                read_only = hasattr(os, "statvfs") and os.statvfs(path).f_flag & os.ST_RDONLY
                why = os.strerror(errno.EROFS) if read_only else "change its permissions"
                raise UsageError(f"{quoted(path)} may not be read or written: {why}.")

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder as ``held`` does, swept inside and beside, with a log."""
        with self.held(), self._logged():
            sweep_beside(self.folder)
            for folder in (self.folder, self.checkpoints):
                with writing("The run folder", folder):
                    sweep(folder)
            yield

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        with writing("The log", self.folder / "log.txt"):
            handler = _Log(self.folder / "log.txt", encoding="utf-8", errors="backslashreplace")
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
            with contextlib.suppress(OSError):
                handler.close()


class _Log(logging.FileHandler):
    """A log that is silent about a full disk, which is told of what is missed more."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def _metrics_of(text: bytes) -> dict[str, Any] | None:
    """The metrics that a line holds, None for one that no run wrote."""
    try:
        line: dict[str, Any] = json.loads(text)
        scores = [line["fitness_mean"], line["fitness_best"], line["fitness_deviation"], line.get("validation")]
        ours = type(line["generation"]) is int and not any(math.isnan(score) for score in scores if score is not None)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return line if ours else None


def _free(names: Iterable[str]) -> Path:
    """The first of the paths at which nothing is."""
    return next(path for path in map(Path, names) if not os.path.lexists(path))


def _json_of(configuration: Configuration) -> bytes:
    return (json.dumps(configuration.to_json(), indent=2) + "\n").encode()


def create_run(configuration: Configuration, folder: Path | None, first: Checkpoint | None = None) -> Run:
    """Make a run's folder, which appears whole, by rename, with what evolution starts from: its first checkpoint.

    The user's own code is copied there, and remembered as what they train with. By default the folder is
    ``runs/<task>-<n>`` with the first n that is free. Raises UsageError if it exists or cannot be made; nothing is left
    behind then.
    """
    if folder is not None and os.path.lexists(user_path("--run", folder)):
        raise _exists(folder)
    configuration = signed(configuration)
    remember(configuration)
    base = Path("runs", configuration.task.rpartition(":")[2].replace("/", "-"))
    numbered = (base.with_name(f"{base.name}-{number}") for number in itertools.count(1))
    path = user_path("The run folder", folder or base)
    missing = [parent for parent in path.parents if not parent.exists()]

    def tidy() -> None:
        for parent in missing:
            # With the run in it, it stays.
            with contextlib.suppress(OSError):
                parent.rmdir()

    with undone(tidy):
        try:
            with building_beside(path) as built:
                (built / "checkpoints").mkdir(parents=True)
                saved = with_code_copied(configuration, built)
                if first is not None:
                    checkpoints.save(built / "checkpoints", first, configuration)
                write_file("The configuration", built / "config.json", _json_of(saved))
                made = _renamed(built, numbered if folder is None else [folder])
                flush_folder(made.parent)
        except (OSError, WriteError) as e:
            refused = e if isinstance(e, OSError) else e.refused
            raise UsageError(
                f"The run folder {quoted(folder or base)} cannot be made: {reason_of(refused)}; choose another with "
                "--run."
            ) from e
        finally:
            tidy()
    return Run(made, with_code_found(saved, made, _called(made)), (made, *missing))


def _renamed(built: Path, folders: Iterable[Path]) -> Path:
    """The first of the folders that is free, which the one that was built becomes; raises UsageError if none is."""
    for folder in folders:
        if os.path.lexists(folder):
            continue
        try:
            os.rename(built, folder)
        except OSError as e:
            # Two runs may begin at the same time: whoever comes first has the name.
            if e.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            return folder
    raise _exists(folder)


def _exists(folder: Path) -> UsageError:
    hint = " Continue it with --resume, or choose another folder." if (folder / "config.json").exists() else ""
    return UsageError(f"The run folder {quoted(folder)} exists.{hint}")


def open_run(folder: str | Path, *, trust_code: bool = False) -> Run:
    """A run that exists, or what is kept of that of an agent that comes with metahebb, by its name.

    Raises UsageError if the folder is not one, and for a run with Python code that this user has not trained with,
    unless ``trust_code``.
    """
    run = read_run(folder)
    found = with_code_found(run.configuration, run.folder, _called(run.folder), trust_code=trust_code)
    return dataclasses.replace(run, configuration=found)


def read_run(folder: str | Path) -> Run:
    """As ``open_run``, of a run that is looked at only: its code is neither found nor refused."""
    folder = located("The run", folder)
    if not folder.is_dir():
        raise UsageError(f"There is no run folder {quoted(folder)}{not_found(folder)}")
    if not user_path("The run", folder / "config.json").exists():
        raise UsageError(f"{quoted(folder)} is not a run: it has no config.json.")
    return Run(folder, read_configuration(folder / "config.json"))


def _called(folder: Path) -> str:
    return f"The run {quoted(folder)}"
