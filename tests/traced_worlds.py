"""A traced world that compiles in no time, as a task: for ``--import``."""

from __future__ import annotations

import gymnasium
import jax
import jax.numpy as jnp

from metahebb.encoders import VectorEncoder
from metahebb.readouts import readout_for
from metahebb.tasks import Options, Task, register_task
from metahebb.worlds.traced import VmappedWorld

NAME = "draws"


def draw_to_a_sum(limit: float) -> VmappedWorld:
    """Draws are added up until they reach a limit: a world whose lives last differently long."""

    def reset(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        first = jax.random.uniform(key)
        return first[None], first

    def step(key: jax.Array, state: jax.Array, action: jax.Array) -> tuple[jax.Array, ...]:
        after = state + jax.random.uniform(key)
        return jnp.sin(after)[None], after, action[0] * after, after > limit

    return VmappedWorld(reset, step, gymnasium.spaces.Box(-1, 1, (1,)), gymnasium.spaces.Box(-1, 1, (1,)))


def make(options: Options) -> Task:
    """The task."""
    world = draw_to_a_sum(20)
    return Task(NAME, VectorEncoder(1), readout_for(world.action_space), lambda slots, render: world, slots=40)


register_task(NAME, make)
