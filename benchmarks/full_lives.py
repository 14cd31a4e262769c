"""Tasks whose lives all last as long as an evolved agent's do, and Brax's ant as the notebook of EvoJAX has it.

For ``--import``: they are there once this module is imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from metahebb.encoders import VectorEncoder
from metahebb.tasks import Options, Task, car_racing, make_task, quadruped, register_task
from metahebb.worlds import TracedStep, TracedWorld
from metahebb.worlds.quadruped import LIFE_ACTIONS

NAME = "car-racing-in-full"
QUADRUPED = "quadruped-in-full"
ANT = "brax-ant-87"
ANT_INPUTS = 87
"""Brax's ant showed so many numbers in 2021, where it shows 27 now"""


class FullLives(car_racing.TracedLives):
    """Lives of 1,000 steps that end with their last step and not before."""

    def step(self, state: car_racing.LifeState, action: jax.Array) -> TracedStep:
        """Advance all lives by one step."""
        after = super().step(state, action)
        return after._replace(ended=after.state.steps >= car_racing.STEPS)


class FullWalks(quadruped.TracedQuadrupedLives):
    """Lives of 960 actions, whatever becomes of the robot."""

    def step(self, state: quadruped.TracedLivesState, action: jax.Array) -> TracedStep:
        """Advance all lives by one step."""
        after = super().step(state, action)
        return after._replace(reward=jnp.nan_to_num(after.reward), ended=after.state.progress.actions >= LIFE_ACTIONS)


class Widened(TracedWorld):
    """A world whose observations are followed by zeros."""

    def __init__(self, world: TracedWorld) -> None:
        self._world, self.together = world, world.together
        self.observation_space, self.action_space = world.observation_space, world.action_space

    def reset(self, seeds: np.ndarray, bodies: Sequence[str] = ()) -> tuple[Any, jax.Array]:
        """Begin lives (see ``TracedWorld``)."""
        state, observation = self._world.reset(seeds)
        return state, _widened(observation)

    def step(self, state: Any, action: jax.Array) -> TracedStep:
        """Advance all lives by one step."""
        after = self._world.step(state, action)
        return after._replace(observation=_widened(after.observation))


def _widened(observation: jax.Array) -> jax.Array:
    return jnp.pad(observation, ((0, 0), (0, ANT_INPUTS - observation.shape[1])))


def make(options: Options) -> Task:
    """CarRacing."""
    return dataclasses.replace(car_racing.make(options), name=NAME, make_world=lambda slots, render: FullLives())


def make_quadruped(options: Options) -> Task:
    """The quadruped in MJX, in its two bodies."""
    from metahebb.worlds.quadruped.mjx import MjxQuadruped

    task = quadruped.make_mujoco(dataclasses.replace(options, simulator=quadruped.MJX))
    return dataclasses.replace(task, name=QUADRUPED, make_world=lambda slots, render: FullWalks(MjxQuadruped()))


def make_ant(options: Options) -> Task:
    """Brax's ant."""
    task = make_task("brax:ant", options)

    def world(slots: int, render: bool) -> TracedWorld:
        made = task.make_world(slots, render)
        assert isinstance(made, TracedWorld)
        return Widened(made)

    return dataclasses.replace(task, name=ANT, encoder=VectorEncoder(ANT_INPUTS), make_world=world)


register_task(NAME, make)
register_task(QUADRUPED, make_quadruped)
register_task(ANT, make_ant)
