"""Lives in a world written in JAX: stretches of all lives run inside one ``lax.scan``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from metahebb.lifetimes.lives import Life, Outcome
from metahebb.lifetimes.recorder import To
from metahebb.lifetimes.slots import Alone, Slots, compiler_options, normal_in
from metahebb.lifetimes.step import Look, Seen, seen_by, step
from metahebb.networks import Network, Plasticity, State
from metahebb.perturbations import UNDISTURBED, Disturbed, Perturbations, Program
from metahebb.readouts import Readout
from metahebb.tasks import Task
from metahebb.worlds import TracedWorld
from metahebb.worlds.traced import put_life, reset_lives

__all__ = ["TracedSlots"]

WorldState: TypeAlias = Any
"""Any pytree of arrays [lives, …]: what a world makes of it is the world's own affair."""


LONGEST_STRETCH = 25
"""steps of a stretch that is recorded: what is seen of all of them is held"""

Begun: TypeAlias = tuple[WorldState, jax.Array]
"""The worlds of lives, and what is observed in them."""


class Lives(NamedTuple):
    """All slots between two steps; the lives are the first axis of every leaf."""

    state: State
    world: WorldState
    observation: jax.Array


class Stretch(NamedTuple):
    """What is seen of some steps; the steps are the first axis of every leaf."""

    seen: Seen | None
    """as much of it as was to be seen"""
    observed: jax.Array | None
    """[steps, lives, …], where networks normalise observations"""
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

    def __init__(
        self,
        network: Network,
        task: Task,
        world: TracedWorld,
        variants: Sequence[Perturbations] = ((),),
        keep_rewards: bool = False,
        record: To | None = None,
        mesh: Mesh | None = None,
    ) -> None:
        super().__init__(network, task, variants, keep_rewards, record)
        self._world = world
        # Weights are read between two stretches.
        lengths = [self.STRETCH] if record is None else _stretches_within(record.every)
        self._lengths = itertools.cycle(lengths)
        self._look = Look.NOTHING if record is None else Look.SIGNALS
        # Each is compiled when it is first called.
        self._stretches = {
            (length, look, program): _compiled_stretch(network, task.readout, world, length, look, program, mesh)
            for length, look in ((1, Look.ALL), *((length, self._look) for length in lengths))
            for program in (UNDISTURBED, self._program)
        }
        # Some life has to begin for the shapes to be known.
        one = world.reset(np.zeros(1, int))
        self._worlds: Begun = jax.tree.map(lambda leaf: jnp.repeat(leaf, task.slots, axis=0), one)
        self._newest: tuple[tuple[int, str], Begun] | None = None
        self._disturb(one[1][0])
        self._make_recorder(self._worlds[1])

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
        self._record_weights(living)
        stretch = self._run(living, next(self._lengths), self._look)
        return [self._end(slot) for slot in self._account(living, stretch)]

    def _live_alone(self, slot: int) -> Alone:
        living = np.array([slot])
        stretch = self._run(living, 1, Look.ALL)
        over = self._account(living, stretch)
        return Alone(
            jax.tree.map(lambda leaf: np.asarray(leaf)[0], stretch.seen), float(stretch.rewards[0, slot]), bool(over)
        )

    def _picture(self, slot: int) -> np.ndarray:
        return self._world.render(self._worlds[0], slot)

    def _run(self, living: np.ndarray, length: int, look: Look) -> Stretch:
        """So many steps of all slots, of which the ``living`` matter."""
        perturbed = self._perturbed(living, length)
        run = self._stretches[length, look, self._program if perturbed else UNDISTURBED]
        after, disturbed, stretch = run(
            self._plasticity, Lives(self._state, *self._worlds), self._disturbed if perturbed else None
        )
        self._state, self._worlds = after.state, (after.world, after.observation)
        if self._disturbed is not None and disturbed is not None:
            self._disturbed = self._disturbed._replace(memory=disturbed.memory)
        return stretch

    def _account(self, living: np.ndarray, seen: Stretch) -> list[int]:
        """Add up the rewards of the ``living`` slots until a life is over; the slots whose lives are."""
        rewards, over = np.asarray(seen.rewards)[:, living], np.asarray(seen.over)[:, living]
        steps = np.where(over.any(axis=0), over.argmax(axis=0) + 1, len(over))
        counted = np.arange(len(over))[:, None] < steps
        self._fitness[living] += np.where(counted, rewards, 0).sum(axis=0, dtype=np.float64)
        self._age[living] += steps
        signals = None if self._recorder is None else jax.tree.map(np.asarray, seen.seen)
        observed = None if seen.observed is None else np.asarray(seen.observed)
        for i, (slot, lived) in enumerate(zip(living.tolist(), steps.tolist(), strict=True)):
            if self._rewards is not None:
                self._keep(slot, rewards[:lived, i])
            if signals is not None:
                self._record_steps(slot, signals, rewards[:lived, i])
            if observed is not None:
                self._sense(slot, observed[:lived, slot])
        ended: list[int] = living[over.any(axis=0)].tolist()
        return ended


_Run = Callable[[Plasticity, Lives, Disturbed | None], tuple[Lives, Disturbed | None, Stretch]]


def _stretches_within(every: int) -> list[int]:
    """The steps of stretches that make ``every`` together, of two lengths at most.

    Lives begin between two stretches. Where the same ones follow each other again and again, every so many steps of any
    life end between two as well.
    """
    count = math.ceil(every / LONGEST_STRETCH)
    return [every // count + (at < every % count) for at in range(count)]


def _compiled_stretch(
    network: Network,
    readout: Readout,
    world: TracedWorld,
    length: int,
    look: Look,
    program: Program,
    mesh: Mesh | None,
) -> _Run:
    """So many steps of all lives; each device of a mesh advances its share of them."""
    normal = dict(normal_in(world))

    def stretch(
        plasticity: Plasticity, lives: Lives, disturbed: Disturbed | None
    ) -> tuple[Lives, Disturbed | None, Stretch]:
        def live(before: tuple[Lives, Disturbed | None], _: None) -> tuple[tuple[Lives, Disturbed | None], Stretch]:
            lives, disturbed = before
            lived = step(network, readout, plasticity, lives.state, lives.observation, program, disturbed, normal)
            if lived.conditions:
                after = world.step_under(lives.world, lived.action, lived.conditions)
            else:
                after = world.step(lives.world, lived.action)
            reward = jnp.where(lived.finite, after.reward, jnp.nan)
            over = after.ended | ~jnp.isfinite(reward)
            observed = lives.observation if network.normalise_observations else None
            seen = Stretch(seen_by(look, lived.seen), observed, reward, over)
            return (Lives(lived.state, after.state, after.observation), lived.disturbed), seen

        (lives, disturbed), seen = jax.lax.scan(live, (lives, disturbed), None, length=length)
        return lives, disturbed, seen

    if mesh is not None:
        share = PartitionSpec(*mesh.axis_names)
        stretch = jax.shard_map(
            stretch,
            mesh=mesh,
            in_specs=share,
            out_specs=(share, share, PartitionSpec(None, *mesh.axis_names)),
            check_vma=False,
        )
    run: _Run = jax.jit(stretch, donate_argnums=1, compiler_options=dict(compiler_options()))
    return run
