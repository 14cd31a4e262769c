"""One step of lives: what a network does between two steps of its world, whatever the kind of that world."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from metahebb.networks import Network, Plasticity, State
from metahebb.readouts import Readout

__all__ = ["Step", "step"]


class Step(NamedTuple):
    """What comes of a step; the lives are the first axis of every leaf."""

    state: State
    """the networks after it"""
    activities: tuple[jax.Array, ...]
    """float32 [lives, neurons] of each layer, inputs first"""
    action: jax.Array
    """[lives, …], for the world"""
    finite: jax.Array
    """bool [lives]: whether the outputs are finite; a life whose outputs are not has diverged, and is over"""
    acted: State | None
    """the networks as they acted, for recordings; None where nobody looks, or it would be copied at every step"""


def step(network: Network, readout: Readout, plasticity: Plasticity, state: State, observation: jax.Array) -> Step:
    """Act on observations [lives, …], then learn. Pure, to be compiled; ``state.age`` [lives] is the lives' age.

    This is the one definition of a step. What disturbs a life belongs here: its plasticity, its weights and what it
    senses before ``act``, what it does after the readout. The world's step follows, and nothing of it is learned from.
    """
    # A recording shows this state: whatever disturbs the weights replaces it.
    acted = state
    activities = network.act(plasticity, acted, observation)
    finite = jnp.isfinite(activities[-1]).all(axis=-1)
    # Worlds are given numbers even from a life that has diverged.
    action = readout(jnp.where(finite[:, None], activities[-1], 0))
    return Step(network.learn(plasticity, acted, activities), activities, action, finite, acted)
