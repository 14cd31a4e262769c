"""``car-racing``: the paper's vision task. A new random track each life, 1,000 steps at most.

Fitness is the sum of the rewards: 1000/N for each of the track's N tiles, −0.1 a step, −100 for leaving the field. A
life ends early after more than 20 consecutive steps of negative reward.

=========== ======================== ================================================
observation uint8 [96, 96, 3]        the view from above, the indicators at the bottom
action      tanh of output 0         steering, −1 left … 1 right
action      sigmoid of output 1      gas
action      sigmoid of output 2      brake
=========== ======================== ================================================

The simulator is ours, written in JAX; ``--simulator gymnasium`` lives the same task in the original.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from metahebb.encoders import ImageEncoder
from metahebb.errors import UsageError, unknown
from metahebb.tasks.task import ENVIRONMENTAL, IMAGE_SETTINGS, Options, Task
from metahebb.worlds import HostWorld, TracedStep, TracedWorld
from metahebb.worlds.car_racing import CarRacing
from metahebb.worlds.gymnasium import GymnasiumWorld, make_environment

__all__ = ["NAME", "make"]

NAME = "car-racing"
STEPS = 1000
SLOTS = 8
"""their coefficients stay in the cache: a life's step takes 165 µs, with 16 slots 205"""
PATIENCE = 20
"""consecutive steps of negative reward that a life survives"""
SEARCH = {
    "coefficients": "float16",
    "population": 200,
    "sigma": 0.2,
    "sigma_decay": 0.98,
    "sigma_minimum": 0.03,
    "noise_rank": 1,
    "shaping": "scores",
    "lr": 0.2,
    "lr_decay": 0.965,
    "lr_minimum": 0.003,
    "decay_steps": 200_000,
}
"""how to evolve in a fraction of the published steps: docs/results.md has what was tried"""


@dataclass(frozen=True)
class CarReadout:
    """tanh for steering, the logistic function for gas and brake (Najarro & Risi 2020)."""

    outputs: int = 3

    def __str__(self) -> str:
        return "steering, gas, brake"

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Outputs [lives, 3] → actions, float32 [lives, 3]."""
        steer, gas, brake = outputs[:, 0], outputs[:, 1], outputs[:, 2]
        return jnp.stack([jnp.tanh(steer), jax.nn.sigmoid(gas), jax.nn.sigmoid(brake)], axis=1)


class LifeState(NamedTuple):
    """A world's lives, and how long each has gone on and gone badly."""

    world: Any
    steps: jax.Array
    """int32 [lives]"""
    bad: jax.Array
    """consecutive steps of negative reward, int32 [lives]"""


class TracedLives(TracedWorld):
    """Lives of the task in a traced CarRacing, with its limit of steps and its early end."""

    together = True

    def __init__(self) -> None:
        self._world = CarRacing()
        self.conditions = self._world.conditions
        self.observation_space = self._world.observation_space
        self.action_space = self._world.action_space

    def reset(self, seeds: np.ndarray, bodies: Sequence[str] = ()) -> tuple[LifeState, jax.Array]:
        """Begin lives (see ``TracedWorld``)."""
        state, observation = self._world.reset(seeds)
        zero = jnp.zeros(len(seeds), jnp.int32)
        return LifeState(state, zero, zero), observation

    def step(self, state: LifeState, action: jax.Array) -> TracedStep:
        """Advance all lives by one step."""
        return _counted(state, self._world.step(state.world, action))

    def step_under(self, state: LifeState, action: jax.Array, conditions: Mapping[str, jax.Array]) -> TracedStep:
        """Advance all lives by one step under other conditions."""
        return _counted(state, self._world.step_under(state.world, action, conditions))

    def render(self, state: LifeState, slot: int) -> np.ndarray:
        """The original's big view, uint8 [400, 600, 3]."""
        return self._world.render(state.world, slot)


def _counted(before: LifeState, after: TracedStep) -> TracedStep:
    """A step of the world as one of the task: with its limit of steps and its early end."""
    steps, bad = before.steps + 1, jnp.where(after.reward < 0, before.bad + 1, 0)
    ended = after.ended | (steps >= STEPS) | (bad > PATIENCE)
    return after._replace(state=LifeState(after.state, steps, bad), ended=ended)


class HostLives(GymnasiumWorld):
    """Lives of the task in Gymnasium's CarRacing-v3."""

    def __init__(self, slots: int, render: bool) -> None:
        super().__init__(lambda: make_environment("CarRacing-v3", {}, render=render), slots)
        self._bad = np.zeros(slots, int)

    def reset(self, slot: int, seed: int, body: str = "") -> np.ndarray:
        """Begin a life (see ``HostWorld``)."""
        self._bad[slot] = 0
        return super().reset(slot, seed)

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step the lives of ``slots``."""
        observations, rewards, ended = super().step(slots, actions)
        self._bad[slots] = np.where(rewards < 0, self._bad[slots] + 1, 0)
        return observations, rewards, ended | (self._bad[slots] > PATIENCE)


def make(options: Options) -> Task:
    """The task; raises UsageError for a simulator that there is not, or whose package is missing."""
    simulators = ("jax", "gymnasium")
    if options.simulator not in (None, *simulators):
        raise unknown("simulator", str(options.simulator), simulators)
    if options.environmental:
        raise UsageError(f"Task {NAME!r} is the paper's; {ENVIRONMENTAL} are for gymnasium:<id>.")
    if options.simulator == "gymnasium":
        make_environment("CarRacing-v3", {}).close()

    def world(slots: int, render: bool) -> TracedWorld | HostWorld:
        return HostLives(slots, render) if options.simulator == "gymnasium" else TracedLives()

    return Task(
        NAME,
        ImageEncoder(96, 96, 3),
        CarReadout(),
        world,
        slots=SLOTS,
        frames_per_second=50,
        longest=STEPS,
        settings={**IMAGE_SETTINGS, **SEARCH},
    )
