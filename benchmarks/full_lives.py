"""The task ``car-racing-in-full``: ``car-racing`` whose lives all last 1,000 steps, as an evolved agent's do.

For ``--import``: it is there once this module is imported.
"""

from __future__ import annotations

import dataclasses

import jax

from metahebb.tasks import Options, Task, car_racing, register_task
from metahebb.worlds import TracedStep

NAME = "car-racing-in-full"


class FullLives(car_racing.TracedLives):
    """Lives that end with their last step and not before."""

    def step(self, state: car_racing.LifeState, action: jax.Array) -> TracedStep:
        """Advance all lives by one step."""
        after = super().step(state, action)
        return after._replace(ended=after.state.steps >= car_racing.STEPS)


def make(options: Options) -> Task:
    """The task."""
    return dataclasses.replace(car_racing.make(options), name=NAME, make_world=lambda slots, render: FullLives())


register_task(NAME, make)
