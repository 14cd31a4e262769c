"""Agents: what evolution made, in one file that can be published.

An agent is a safetensors file: the parts of its genome by name, and in its metadata the number of the format, the
configuration, a few facts of its making and a checksum over all of it. Code of a user's own, a rule or environments,
lies beside it as Python files (see ``trust``); no code is ever read from the agent itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from metahebb.assembly import bodies_of, network_of, task_of
from metahebb.configuration import FORMAT, SETTINGS, Configuration, check_format, configuration_from_json
from metahebb.errors import UsageError
from metahebb.files import check_file, user_path, write_file
from metahebb.importing import locate_user_module
from metahebb.networks import Network
from metahebb.shipped import located, not_found
from metahebb.tasks import Task
from metahebb.trust import Code, code_of, copy_code, find_code, signed, split_task, with_code

__all__ = ["Agent", "load_agent", "with_code_copied", "with_code_found"]

logger = logging.getLogger("metahebb")


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

    def living_in(self, morphology: str | None = None, simulator: str | None = None) -> Agent:
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

    def save(self, path: str | Path, *, float16: bool = False) -> None:
        """Write the file, and a user's own code beside it; ``float16`` rounds the genome and halves the file.

        Raises UsageError where other files with the names of the code's lie there, RunError if the disk refuses.
        """
        path = user_path("The agent", path)
        configuration = with_code_copied(self.configuration, path.parent)
        genome = self.genome.astype(np.float16) if float16 else self.genome
        parts = {name: np.asarray(part) for name, part in self.network.unflatten(genome).items()}
        # One entry only: safetensors writes several in any order, and the same agent is to be the same file.
        facts = {"format": FORMAT, "configuration": configuration.to_json(), "record": dict(self.record)}
        # As they are read back: a key may be a number, a value a tuple.
        facts = json.loads(json.dumps(facts))
        facts["sha256"] = _checksum(parts, facts)
        write_file("The agent", path, safetensors.numpy.save(parts, {"metahebb": json.dumps(facts)}))


def with_code_copied(configuration: Configuration, folder: Path) -> Configuration:
    """The configuration as it is written into a folder: its code is copied there and named without its path."""
    return with_code(configuration, copy_code(code_of(configuration), folder))


def with_code_found(
    configuration: Configuration, folder: Path, source: str, *, imports: Sequence[str] = (), trust_code: bool = False
) -> Configuration:
    """The reverse of ``with_code_copied``, for a configuration that ``source`` in ``folder`` says: it can be lived by.

    ``imports`` are the user's own: a file of the same name as one of the configuration's takes its place. Raises
    UsageError for code that is missing, has changed, or is not to be run without ``trust_code``.
    """
    task, modules = split_task(configuration.task)
    code = [*code_of(configuration), *map(Code, modules)]
    located_imports = tuple(map(locate_user_module, SETTINGS["imports"].read(imports)))
    own = code_of(signed(Configuration("", imports=located_imports)))
    given = {Path(its.name).name: its for its in own}
    theirs = [its for its in code if its.rule or Path(its.name).name not in given]
    found = find_code(theirs, folder, source, trust_code)
    for its in code:
        if its not in theirs and its.digest not in (None, given[Path(its.name).name].digest):
            logger.warning("%s was made with another %s; yours is used.", source, Path(its.name).name)
    return with_code(dataclasses.replace(configuration, task=task), [*found, *own])


def load_agent(path: str | Path, *, imports: Sequence[str] = (), trust_code: bool = False) -> Agent:
    """Read an agent's file, the best agent of a run's folder, or an agent that comes with metahebb, by its name.

    ``imports`` are modules or .py files of the user's own environments, which take the place of files of the same names
    beside the agent. Raises UsageError for a file that is missing, cut off, no agent, of another format, or not fit for
    its own network, and for an agent with Python code that this user has not trained with, unless ``trust_code``.
    """
    path = located("The agent", path)
    if path.is_dir():
        agents = [user_path("The agent", path / name) for name in ("best.safetensors", "latest.safetensors")]
        path = next((agent for agent in agents if agent.exists()), path)
        if path.is_dir():
            raise UsageError(f"{str(path)!r} has no agent yet: a run writes one after its first generation.")
    if not path.exists():
        raise UsageError(f"There is no agent or run at {str(path)!r}{not_found(path)}")
    check_file("The agent", path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as e:
        raise UsageError(f"{str(path)!r} is not an agent, or it is cut off: {e}.") from e
    try:
        facts = dict(json.loads(metadata["metahebb"]))
        checksum = facts.pop("sha256", None)
        number, settings, record = facts["format"], facts["configuration"], dict(facts["record"])
    except (KeyError, TypeError, ValueError, RecursionError) as e:
        raise UsageError(f"{str(path)!r} is a safetensors file, but not an agent of metahebb.") from e
    source = f"The agent {str(path)!r}"
    check_format(number, source)
    # The first agents have no checksum, and nothing that is not among these facts.
    if (checksum is not None or len(facts) > 3) and checksum != _checksum(parts, facts):
        raise UsageError(f"{source} is damaged: its checksum differs; take it from where it came from again.")
    configuration = configuration_from_json(settings, source)
    configuration = with_code_found(configuration, path.parent, source, imports=imports, trust_code=trust_code)
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


def _checksum(parts: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> str:
    """SHA-256 over the genome's parts and the facts of an agent's file."""
    checksum = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, part in sorted(parts.items()):
        checksum.update(f"{name} {part.dtype.str} {part.shape}".encode())
        checksum.update(np.ascontiguousarray(part).data)
    return checksum.hexdigest()
