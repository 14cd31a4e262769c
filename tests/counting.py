"""The smallest task with all that can be perturbed, in a host and in a traced world.

Step t is observed as (t + 1, 10 (t + 1)); two actions; the reward is their sum and the wind. A life is 12 steps.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from metahebb.encoders import VectorEncoder
from metahebb.lifetimes import make_slots
from metahebb.lifetimes.lives import Life, Outcome, life_of
from metahebb.lifetimes.slots import Moment, Slots
from metahebb.networks import Network
from metahebb.perturbations import Perturbations, parse_perturbation
from metahebb.rules import load_rule
from metahebb.seeds import Stream
from metahebb.tasks import Task
from metahebb.worlds import Condition, HostWorld, TracedStep, TracedWorld

STEPS = 12
OBSERVATION = gymnasium.spaces.Box(-1e9, 1e9, (2,))
ACTION = gymnasium.spaces.Box(-1e9, 1e9, (2,))
WIND = MappingProxyType({"wind": Condition("A wind, in rewards", 0.0, least=-5, most=5)})
FACTORS = np.array([1.0, 10.0], np.float32)


class HostCounting(HostWorld):
    """Counts on the host."""

    observation_space, action_space, conditions = OBSERVATION, ACTION, WIND

    def __init__(self, slots: int) -> None:
        self.steps, self.wind = np.zeros(slots), np.zeros(slots)

    def reset(self, slot: int, seed: int, body: str = "") -> np.ndarray:
        self.steps[slot] = self.wind[slot] = 0
        return FACTORS

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.steps[slots] += 1
        seen = (self.steps[slots, None] + 1).astype(np.float32) * FACTORS
        return seen, actions.sum(1).astype(np.float64) + self.wind[slots], self.steps[slots] >= STEPS

    def set_condition(self, slot: int, name: str, value: float | str) -> None:
        assert name == "wind"
        self.wind[slot] = value


class TracedCounting(TracedWorld):
    """Counts in JAX."""

    observation_space, action_space, conditions = OBSERVATION, ACTION, WIND

    def reset(self, seeds: np.ndarray) -> tuple[jax.Array, jax.Array]:
        return jnp.zeros(len(seeds)), jnp.tile(jnp.asarray(FACTORS), (len(seeds), 1))

    def step(self, state: Any, action: jax.Array) -> TracedStep:
        return self.step_under(state, action, {})

    def step_under(self, state: Any, action: jax.Array, conditions: Mapping[str, jax.Array]) -> TracedStep:
        steps = state + 1
        reward = action.sum(1) + conditions.get("wind", 0.0)
        return TracedStep(steps, (steps[:, None] + 1) * FACTORS, reward, steps >= STEPS)


@dataclass(frozen=True)
class Plain:
    """Outputs are actions."""

    outputs: int = 2

    def __call__(self, outputs: jax.Array) -> jax.Array:
        return outputs


WORLDS = {"host": HostCounting, "traced": lambda slots: TracedCounting()}
NETWORK = Network(
    VectorEncoder(2), 2, load_rule("A"), hidden=(3,), activation="linear", initial_weights="uniform", normaliser="none"
)
RATE = 1e-4
GENOME = np.full(NETWORK.parameters, RATE, np.float32)


def task_in(kind: str, slots: int = 3) -> Task:
    """The task in one of the worlds."""
    return Task(
        "counting",
        NETWORK.encoder,
        Plain(),
        lambda slots, render: WORLDS[kind](slots),
        frames_per_second=None,
        longest=STEPS,
        slots=slots,
    )


def slots_in(kind: str, *variants: tuple[str, ...], network: Network = NETWORK, slots: int = 3) -> Slots:
    """Slots that know these variants, of texts."""
    task = task_in(kind, slots)
    parsed = [parsed_all(*variant) for variant in variants] or [()]
    return make_slots(network, task, task.make_world(slots, False), parsed, keep_rewards=True)


def parsed_all(*texts: str) -> Perturbations:
    return tuple(parse_perturbation(text, WIND) for text in texts)


def life(number: int = 0, variant: int = 0) -> Life:
    """A life; each number has random numbers of its own."""
    return life_of(number, number, 5, Stream.EVALUATION, variant=variant)


@functools.cache
def _kept(kind: str, *variants: tuple[str, ...], network: Network) -> Slots:
    """Slots, all of them free: to compile what they do takes seconds."""
    return slots_in(kind, *variants, network=network)


def recorded(
    kind: str,
    *texts: str,
    network: Network = NETWORK,
    number: int = 0,
    among: tuple[tuple[str, ...], ...] = (),
) -> list[Moment]:
    """The moments of a life that is disturbed, in slots that know the variants ``among`` which it is, if any."""
    genome = np.full(network.parameters, RATE, np.float32)
    variants = among or (texts,)
    return list(_kept(kind, *variants, network=network).record(genome, life(number, variants.index(texts))))


def lived(slots: Slots, lives: list[Life]) -> dict[int, Outcome]:
    """What comes of lives of different numbers side by side, by number."""
    waiting, outcomes = list(lives), {}
    while waiting or len(slots.living):
        for slot in slots.free[: len(waiting)]:
            slots.place(slot, GENOME, waiting.pop(0))
        for outcome in slots.advance():
            outcomes[outcome.number] = outcome
    return outcomes


def static() -> Network:
    """The same network with weights that are evolved."""
    return dataclasses.replace(NETWORK, rule=None)
