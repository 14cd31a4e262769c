"""Checkpoints: all that a run needs to go on as if it had never stopped.

A checkpoint is a safetensors file with the leaves of the strategy's state, and in its metadata the number of
generations done, the best validation score so far and a checksum. It appears by rename; a damaged one is passed over.
"""

from __future__ import annotations

import json
import logging
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
import safetensors.numpy

from metahebb.errors import RunError
from metahebb.evolution.strategies import Strategy
from metahebb.files import replacing, writing

__all__ = ["Checkpoint", "load_newest", "save"]

logger = logging.getLogger("metahebb")

KEPT = 3
"""How many of the newest checkpoints stay."""


class Checkpoint(NamedTuple):
    """A moment between two generations."""

    generation: int
    """how many generations are done"""
    state: Any
    """the strategy's"""
    best: float | None = None
    """the best validation score so far"""
    barren: int = 0
    """how many generations in a row had no finite fitness"""


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, then delete those that are no longer kept; raises RunError if the disk refuses."""
    leaves = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(checkpoint.state))}
    facts = {"generation": checkpoint.generation, "best": checkpoint.best, "barren": checkpoint.barren}
    about = {"facts": facts, "begun": checkpoint.state is not None}
    about["checksum"] = _checksum(leaves, about)
    path = folder / f"{checkpoint.generation:06d}.safetensors"
    with writing("The checkpoint", path), replacing(path) as temporary:
        safetensors.numpy.save_file(leaves, temporary, {"metahebb": json.dumps(about)})
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def load_newest(folder: Path, strategy: Strategy) -> Checkpoint:
    """The newest checkpoint that is whole; those that are damaged are named in a warning.

    Raises RunError if none is.
    """
    for path in _newest_first(folder):
        try:
            return _load(path, strategy)
        except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as e:
            logger.warning("Checkpoint %s is damaged (%s); going back to the one before.", path.name, e)
    raise RunError(f"{str(folder)!r} has no checkpoint that is whole.")


def _load(path: Path, strategy: Strategy) -> Checkpoint:
    with safetensors.safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["metahebb"])
        leaves = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if about.pop("checksum") != _checksum(leaves, about):
        raise ValueError("its checksum differs")
    state = None
    if about["begun"]:
        template, structure = jax.tree.flatten(strategy.template())
        state = jax.tree.unflatten(structure, [_as(leaves[str(i)], like) for i, like in enumerate(template)])
    return Checkpoint(state=state, **about["facts"])


def _as(leaf: np.ndarray, like: Any) -> Any:
    return leaf.item() if isinstance(like, float | int) else leaf


def _checksum(leaves: dict[str, np.ndarray], about: dict[str, Any]) -> int:
    """Of all that is restored: the leaves, what they are, and the facts about them."""
    types = [(leaves[str(i)].dtype.str, leaves[str(i)].shape) for i in range(len(leaves))]
    checksum = zlib.crc32(json.dumps([about, types]).encode())
    for i in range(len(leaves)):
        checksum = zlib.crc32(leaves[str(i)].tobytes(), checksum)
    return checksum


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.safetensors"), reverse=True)
