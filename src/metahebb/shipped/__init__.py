"""Agents that come with metahebb: a folder here each, whose name is taken wherever an agent or a run is.

======================== =======================================================================
best.safetensors         the agent; its genome may be rounded to float16
config.json              the configuration of the run that it is of
metrics.jsonl            a line per generation of that run
record.json              how it was made, and what it scores
======================== =======================================================================

A folder has the layout of a run's, so that whatever reads a run reads it. ``python -m benchmarks.ship`` makes one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metahebb.configuration import Configuration, read_configuration
from metahebb.errors import nearest
from metahebb.files import user_path

__all__ = [
    "FOLDER", "RECORD", "Shipped", "is_shipped", "located", "not_found", "shipped", "shipped_agents", "shipped_names",
]  # fmt: skip

FOLDER = Path(__file__).parent
RECORD = "record.json"


@dataclass(frozen=True)
class Shipped:
    """An agent that comes with metahebb."""

    name: str
    folder: Path
    configuration: Configuration
    record: Mapping[str, Any]
    """``command``, ``hardware`` and ``versions`` of the run; its ``generations``, ``steps`` and ``minutes``; the
    ``evaluation`` of the agent as it is here: ``lives``, their ``seed``, ``body``, ``simulator`` and what they scored;
    and, where the genome is rounded, what these lives score ``without_rounding``"""

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


def shipped_names() -> list[str]:
    """The names of the agents that come with metahebb."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{RECORD}"))


def shipped(name: str) -> Shipped:
    """An agent that comes with metahebb, by its name."""
    folder = FOLDER / name
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return Shipped(name, folder, read_configuration(folder / "config.json"), record)


def shipped_agents() -> list[Shipped]:
    """All agents that come with metahebb."""
    return [shipped(name) for name in shipped_names()]


def is_shipped(folder: Path) -> bool:
    """Whether a folder is that of an agent that comes with metahebb."""
    return folder.parent == FOLDER


def located(what: str, given: str | os.PathLike[str]) -> Path:
    """The path of an agent or a run that a user gave: a shipped agent's folder for its name, if nothing lies there.

    Raises UsageError for what cannot be a path.
    """
    path = user_path(what, given)
    return FOLDER / path if not path.exists() and os.fspath(path) in shipped_names() else path


def not_found(path: Path) -> str:
    """The rest of a sentence about a path at which nothing is: of shipped agents, where it could be meant for a name of
    one."""
    if len(path.parts) != 1 or path.suffix:
        return "."
    if near := nearest(path.name, shipped_names()):
        return f"; did you mean {near!r}, which comes with metahebb (`metahebb agents`)?"
    return ", and none with this name comes with metahebb (`metahebb agents`)."
