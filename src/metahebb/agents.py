"""Agents: what evolution made, in one file that can be published.

An agent is a safetensors file: the parts of its genome by name, and in its metadata the number of the format, the
configuration and a few facts of its making. A user's rule lies beside it as a Python file, named in the configuration
with its SHA-256; no code is ever read from the agent itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from metahebb.configuration import FORMAT, Configuration, bodies_of, configuration_from_json, network_of, task_of
from metahebb.errors import UsageError
from metahebb.files import check_file, copy_beside, read_file, user_path, write_file
from metahebb.networks import Network
from metahebb.tasks import Task

__all__ = ["Agent", "load_agent"]


@dataclass(frozen=True, eq=False)
class Agent:
    """An evolved genome and all that is needed to live it."""

    configuration: Configuration
    genome: np.ndarray
    """float32 [parameters] (``network.unflatten`` names its parts)"""
    record: Mapping[str, Any] = field(default_factory=dict)
    """facts of its making, such as the generation and the validation score"""

    @cached_property
    def task(self) -> Task:
        """The task that it was evolved for."""
        return task_of(self.configuration)

    @cached_property
    def network(self) -> Network:
        """Its network."""
        return network_of(self.configuration, self.task)

    def elsewhere(self, morphology: str | None = None, simulator: str | None = None) -> Agent:
        """The same agent in another body or another simulator of its task, None for its own.

        Of several bodies that it was evolved in, its own is the first. Raises UsageError for what the task lacks.
        """
        c = self.configuration
        c = dataclasses.replace(c, simulator=simulator or c.simulator)
        chosen = c.morphologies[:1] if morphology is None else (morphology,)
        return dataclasses.replace(
            self, configuration=dataclasses.replace(c, morphologies=bodies_of(task_of(c), chosen))
        )

    @property
    def body(self) -> str:
        """The body that it lives in, empty in a task without bodies."""
        return next(iter(self.configuration.morphologies), "")

    def save(self, path: str | Path) -> None:
        """Write the file, and a user's rule beside it.

        Raises UsageError where another rule's file has that name, RunError if the disk refuses.
        """
        path = user_path("The agent", path)
        configuration = portable(self.configuration, path.parent)
        parts = {name: np.asarray(part) for name, part in self.network.unflatten(self.genome).items()}
        # One entry only: safetensors writes several in any order, and the same agent is to be the same file.
        facts = {"format": FORMAT, "configuration": configuration.to_json(), "record": dict(self.record)}
        write_file("The agent", path, safetensors.numpy.save(parts, {"metahebb": json.dumps(facts)}))


def portable(configuration: Configuration, folder: Path) -> Configuration:
    """The configuration as it is written into a folder: a user's rule is copied there and named without its path."""
    if configuration.static or ":" not in configuration.rule:
        return configuration
    file, _, function = configuration.rule.rpartition(":")
    copy = copy_beside("The rule", Path(file), folder)
    return dataclasses.replace(configuration, rule=f"{copy.name}:{function}")


def located(configuration: Configuration, folder: Path) -> Configuration:
    """The reverse of ``portable``: finds a user's rule in ``folder``; raises UsageError if it is not the same file."""
    if configuration.static or ":" not in configuration.rule or Path(configuration.rule).is_absolute():
        return configuration
    file, _, function = configuration.rule.rpartition(":")
    path = user_path("The rule", folder / file).resolve()
    if not path.is_file():
        raise UsageError(f"The rule {configuration.rule!r} needs the file {str(path)!r}, which is not there.")
    found = dataclasses.replace(configuration, rule=f"{path}:{function}")
    if configuration.rule_digest not in (None, hashlib.sha256(read_file("The rule", path)).hexdigest()):
        raise UsageError(f"The file {str(path)!r} of rule {configuration.rule!r} has changed since it was evolved.")
    return found


def load_agent(path: str | Path) -> Agent:
    """Read an agent's file, or the best agent of a run's folder.

    Raises UsageError for a file that is missing, cut off, no agent, of another format, or not fit for its own network.
    """
    path = user_path("The agent", path)
    if path.is_dir():
        agents = [user_path("The agent", path / name) for name in ("best.safetensors", "latest.safetensors")]
        path = next((agent for agent in agents if agent.exists()), path)
        if path.is_dir():
            raise UsageError(f"{str(path)!r} has no agent yet: a run writes one after its first generation.")
    if not path.exists():
        raise UsageError(f"There is no agent or run at {str(path)!r}.")
    check_file("The agent", path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as e:
        raise UsageError(f"{str(path)!r} is not an agent, or it is cut off: {e}.") from e
    try:
        facts = json.loads(metadata["metahebb"])
        number, settings, record = facts["format"], facts["configuration"], facts["record"]
    except (KeyError, TypeError, ValueError, RecursionError) as e:
        raise UsageError(f"{str(path)!r} is a safetensors file, but not an agent of metahebb.") from e
    if number != FORMAT:
        raise UsageError(f"The agent {str(path)!r} has format {number!r}; this version reads format {FORMAT}.")
    configuration = located(configuration_from_json(settings, f"The agent {str(path)!r}"), path.parent)
    agent = Agent(configuration, np.empty(0, np.float32), record)
    shapes = {name: part.shape for name, part in parts.items()}
    if shapes != {name: tuple(shape) for name, shape in agent.network.genome.items()}:
        raise UsageError(
            f"The agent {str(path)!r} does not fit its own network: "
            f"task {configuration.task!r} may have changed its spaces since it was evolved."
        )
    genome = agent.network.flatten(parts)
    if not np.isfinite(genome).all():
        raise UsageError(f"The agent {str(path)!r} contains numbers that are not finite.")
    return dataclasses.replace(agent, genome=genome)
