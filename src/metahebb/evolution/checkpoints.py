"""Checkpoints: all that a run needs to go on as if it had never stopped.

A checkpoint is a safetensors file with the leaves of the strategy's state, and in its metadata the number of
generations done, the best validation score so far, the settings that the state depends on, and a checksum. It appears
by rename. A damaged one is passed over; one of other settings is refused.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
import safetensors.numpy

from metahebb.configuration import Configuration
from metahebb.errors import UsageError, quoted
from metahebb.evolution.strategies import Strategy
from metahebb.files import write_file
from metahebb.observations import Sensed

__all__ = ["Checkpoint", "load_newest", "save"]

logger = logging.getLogger("metahebb")

KEPT = 3
"""How many of the newest checkpoints stay."""

MAY_CHANGE = ("generations", "target")
"""The settings that only say when a run ends."""

_NAME = re.compile(r"([0-9]{6,18})\.safetensors")


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
    sensed: Sensed | None = None
    """what lives have observed, where networks normalise it"""


def save(folder: Path, checkpoint: Checkpoint, configuration: Configuration) -> None:
    """Write a checkpoint, then delete those that are no longer kept; raises WriteError if the disk refuses."""
    leaves = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(checkpoint.state))}
    facts: dict[str, Any] = {
        "generation": checkpoint.generation,
        "best": checkpoint.best,
        "barren": checkpoint.barren,
    }
    if checkpoint.sensed is not None:
        facts["sensed"] = [np.asarray(values).tolist() for values in checkpoint.sensed]
    about = {"facts": facts, "begun": checkpoint.state is not None, "settings": _settings(configuration)}
    about["checksum"] = _checksum(leaves, about)
    content = safetensors.numpy.save(leaves, {"metahebb": json.dumps(about)})
    write_file("The checkpoint", folder / f"{checkpoint.generation:06d}.safetensors", content)
    # Those beyond this one are damaged, or it would not have been made: they must not push it out.
    for old in [path for path in _newest_first(folder) if _number(path) <= checkpoint.generation][KEPT:]:
        if old.is_file():
            old.unlink(missing_ok=True)


def load_newest(folder: Path, strategy: Strategy, configuration: Configuration) -> Checkpoint | None:
    """The newest checkpoint that is whole, None where there is none; those that are damaged are named in a warning.

    Raises UsageError if all are damaged, or if the newest that is whole was made with other settings.
    """
    paths = _newest_first(folder)
    for path in paths:
        try:
            leaves, about = _read(path)
        except (safetensors.SafetensorError, OSError, LookupError, TypeError, ValueError, RecursionError) as e:
            logger.warning("Checkpoint %s is damaged (%s); going back to the one before.", path.name, e)
            continue
        _check_settings(path, about.get("settings"), _settings(configuration))
        facts = about["facts"]
        state = _state(path, leaves, strategy) if about["begun"] else None
        sensed = None
        if "sensed" in facts:
            steps, total, squares = facts["sensed"]
            sensed = Sensed(steps, np.array(total), np.array(squares))
        return Checkpoint(facts["generation"], state, facts["best"], facts["barren"], sensed)
    if paths:
        raise UsageError(f"{quoted(folder)} has no checkpoint that is whole; start a new run.")
    return None


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The leaves and what is said about them; raises one of several errors for what is no whole checkpoint."""
    if not path.is_file():
        raise ValueError("it is not a file")
    with safetensors.safe_open(path, framework="numpy") as file:
        about = dict(json.loads(file.metadata()["metahebb"]))
        leaves = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if about.pop("checksum") != _checksum(leaves, about):
        raise ValueError("its checksum differs")
    facts, best = about["facts"], about["facts"]["best"]
    counts = [facts["generation"], facts["barren"]]
    if not all(type(count) is int and 0 <= count < 2**63 for count in counts) or type(about["begun"]) is not bool:
        raise ValueError("it does not say how many generations are done")
    if best is not None and not (isinstance(best, float) and math.isfinite(best)):
        raise ValueError("its best score is no number")
    return leaves, about


def _settings(configuration: Configuration) -> dict[str, Any]:
    """The settings that a state depends on, as JSON values; files by their names alone, since runs are moved."""
    settings: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(configuration)))
    for name in MAY_CHANGE:
        del settings[name]
    settings["rule"] = Path(settings["rule"]).name
    settings["imports"] = [Path(module).name for module in settings["imports"]]
    return settings


def _check_settings(path: Path, its: dict[str, Any] | None, now: dict[str, Any]) -> None:
    # The first versions wrote none.
    if its is None:
        return
    # A setting that the version of the checkpoint did not have was what is now its default.
    its = _settings(Configuration(now["task"])) | its
    changed = [name for name in now if its[name] != now[name]]
    if changed:
        was = ", ".join(f"{name} {_short(its[name])} (now {_short(now[name])})" for name in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise UsageError(
            f"Checkpoint {quoted(path)} was made with other settings than config.json has now: {was}{more}. "
            "Put back the config.json that belongs to it, or start a new run."
        )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _state(path: Path, leaves: dict[str, np.ndarray], strategy: Strategy) -> Any:
    """The strategy's state; raises UsageError where the leaves are not those of such a state."""
    template, structure = jax.tree.flatten(strategy.template())
    names = [str(i) for i in range(len(template))]
    if leaves.keys() != set(names) or not all(
        _fits(leaves[name], like) for name, like in zip(names, template, strict=True)
    ):
        raise UsageError(
            f"Checkpoint {quoted(path)} is whole, but not of the search that config.json describes: another run's, or "
            "config.json was changed. Put back what belongs together, or start a new run."
        )
    restored = [
        leaves[name].item() if _is_number(like) else leaves[name] for name, like in zip(names, template, strict=True)
    ]
    return jax.tree.unflatten(structure, restored)


def _is_number(like: Any) -> bool:
    return isinstance(like, float | int)


def _fits(leaf: np.ndarray, like: Any) -> bool:
    if leaf.shape != np.shape(like):
        return False
    # A setting such as lr may have been given as a whole number.
    return leaf.dtype.kind in "if" if _is_number(like) else bool(leaf.dtype == like.dtype)


def _checksum(leaves: dict[str, np.ndarray], about: dict[str, Any]) -> int:
    """Of all that is restored: the leaves, what they are, and the facts about them."""
    types = [(leaves[str(i)].dtype.str, leaves[str(i)].shape) for i in range(len(leaves))]
    checksum = zlib.crc32(json.dumps([about, types]).encode())
    for i in range(len(leaves)):
        checksum = zlib.crc32(leaves[str(i)].tobytes(), checksum)
    return checksum


def _number(path: Path) -> int:
    return int(path.name.partition(".")[0])


def _newest_first(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=_number, reverse=True)
