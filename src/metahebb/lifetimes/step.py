"""One step of lives: what a network does between two steps of its world, whatever the kind of that world."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from metahebb.networks import Network, Plasticity, State
from metahebb.perturbations import UNDISTURBED, Disturbed, Program
from metahebb.readouts import Readout

__all__ = ["Look", "Seen", "Step", "seen_by", "step"]


class Look(enum.Enum):
    """How much of each step is to be seen: what nobody looks at is not copied."""

    NOTHING = "nothing"
    SIGNALS = "all but the networks"
    ALL = "all"


class Seen(NamedTuple):
    """What a recording shows of a step; the lives are the first axis of every leaf."""

    observation: jax.Array
    """[lives, …], as the networks saw it"""
    activities: tuple[jax.Array, ...]
    """float32 [lives, neurons] of each layer, inputs first"""
    action: jax.Array
    """[lives, …], as the world is given it"""
    acted: State | None
    """the networks as they acted; None where only signals are looked at"""


class Step(NamedTuple):
    """What comes of a step; the lives are the first axis of every leaf."""

    state: State
    """the networks after it"""
    action: jax.Array
    """[lives, …], for the world"""
    finite: jax.Array
    """bool [lives]: whether the outputs are finite; a life whose outputs are not has diverged, and is over"""
    disturbed: Disturbed | None
    """what goes on disturbing the lives"""
    conditions: Mapping[str, jax.Array]
    """those of the world's conditions that perturbations change, float32 [lives] each"""
    seen: Seen | None
    """for recordings; None where nobody looks, or it would be copied at every step"""


def step(
    network: Network,
    readout: Readout,
    plasticity: Plasticity,
    state: State,
    observation: jax.Array,
    program: Program = UNDISTURBED,
    disturbed: Disturbed | None = None,
    normal: Mapping[str, float] | None = None,
) -> Step:
    """Sense observations [lives, …], act, then learn. Pure, to be compiled; ``state.age`` [lives] is the lives' age.

    This is the one definition of a step. Perturbations (``program``, with what is ``normal`` in the world) change what
    is observed, the weights, how much is learned, and the action. The world's step follows, and nothing of it is
    learned from.
    """
    observation, disturbed = program.sense(disturbed, state.age, observation)
    acted = program.weigh(network, disturbed, state)
    activities = network.act(plasticity, acted, observation)
    finite = jnp.isfinite(activities[-1]).all(axis=-1)
    # Worlds are given numbers even from a life that has diverged.
    action = program.move(disturbed, state.age, readout(jnp.where(finite[:, None], activities[-1], 0)))
    learned = network.learn(plasticity, acted, activities, program.rates(disturbed, state))
    conditions = program.conditions(disturbed, state.age, normal or {})
    return Step(learned, action, finite, disturbed, conditions, Seen(observation, activities, action, acted))


def seen_by(look: Look, seen: Seen | None) -> Seen | None:
    """What of a step is looked at."""
    if seen is None or look is Look.NOTHING:
        return None
    return seen if look is Look.ALL else seen._replace(acted=None)
