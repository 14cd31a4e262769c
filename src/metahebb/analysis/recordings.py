"""Recordings of lives: what was observed, done, rewarded, active and weighed in them, in a folder in zarr's format.

A recording is a group of zarr's third format, which xarray and others open too. With L lives, S the steps of the
longest and W the moments (every so many steps) at which weights were kept, its arrays are

============== =============================== ========================================================================
observations   [L, S, …]                       as the network saw them
actions        [L, S, …]                       as the world was given them
rewards        float32 [L, S]                  of each step
activities_0 … float32 [L, S, neurons]         of each layer, the inputs first
weights_0 …    float32 [L, W, inputs, outputs] of each plastic layer, as the step's forward pass saw them
weights_step   int64 [W]                       the steps of those weights
length         int64 [L]                       the steps of each life; beyond them numbers are NaN, or 0 where integers
fitness        float64 [L]                     the sum of its rewards; not finite where it diverged
seed           int64 [L]                       of its world
============== =============================== ========================================================================

and its attributes say whose lives they are: ``configuration``, ``record``, ``seed``, ``random_rules``, ``body``,
``perturbations``, ``every``, ``float16``, ``versions``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from metahebb.agents import Agent
from metahebb.api import agent_of, check_lives, live_randomly, needs_of_pool
from metahebb.configuration import Configuration, configuration_from_json
from metahebb.errors import UsageError, quoted
from metahebb.evolution.runs import RECORDED_VERSIONS, Run
from metahebb.evolution.training import live_agent
from metahebb.evolution.workers import Workers
from metahebb.files import flush_folder, temporary_beside, user_path, writing
from metahebb.interrupts import undone
from metahebb.lifetimes.lives import Life, Outcome, life_of
from metahebb.lifetimes.recorder import Rows, To, fill_of
from metahebb.perturbations import Perturbation, perturbations_for
from metahebb.resources import check_memory, needs_of_lives
from metahebb.seeds import Stream
from metahebb.settings import Whole

__all__ = ["Recording", "open_recording", "record"]

FORMAT = 1
"""The number of the recordings' format."""
IMAGES = BloscCodec(cname="lz4", clevel=1, shuffle="noshuffle", typesize=1)
"""how chunks of images are compressed (``lifetimes.recorder``)"""


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording on the disk; ``group`` has its arrays, of which nothing is read before it is asked for."""

    path: Path
    group: zarr.Group

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Whose lives they are, and how they were lived."""
        return self.group.attrs.asdict()

    @cached_property
    def configuration(self) -> Configuration:
        """Of the agent."""
        return configuration_from_json(self.attributes["configuration"], quoted(self.path))

    @cached_property
    def length(self) -> np.ndarray:
        """The steps of each life, int64 [lives]."""
        return np.asarray(self.group["length"])

    @cached_property
    def fitness(self) -> np.ndarray:
        """float64 [lives]; not finite where a life diverged."""
        return np.asarray(self.group["fitness"])

    @cached_property
    def rewards(self) -> np.ndarray:
        """float32 [lives, steps]; NaN beyond a life's end."""
        return np.asarray(self.group["rewards"])

    @cached_property
    def weights_step(self) -> np.ndarray:
        """The steps at which weights were kept, int64 [moments]."""
        return np.asarray(self.group["weights_step"])

    @property
    def layers(self) -> int:
        """How many plastic layers there are."""
        return sum(name.startswith("weights_") for name in self.group.array_keys()) - 1

    @property
    def perturbations(self) -> tuple[str, ...]:
        """What disturbed the lives, as it was given."""
        return tuple(self.attributes["perturbations"])

    @property
    def name(self) -> str:
        """What the lives have in common, in a few words."""
        what = "weights" if self.configuration.static else "rules"
        return f"{'random' if self.attributes['random_rules'] else 'evolved'} {what}"

    def weights(self, layer: int, life: int, moment: int | slice = slice(None)) -> np.ndarray:
        """The weights [(moments,) inputs, outputs] of a layer in a life; moments beyond its end are left out."""
        kept = -(-int(self.length[life]) // int(self.attributes["every"]))
        rows = self.group[f"weights_{layer}"][life, :kept]  # type: ignore[index]
        return np.asarray(rows)[moment]


def open_recording(path: str | Path) -> Recording:
    """Open a recording; raises UsageError for a folder that is none."""
    folder = user_path("The recording", path)
    try:
        group = zarr.open_group(str(folder), mode="r", zarr_format=3)
        number = group.attrs["metahebb_recording"]
    except Exception as e:
        missing = "is not there" if not folder.exists() else "is none; `metahebb record` makes them"
        raise UsageError(f"The recording {quoted(folder)} {missing}.") from e
    if number != FORMAT:
        raise UsageError(f"{quoted(folder)} has format {number!r}; this version of metahebb reads format {FORMAT}.")
    return Recording(folder, group)


def record(
    agent: Agent | Run | str | Path,
    folder: str | Path,
    lives: int = 10,
    *,
    every: int = 10,
    float16: bool = False,
    seed: int = 0,
    morphology: str | None = None,
    simulator: str | None = None,
    random_rules: bool = False,
    perturb: Sequence[str | Perturbation] = (),
    imports: Sequence[str] = (),
    trust_code: bool = False,
    workers: int | None = None,
    lived: Callable[[Outcome], None] | None = None,
) -> Recording:
    """Record an agent's lives, those that an evaluation with ``seed`` lives first, into a new folder (zarr).

    Weights are kept ``every`` so many steps, everything else at each; ``float16`` rounds weights and activities. The
    other parameters are those of ``evaluate``. The folder appears whole, or not at all. Raises UsageError, with nothing
    written, for a folder that exists or a recording that the disk may not hold; RunError for a failure at work.
    """
    lives, seed, workers = check_lives(lives, seed, workers)
    every = Whole(1).read("every", every)
    path = _check_new_folder(folder)
    agent = agent_of(agent, imports, trust_code).living_in(morphology, simulator)
    waiting = needs_of_lives("lives", lives, lives, "lower --lives")
    check_memory([*waiting, *needs_of_pool(agent.configuration, agent.task, agent.network, workers)])
    fresh = [life_of(0, number, seed, Stream.EVALUATION, body=agent.body) for number in range(lives)]
    variant = perturbations_for(perturb, agent.task, agent.network)
    temporary = temporary_beside(path.absolute())
    to = To(str(temporary), every, float16, agent.task.longest)
    with Workers(agent.configuration, workers, variants=[variant], record=to) as pool:
        pool.wait()
        _check_disk(path, pool.recorded, to, lives)
        with _appearing(path, temporary):
            with writing("The recording", path):
                for name in pool.recorded:
                    (temporary / name).mkdir(parents=True)
            if random_rules:
                outcomes = live_randomly(pool, agent, fresh, seed, lived)
            else:
                outcomes = live_agent(pool, agent, fresh, lived)
            with writing("The recording", path):
                attributes = {
                    "metahebb_recording": FORMAT,
                    "configuration": agent.configuration.to_json(),
                    "record": dict(agent.record),
                    "seed": seed,
                    "random_rules": random_rules,
                    "body": agent.body,
                    "perturbations": [str(perturbation) for perturbation in variant],
                    "every": every,
                    "float16": float16,
                    "versions": {"python": platform.python_version(), **{n: version(n) for n in RECORDED_VERSIONS}},
                }
                _describe(temporary, pool.recorded, fresh, outcomes, every, attributes)
    return open_recording(path)


def _describe(
    folder: Path,
    recorded: Mapping[str, Rows],
    lives: Sequence[Life],
    outcomes: Sequence[Outcome],
    every: int,
    attributes: Mapping[str, Any],
) -> None:
    """Write down what the arrays are, whose chunks are there, and what came of the lives."""
    group = zarr.create_group(str(folder), attributes=dict(attributes))
    steps = max(outcome.steps for outcome in outcomes)
    moments = -(-steps // every)
    for name, rows in recorded.items():
        weighed = name.startswith("weights")
        group.create_array(
            name,
            shape=(len(lives), moments if weighed else steps, *rows.shape),
            chunks=(1, rows.chunk, *rows.shape),
            dtype=rows.dtype,
            fill_value=fill_of(rows.dtype),
            compressors=IMAGES if rows.compressed else None,
            filters=None,
            chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=["life", "weights_step" if weighed else "step", *_dimensions(name, len(rows.shape))],
        )
    plain = {
        "length": ("life", np.array([outcome.steps for outcome in outcomes], np.int64)),
        "fitness": ("life", np.array([outcome.fitness for outcome in outcomes], np.float64)),
        "seed": ("life", np.array([life.world for life in lives], np.int64)),
        "weights_step": ("weights_step", every * np.arange(moments)),
    }
    for name, (dimension, values) in plain.items():
        group.create_array(name, data=values, dimension_names=[dimension])


def _dimensions(name: str, many: int) -> list[str]:
    """The names of a row's dimensions; what has the same name has the same size."""
    kind, _, layer = name.partition("_")
    if kind == "activities":
        return [f"neuron_{layer}"]
    if kind == "weights":
        return [f"neuron_{layer}", f"neuron_{int(layer) + 1}"]
    return [f"{kind}_{i}" for i in range(many)]


def _check_new_folder(folder: str | Path) -> Path:
    path = user_path("The recording", folder)
    parent = path.absolute().parent
    if os.path.lexists(path):
        raise UsageError(f"The recording {quoted(path)} exists; choose another name, or delete it first.")
    if not parent.is_dir():
        raise UsageError(f"The recording {quoted(path)} has no folder to lie in: make {quoted(path.parent)} first.")
    if not os.access(parent, os.W_OK):
        raise UsageError(f"The recording {quoted(path)} may not be written there; choose another folder.")
    return path


def _check_disk(path: Path, recorded: Mapping[str, Rows], to: To, lives: int) -> None:
    """Raise UsageError where the lives, if all go on to the end, would fill the disk; what has no end is let begin."""
    size = 0
    for name, rows in recorded.items():
        many = -(-(to.longest or 1) // (to.every if name.startswith("weights") else 1))
        size += lives * -(-many // rows.chunk) * rows.chunk * rows.size
    free = shutil.disk_usage(path.absolute().parent).free
    if size > free:
        raise UsageError(
            f"The recording {quoted(path)} of {lives:,} lives may take {size / 2**30:,.1f} GiB, and the disk has "
            f"{free / 2**30:,.1f}: lower --lives, raise --every, or round with --float16."
        )


@contextlib.contextmanager
def _appearing(path: Path, temporary: Path) -> Iterator[None]:
    """A temporary folder that takes its name when the block ends without an error, and is gone otherwise."""

    def remove() -> None:
        # Workers may still write into it: under another name they no longer find it.
        doomed = temporary_beside(path.absolute())
        with contextlib.suppress(OSError):
            os.rename(temporary, doomed)
        for attempt in itertools.count():
            shutil.rmtree(doomed, ignore_errors=True)
            if not doomed.exists() or attempt == 5:
                break
            time.sleep(0.02)

    with undone(remove):
        try:
            yield
            with writing("The recording", path):
                if os.path.lexists(path):
                    raise UsageError(f"The recording {quoted(path)} has come to exist meanwhile; choose another name.")
                os.rename(temporary, path)
                flush_folder(path.absolute().parent)
        finally:
            if temporary.exists():
                remove()
