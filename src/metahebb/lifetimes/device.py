"""Lives on accelerators: all of a generation's at once, begun many together, each device advancing its share."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from metahebb.lifetimes.lives import Life
from metahebb.lifetimes.recorder import To
from metahebb.lifetimes.slots import Genomes, born, compiler_options
from metahebb.lifetimes.traced import TracedSlots
from metahebb.networks import Network, Plasticity, State
from metahebb.perturbations import Perturbations
from metahebb.tasks import Task
from metahebb.worlds import TracedWorld
from metahebb.worlds.traced import reset_lives

__all__ = ["DeviceSlots", "memory_of_devices", "slots_that_fit"]

SIZES = (1, 16, 256)
"""Numbers of lives that begin together: for each of them code is compiled"""
TOGETHER = 0.25
"""Of the slots: so many have to be free for lives to begin while others live, since a few take as long as many"""
SHARE = 0.4
"""Of the devices' memory that lives may take between two steps; what is computed in a step takes its own"""


class DeviceSlots(TracedSlots):
    """Slots whose lives all devices of JAX share, as many of them each; the slots are rounded up to that."""

    STRETCH = 25
    """Steps of a stretch: the host hears of all lives after each, which takes as long for a few steps as for many."""

    def __init__(
        self,
        network: Network,
        task: Task,
        world: TracedWorld,
        variants: Sequence[Perturbations] = ((),),
        keep_rewards: bool = False,
        record: To | None = None,
    ) -> None:
        devices = jax.local_devices()
        mesh = Mesh(np.array(devices), ("lives",)) if len(devices) > 1 else None
        task = dataclasses.replace(task, slots=math.ceil(task.slots / len(devices)) * len(devices))
        super().__init__(network, task, world, variants, keep_rewards, record, mesh)
        self._sharding = None if mesh is None else NamedSharding(mesh, PartitionSpec("lives"))
        self._put_all = _compiled_put_all(network, self._sharding)
        self._share_out()

    def room(self, waiting: int) -> int:
        """How many of so many waiting lives are to begin now: many together, or whatever there is if none lives."""
        room = super().room(waiting)
        slots = len(self._lives)
        return room if room == waiting or room >= TOGETHER * slots or not len(self.living) else 0

    def place_all(self, lives: Sequence[Life], genomes: Genomes) -> None:
        """Begin lives in free slots, up to 256 at once."""
        free, squares = self.free, []
        for first in range(0, len(lives), SIZES[-1]):
            some = lives[first : first + SIZES[-1]]
            # The last one again, until there is code for so many: it is put into the same slot again.
            size = next(size for size in SIZES if size >= len(some))
            padded = [*some, *[some[-1]] * (size - len(some))]
            slots = np.array(free[first : first + len(some)] + [free[first + len(some) - 1]] * (size - len(some)))
            keys = np.array([life.key for life in padded], np.uint32)
            begun = self._begun(padded)
            self._plasticity, self._state, self._worlds, mean_squares = self._put_all(
                self._plasticity, self._state, self._worlds, begun, slots.astype(np.int32), genomes(padded), keys
            )
            squares.append((some, slots, mean_squares))
        for some, slots, mean_squares in squares:
            for life, slot, mean_square in zip(some, slots.tolist(), np.asarray(mean_squares).tolist(), strict=False):
                self._take(slot, life, mean_square)

    def place(self, slot: int, genome: np.ndarray, life: Life) -> None:
        """Begin a life in a free slot (see ``Slots``)."""
        super().place(slot, genome, life)
        self._share_out()

    def _begun(self, lives: Sequence[Life]) -> Any:
        """The worlds of lives."""
        seeds, bodies = [life.world for life in lives], [life.body for life in lives]
        if self._world.together:
            return reset_lives(self._world, seeds, bodies)
        # The members of a mirrored pair begin in the same world.
        places = list(zip(seeds, bodies, strict=True))
        one = {place: reset_lives(self._world, [place[0]], [place[1]]) for place in dict.fromkeys(places)}
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *(one[place] for place in places))

    def _share_out(self) -> None:
        """Give each device its share of the lives; what it has already stays where it is."""
        if self._sharding is not None:
            lived = self._plasticity, self._state, self._worlds
            self._plasticity, self._state, self._worlds = jax.device_put(lived, self._sharding)


def memory_of_devices() -> float:
    """Bytes that JAX may use of all its devices together; infinite where they do not say.

    What a CPU's memory holds is known before anything starts (``resources``).
    """
    return sum((device.memory_stats() or {}).get("bytes_limit", math.inf) for device in jax.local_devices())


def slots_that_fit(network: Network, task: Task, wanted: int, memory: float) -> int:
    """So many slots as are ``wanted``, or as many as fit into so many bytes, but at least one."""
    world = task.make_world(1, False)
    assert isinstance(world, TracedWorld)
    genome = jax.ShapeDtypeStruct((1, network.parameters), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    held = jax.eval_shape(functools.partial(born, network), genome, key), world.reset(np.zeros(1, np.int64))
    life = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(held))
    return max(int(min(wanted, SHARE * memory / life)), 1)


_PutAll = Callable[..., tuple[Plasticity, State, Any, jax.Array]]


@functools.lru_cache(maxsize=8)
def _compiled_put_all(network: Network, sharding: NamedSharding | None) -> _PutAll:
    """Put newborns into slots: (plasticity, states and worlds of all slots, newborns' worlds [n], slots int32 [n], flat
    genomes [n, parameters], keys [n, 2]) → the first three, and the mean squares of synapses' genes [n]."""

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2), compiler_options=dict(compiler_options()))
    def put_all(
        plasticity: Plasticity,
        state: State,
        worlds: Any,
        begun: Any,
        slots: jax.Array,
        genomes: jax.Array,
        keys: jax.Array,
    ) -> tuple[Plasticity, State, Any, jax.Array]:
        newborn = (*born(network, genomes, jax.random.wrap_key_data(keys)), begun)
        lived = jax.tree.map(lambda all_, new: all_.at[slots].set(new), (plasticity, state, worlds), newborn)
        if sharding is not None:
            lived = jax.lax.with_sharding_constraint(lived, sharding)
        return *lived, jnp.mean(jnp.square(genomes[:, : network.synaptic_parameters]), axis=1)

    return put_all
