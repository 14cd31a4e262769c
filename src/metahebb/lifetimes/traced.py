"""Lives in a world written in JAX: stretches of all lives run inside one ``lax.scan``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from metahebb.lifetimes.births import MOST, Unborn, compiled_place_all, put_lives, up_to_a_size
from metahebb.lifetimes.lives import Life, Outcome
from metahebb.lifetimes.slots import Alone, Slots, compiler_options
from metahebb.lifetimes.step import step
from metahebb.networks import Network, Plasticity, State
from metahebb.readouts import Readout
from metahebb.tasks import Task
from metahebb.worlds import TracedWorld
from metahebb.worlds.traced import put_life, reset_lives

__all__ = ["TracedSlots"]

WorldState: TypeAlias = Any
"""Any pytree of arrays [lives, …]: what a world makes of it is the world's own affair."""


Begun: TypeAlias = tuple[WorldState, jax.Array]
"""The worlds of lives, and what is observed in them."""


class Lives(NamedTuple):
    """All slots between two steps; the lives are the first axis of every leaf."""

    state: State
    world: WorldState
    observation: jax.Array


class Stretch(NamedTuple):
    """What is seen of some steps; the steps are the first axis of every leaf."""

    acted: State | None
    """the networks as they acted; of a single step only, as the activities: no one asks for more"""
    activities: tuple[jax.Array, ...]
    """float32 [steps, lives, neurons] of each layer"""
    rewards: jax.Array
    """float32 [steps, lives]; NaN where the network has diverged"""
    over: jax.Array
    """bool [steps, lives]: the life has ended"""


class TracedSlots(Slots):
    """Slots over a ``TracedWorld``.

    A life that ends within a stretch drives on, unheeded, until the stretch is over.
    """

    STRETCH = 10
    """Steps of a stretch. Each call costs 0.1 ms however few they are; but the longer a stretch is, the longer a slot
    whose life ends within it waits for its next, half a stretch on average."""

    def __init__(self, network: Network, task: Task, world: TracedWorld) -> None:
        super().__init__(network, task)
        self._world = world
        self._stretch = _compiled_stretch(network, task.readout, world, self.STRETCH)
        self._single = _compiled_stretch(network, task.readout, world, 1)
        # Some life has to begin for the shapes to be known.
        one = world.reset(np.zeros(1, int))
        self._worlds: Begun = jax.tree.map(lambda leaf: jnp.repeat(leaf, task.slots, axis=0), one)
        self._newest: tuple[tuple[int, str], Begun] | None = None
        self._together = jax.default_backend() != "cpu"
        self._place_all = compiled_place_all(network)
        self._unborn: list[Unborn] = []
        """lives that begin together as soon as any is advanced"""

    def place(self, slot: int, genome: np.ndarray, life: Life) -> None:
        """Begin a life in a free slot (see ``Slots``)."""
        if not self._together:
            super().place(slot, genome, life)
            return
        self._unborn.append(Unborn(slot, genome, life))
        self._take(slot, genome, life)

    def weights(self, slot: int) -> tuple[np.ndarray, ...]:
        """The weights of a slot's network (see ``Slots``)."""
        self._begin_all()
        return super().weights(slot)

    def _begin_all(self) -> None:
        while self._unborn:
            some, self._unborn = self._unborn[:MOST], self._unborn[MOST:]
            padded = up_to_a_size(some)
            slots = np.array([one.slot for one in padded], np.int32)
            genomes = np.stack([one.genome for one in padded])
            keys = np.array([one.life.key for one in padded], np.uint32)
            self._plasticity, self._state = self._place_all(self._plasticity, self._state, slots, genomes, keys)
            if self._world.together:
                lives = [one.life for one in padded]
                begun = reset_lives(self._world, [life.world for life in lives], [life.body for life in lives])
                self._worlds = put_lives(self._worlds, begun, slots)
            else:
                for one in some:
                    self._begin(one.slot, one.life)

    def _begin(self, slot: int, life: Life) -> None:
        # The members of a mirrored pair begin in the same world, one after the other.
        place = life.world, life.body
        if self._newest is None or self._newest[0] != place:
            self._newest = place, reset_lives(self._world, [life.world], [life.body])
        self._worlds = put_life(self._worlds, self._newest[1], np.int32(slot))

    def advance(self) -> list[Outcome]:
        living = self.living
        if not len(living):
            return []
        seen = self._run(self._stretch)
        return [self._end(slot) for slot in self._account(living, seen)]

    def _live_alone(self, slot: int) -> Alone:
        seen = self._run(self._single)
        over = self._account(np.array([slot]), seen)
        acted, activities = jax.tree.map(lambda leaf: leaf[0], (seen.acted, seen.activities))
        return Alone(acted, activities, float(seen.rewards[0, slot]), bool(over))

    def _picture(self, slot: int) -> np.ndarray:
        return self._world.render(self._worlds[0], slot)

    def _run(self, stretch: _Run) -> Stretch:
        self._begin_all()
        after, seen = stretch(self._plasticity, Lives(self._state, *self._worlds))
        self._state, self._worlds = after.state, (after.world, after.observation)
        return seen

    def _account(self, living: np.ndarray, seen: Stretch) -> list[int]:
        """Add up the rewards of the ``living`` slots until a life is over; the slots whose lives are."""
        rewards, over = np.asarray(seen.rewards), np.asarray(seen.over)
        ended = []
        for slot in living.tolist():
            ends = np.flatnonzero(over[:, slot])
            steps = ends[0] + 1 if len(ends) else len(over)
            self._fitness[slot] += rewards[:steps, slot].sum(dtype=np.float64)
            self._age[slot] += steps
            if len(ends):
                ended.append(slot)
        return ended


_Run = Callable[[Plasticity, Lives], tuple[Lives, Stretch]]


def _compiled_stretch(network: Network, readout: Readout, world: TracedWorld, length: int) -> _Run:
    """So many steps of all lives."""

    @functools.partial(jax.jit, donate_argnums=1, compiler_options=dict(compiler_options()))
    def stretch(plasticity: Plasticity, lives: Lives) -> tuple[Lives, Stretch]:
        def live(lives: Lives, _: None) -> tuple[Lives, Stretch]:
            lived = step(network, readout, plasticity, lives.state, lives.observation)
            after = world.step(lives.world, lived.action)
            reward = jnp.where(lived.finite, after.reward, jnp.nan)
            over = after.ended | ~jnp.isfinite(reward)
            seen = Stretch(lived.acted, lived.activities, reward, over)
            if length > 1:
                seen = seen._replace(acted=None, activities=())
            return Lives(lived.state, after.state, after.observation), seen

        return jax.lax.scan(live, lives, None, length=length)

    return stretch
