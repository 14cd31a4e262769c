"""What a run and its workers tell each other: every kind of message, written by one function and read by another.

========== ======================================= ==========================================================
from run   fields; arrays                          what the worker does
========== ======================================= ==========================================================
start      configuration, render, slots            builds task and network; answers ``ready``
population a MirroredPopulation's fields; mean     the mirrored population that later lives belong to
live       lives, first (with genomes); genomes    lives them; answers ``lived`` as they end
sum        unit, first, last; weights              adds up the noise of pairs; answers ``summed``
record     life; genome                            lives one life; answers ``moment`` a step, then ``recorded``
drop                                               forgets the lives that it has; answers ``dropped``
========== ======================================= ==========================================================

A worker that cannot go on says ``failed``, and all say ``beat`` every second (``supervision``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from metahebb.configuration import Configuration, configuration_from_json
from metahebb.evolution.messages import Message
from metahebb.evolution.noise import NoiseShape
from metahebb.evolution.populations import FilterScale, MirroredPopulation
from metahebb.lifetimes.lives import Life, Outcome
from metahebb.lifetimes.recorder import Rows, To
from metahebb.lifetimes.slots import Moment
from metahebb.perturbations import Perturbation

__all__ = [
    "AHEAD",
    "GenomeOf",
    "Start",
    "Sum",
    "live_message",
    "lived_message",
    "moment_message",
    "population_message",
    "read_live",
    "read_lived",
    "read_moment",
    "read_population",
    "read_ready",
    "read_record",
    "read_start",
    "read_sum",
    "read_summed",
    "ready_message",
    "record_message",
    "start_message",
    "sum_message",
    "summed_message",
    "unanswered_message",
]


class Start(NamedTuple):
    """What a worker is for."""

    configuration: Configuration
    render: bool
    """whether its world makes pictures"""
    slots: int | None
    """how many lives an accelerator is to live at once; None on a CPU, where the task says how many"""
    variants: Sequence[Sequence[Perturbation | str]] = ((),)
    """what may disturb lives (``Life.variant``)"""
    keep_rewards: bool = False
    """whether outcomes have the reward of each step"""
    record: To | None = None
    """where lives are recorded; None where they are not"""


def start_message(start: Start) -> Message:
    """The first message of all."""
    variants = [[str(perturbation) for perturbation in variant] for variant in start.variants]
    configuration = start.configuration.to_json()
    return Message("start", {**start._asdict(), "configuration": configuration, "variants": variants})


def read_start(message: Message) -> Start:
    """What a ``start`` says; variants are texts, since only the world knows all kinds of perturbations."""
    configuration = configuration_from_json(message.fields["configuration"], "the parent's message")
    variants = tuple(tuple(variant) for variant in message.fields["variants"])
    record = None if message.fields["record"] is None else To(*message.fields["record"])
    return Start(**{**message.fields, "configuration": configuration, "variants": variants, "record": record})


def ready_message(slots: int, recorded: Mapping[str, Rows]) -> Message:
    """That a worker is ready: how many slots it has, and the arrays that it records."""
    return Message("ready", {"slots": slots, "recorded": recorded})


def read_ready(message: Message) -> tuple[int, dict[str, Rows]]:
    """(slots, recorded arrays) of a ``ready``."""
    recorded = {name: Rows(tuple(shape), *rest) for name, (shape, *rest) in message.fields["recorded"].items()}
    return message.fields["slots"], recorded


def population_message(population: MirroredPopulation) -> Message:
    """The population that lives without genomes belong to, from now on."""
    fields = {name: getattr(population, name) for name in ("sigma", "seed", "generation", "filter_scale", "shape")}
    return Message("population", fields, {"mean": population.mean, "fixed": population.fixed})


def read_population(message: Message) -> MirroredPopulation:
    """What a ``population`` says."""
    mean, fixed = (message.arrays[name].copy() for name in ("mean", "fixed"))
    filter_scale = FilterScale(*message.fields["filter_scale"])
    rank, matrices = message.fields["shape"]
    shape = NoiseShape(rank, tuple((rows, columns) for rows, columns in matrices))
    return MirroredPopulation(mean, **{**message.fields, "filter_scale": filter_scale, "shape": shape}, fixed=fixed)


GenomeOf: TypeAlias = Callable[[int], np.ndarray]
"""a member's flat genome, float32 [parameters]"""


def live_message(lives: Sequence[Life], genomes: np.ndarray | GenomeOf | None = None) -> Message:
    """Lives to live; ``genomes`` float32 [members, parameters] or by member, or None for those of the population."""
    if genomes is None:
        return Message("live", {"lives": lives})
    members = [life.member for life in lives]
    first, last = min(members), max(members) + 1
    sent = np.stack([genomes(member) for member in range(first, last)]) if callable(genomes) else genomes[first:last]
    return Message("live", {"lives": lives, "first": first}, {"genomes": sent})


def unanswered_message(message: Message, unanswered: Collection[tuple[int, int]]) -> Message:
    """A ``live`` with those of its lives only whose (member, number) is ``unanswered``."""
    left = [life for life in message.fields["lives"] if (life.member, life.number) in unanswered]
    return Message("live", {**message.fields, "lives": left}, message.arrays)


def read_live(message: Message) -> list[tuple[Life, np.ndarray | None]]:
    """The lives of a ``live``, each with its flat genome if that travels with it."""
    lives = [_life(values) for values in message.fields["lives"]]
    if "genomes" not in message.arrays:
        return [(life, None) for life in lives]
    return [(life, message.arrays["genomes"][life.member - message.fields["first"]]) for life in lives]


def lived_message(outcomes: Sequence[Outcome]) -> Message:
    """What came of lives."""
    rewards = [outcome.rewards for outcome in outcomes if outcome.rewards is not None]
    sensed = [outcome.sensed for outcome in outcomes if outcome.sensed is not None]
    fields = {"outcomes": [outcome._replace(rewards=None, sensed=None) for outcome in outcomes]}
    arrays = {"rewards": np.concatenate(rewards)} if rewards else {}
    return Message("lived", fields, arrays | ({"sensed": np.stack(sensed)} if sensed else {}))


def read_lived(message: Message) -> list[Outcome]:
    """The outcomes of a ``lived``."""
    outcomes = [Outcome(*values) for values in message.fields["outcomes"]]
    if "sensed" in message.arrays:
        sensed = message.arrays["sensed"]
        outcomes = [its._replace(sensed=sums.copy()) for its, sums in zip(outcomes, sensed, strict=True)]
    if "rewards" not in message.arrays:
        return outcomes
    ends = itertools.accumulate(outcome.steps for outcome in outcomes)
    rewards = message.arrays["rewards"]
    return [
        its._replace(rewards=rewards[end - its.steps : end].copy()) for its, end in zip(outcomes, ends, strict=True)
    ]


class Sum(NamedTuple):
    """A sum of weighted noise to be made: Σ weight·noise over the ``pairs`` of the population."""

    unit: int
    """the number of the piece of work, by which it is answered"""
    pairs: range
    weights: np.ndarray
    """float32 [pairs]"""


def sum_message(wanted: Sum) -> Message:
    """A sum to be made."""
    fields = {"unit": wanted.unit, "first": wanted.pairs.start, "last": wanted.pairs.stop}
    return Message("sum", fields, {"weights": wanted.weights})


def read_sum(message: Message) -> Sum:
    """What a ``sum`` asks for."""
    fields = message.fields
    return Sum(fields["unit"], range(fields["first"], fields["last"]), message.arrays["weights"])


def summed_message(unit: int, total: np.ndarray) -> Message:
    """A sum that was made, float32 [parameters]."""
    return Message("summed", {"unit": unit}, {"sum": total})


def read_summed(message: Message) -> tuple[int, np.ndarray]:
    """(unit, sum) of a ``summed``."""
    return message.fields["unit"], message.arrays["sum"]


AHEAD = 16
"""Moments that a worker is ahead of who takes them: enough for neither to wait, and little memory with pictures"""


def record_message(genome: np.ndarray, life: Life) -> Message:
    """A life to be recorded, of a flat genome float32 [parameters]; a ``taken`` answers each moment that is taken."""
    return Message("record", {"life": life}, {"genome": genome})


def read_record(message: Message) -> tuple[np.ndarray, Life]:
    """(genome, life) of a ``record``."""
    return message.arrays["genome"], _life(message.fields["life"])


def moment_message(moment: Moment) -> Message:
    """One step of a recorded life."""
    arrays = {"observation": moment.observation, "action": moment.action}
    arrays |= {f"activities.{i}": activities for i, activities in enumerate(moment.activities)}
    arrays |= {f"weights.{i}": weights for i, weights in enumerate(moment.weights)}
    if moment.frame is not None:
        arrays["frame"] = moment.frame
    return Message("moment", {"step": moment.step, "reward": moment.reward}, arrays)


def read_moment(message: Message) -> Moment:
    """The step of a ``moment``."""
    fields, arrays = message.fields, message.arrays
    # The names are in the order of the layers.
    activities, weights = (
        tuple(array for name, array in arrays.items() if name.startswith(part)) for part in ("activities.", "weights.")
    )
    observation, action = arrays["observation"], arrays["action"]
    return Moment(fields["step"], fields["reward"], observation, action, activities, weights, arrays.get("frame"))


def _life(values: Sequence[int | str | Sequence[int]]) -> Life:
    """A life as JSON has it: a list."""
    life = Life(*values)  # type: ignore[arg-type]
    return life._replace(key=(life.key[0], life.key[1]))
