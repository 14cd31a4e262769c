"""Lives in a world written in JAX: stretches of all lives run inside one ``lax.scan``."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from metahebb.lifetimes.lives import Life, Outcome
from metahebb.lifetimes.slots import Moment, Slots, compiler_options
from metahebb.networks import Network
from metahebb.tasks import Task
from metahebb.worlds import TracedWorld
from metahebb.worlds.traced import put_life

__all__ = ["TracedSlots"]


class TracedSlots(Slots):
    """Slots over a ``TracedWorld``.

    A life that ends within a stretch drives on, unheeded, until the stretch is over.
    """

    STRETCH = 10
    """steps between which lives may end and begin: a stretch costs 0.1 ms to call, an early end half of one"""

    def __init__(self, network: Network, task: Task, world: TracedWorld) -> None:
        super().__init__(network, task)
        self._world = world
        self._stretch = _compiled_stretch(network, task.readout, world, self.STRETCH)
        self._moment = _compiled_stretch(network, task.readout, world, 1)
        # Some life has to begin for the states' shapes to be known.
        self._states = jax.tree.map(lambda leaf: jnp.repeat(leaf, task.slots, axis=0), world.reset(np.zeros(1, int)))
        self._newborn: tuple[int, Any] | None = None

    def _begin(self, slot: int, life: Life) -> None:
        # The members of a mirrored pair begin in the same world, one after the other.
        if self._newborn is None or self._newborn[0] != life.world:
            self._newborn = life.world, self._world.reset(np.array([life.world]))
        self._states = put_life(self._states, self._newborn[1], np.int32(slot))

    def advance(self) -> list[Outcome]:
        if not len(living := self.living):
            return []
        _, rewards, over = self._run(self._stretch)
        return self._account(living, rewards, over)

    def record(self, genome: np.ndarray, life: Life, render: bool = False) -> Iterator[Moment]:
        self.place(0, genome, life)
        while self._lives[0] is not None:
            weights = tuple(np.asarray(layer.weights[0]) for layer in self._weights)
            activities, rewards, over = self._run(self._moment)
            step = int(self._age[0])
            self._account(np.array([0]), rewards, over)
            frame = self._world.render(self._states[0], 0) if render else None
            yield Moment(step, float(rewards[0, 0]), tuple(np.asarray(a[0, 0]) for a in activities), weights, frame)

    def _run(self, stretch: Any) -> tuple[Any, np.ndarray, np.ndarray]:
        (self._weights, *states), (activities, rewards, over) = stretch(self._plasticity, self._weights, *self._states)
        self._states = tuple(states)
        return activities, np.asarray(rewards), np.asarray(over)

    def _account(self, living: np.ndarray, rewards: np.ndarray, over: np.ndarray) -> list[Outcome]:
        """Add up rewards [steps, slots] until a life is ``over``; the lives that ended."""
        outcomes = []
        for slot in living:
            ends = np.flatnonzero(over[:, slot])
            steps = ends[0] + 1 if len(ends) else len(over)
            self._fitness[slot] += rewards[:steps, slot].sum(dtype=np.float64)
            self._age[slot] += steps
            if len(ends):
                outcomes.append(self._end(int(slot)))
        return outcomes


def _compiled_stretch(network: Network, readout: Any, world: TracedWorld, length: int) -> Any:
    """So many steps of all lives: (activities of a single step or nothing, rewards, ends), each [steps, lives, …]."""

    @functools.partial(jax.jit, donate_argnums=(1, 2, 3), compiler_options=dict(compiler_options()))
    def stretch(plasticity: Any, weights: Any, state: Any, observation: jax.Array) -> Any:
        def step(carry: Any, _: None) -> Any:
            weights, state, observation = carry
            activities = network.act(plasticity, weights, observation)
            finite = jnp.isfinite(activities[-1]).all(axis=-1)
            action = readout(jnp.where(finite[:, None], activities[-1], 0))
            state, observation, reward, ended = world.step(state, action)
            weights = network.learn(plasticity, weights, activities)
            reward = jnp.where(finite, reward, jnp.nan)
            over = ended | ~jnp.isfinite(reward)
            return (weights, state, observation), (activities if length == 1 else (), reward, over)

        return jax.lax.scan(step, (weights, state, observation), None, length=length)

    return stretch
