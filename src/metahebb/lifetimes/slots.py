"""Slots: a batch of lives that advances together.

A slot whose life has ended takes the next life from whoever drives the slots, so that short lives never wait for long
ones. What comes of a life depends on its genome and its seeds alone: not on its slot, nor on the lives beside it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from metahebb.lifetimes.lives import Life, Outcome
from metahebb.networks import Layer, Network, Plasticity
from metahebb.tasks import Task
from metahebb.worlds import HostWorld, TracedWorld

__all__ = ["HostSlots", "Moment", "Slots", "compiler_options", "make_slots"]


class Slots(Protocol):
    """What drives lives, whatever their world."""

    @property
    def free(self) -> list[int]:
        """The slots without a life."""
        ...

    @property
    def busy(self) -> bool:
        """Whether any slot has a life."""
        ...

    def place(self, slot: int, genome: np.ndarray, life: Life) -> None:
        """Begin a life in a free slot: flat genome float32 [parameters]."""
        ...

    def advance(self) -> list[Outcome]:
        """Advance all lives until some end, or for a stretch; the lives that ended."""
        ...

    def record(self, genome: np.ndarray, life: Life, render: bool = False) -> Iterator[Moment]:
        """Live one life alone, moment by moment, with pictures or without; all slots are free before and after."""
        ...


class Moment(NamedTuple):
    """One step of a recorded life."""

    step: int
    reward: float
    activities: tuple[np.ndarray, ...]
    """float32 [neurons] of each layer, inputs first"""
    weights: tuple[np.ndarray, ...]
    """float32 [inputs, outputs] of each plastic layer, as the forward pass of this step saw them"""
    frame: np.ndarray | None
    """uint8 [height, width, 3], where the world was made to render: the world after the step"""


def make_slots(network: Network, task: Task, world: HostWorld | TracedWorld) -> Slots:
    """The slots for a kind of world."""
    if isinstance(world, HostWorld):
        return HostSlots(network, task, world)
    raise NotImplementedError("traced worlds")


@functools.cache
def compiler_options() -> Mapping[str, Any]:
    """XLA's options for the code of lives.

    512-bit vectors make the vision encoder 1.6 times as fast where the processor has them; older and newer versions
    of XLA that do not know the option go without.
    """
    cpuinfo = Path("/proc/cpuinfo")
    if jax.default_backend() != "cpu" or not cpuinfo.exists() or "avx512f" not in cpuinfo.read_text():
        return {}
    options = {"xla_cpu_prefer_vector_width": 512}
    try:
        jax.jit(lambda x: x + 1, compiler_options=options)(0.0)
    except Exception:
        return {}
    return options


class _Steps(NamedTuple):
    """The compiled functions of a network and a readout."""

    act_and_learn: Any
    place: Any


@functools.lru_cache(maxsize=8)
def _compiled(network: Network, readout: Any) -> _Steps:
    @functools.partial(jax.jit, donate_argnums=1, compiler_options=dict(compiler_options()))
    def act_and_learn(
        plasticity: Plasticity, weights: tuple[Layer, ...], observation: jax.Array
    ) -> tuple[tuple[Layer, ...], tuple[jax.Array, ...], jax.Array]:
        # The update uses the activities of this step's forward pass; the action is already decided by then.
        activities = network.act(plasticity, weights, observation)
        return network.learn(plasticity, weights, activities), activities, readout(activities[-1])

    @functools.partial(jax.jit, donate_argnums=(0, 1), compiler_options=dict(compiler_options()))
    def place(
        plasticity: Plasticity, weights: tuple[Layer, ...], slot: jax.Array, genome: jax.Array, key: jax.Array
    ) -> tuple[Plasticity, tuple[Layer, ...]]:
        parts = network.unflatten(genome[None])
        born = network.express(parts), network.init(parts, jax.random.wrap_key_data(key)[None])
        return jax.tree.map(
            lambda slots, one: jax.lax.dynamic_update_index_in_dim(slots, one[0].astype(slots.dtype), slot, 0),
            (plasticity, weights),
            born,
        )

    return _Steps(act_and_learn, place)


class HostSlots:
    """Lives in a world on the host: the network's step is compiled, the world's is called."""

    STRETCH = 64
    """steps after which ``advance`` returns although no life has ended"""

    def __init__(self, network: Network, task: Task, world: HostWorld) -> None:
        self._network = network
        self._world = world
        self._steps = _compiled(network, task.readout)
        n = task.slots
        genome = jax.ShapeDtypeStruct((n, network.parameters), jnp.float32)
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), n))
        shapes = jax.eval_shape(
            lambda g, k: (network.express(network.unflatten(g)), network.init(network.unflatten(g), k)),
            genome,
            keys,
        )
        self._plasticity, self._weights = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        space = world.observation_space
        dtype = np.int32 if space.dtype == np.int64 else space.dtype if space.dtype == np.uint8 else np.float32
        self._observation = np.zeros((n, *(space.shape or ())), dtype)
        self._lives: list[Life | None] = [None] * n
        self._fitness = np.zeros(n)
        self._age = np.zeros(n, np.int64)
        self._mean_square = np.zeros(n)

    @property
    def free(self) -> list[int]:
        return [slot for slot, life in enumerate(self._lives) if life is None]

    @property
    def busy(self) -> bool:
        return any(life is not None for life in self._lives)

    def place(self, slot: int, genome: np.ndarray, life: Life) -> None:
        self._plasticity, self._weights = self._steps.place(
            self._plasticity, self._weights, np.int32(slot), genome, np.array(life.key, np.uint32)
        )
        self._observation[slot] = self._world.reset(slot, life.world)
        self._lives[slot] = life
        self._fitness[slot] = self._age[slot] = 0
        genes = genome[: self._network.synaptic_parameters]
        self._mean_square[slot] = np.dot(genes, genes) / len(genes)

    def advance(self) -> list[Outcome]:
        living = np.array([slot for slot, life in enumerate(self._lives) if life is not None])
        for _ in range(self.STRETCH if len(living) else 0):
            activities, actions = self._act_and_learn()
            outputs = np.asarray(activities[-1])[living]
            if outcomes := self._step_world(living, actions, np.isfinite(outputs).all(axis=1)):
                return outcomes
        return []

    def record(self, genome: np.ndarray, life: Life, render: bool = False) -> Iterator[Moment]:
        self.place(0, genome, life)
        slot = np.array([0])
        while self._lives[0] is not None:
            weights = tuple(np.asarray(layer.weights[0]) for layer in self._weights)
            activities, actions = self._act_and_learn()
            before, step = self._fitness[0], int(self._age[0])
            shown = tuple(np.asarray(a)[0] for a in activities)
            self._step_world(slot, actions, np.array([np.isfinite(shown[-1]).all()]))
            frame = self._world.render(0) if render else None
            yield Moment(step, float(self._fitness[0] - before), shown, weights, frame)

    def _act_and_learn(self) -> tuple[tuple[jax.Array, ...], np.ndarray]:
        self._weights, activities, actions = self._steps.act_and_learn(
            self._plasticity, self._weights, self._observation
        )
        return activities, np.asarray(actions)

    def _step_world(self, living: np.ndarray, actions: np.ndarray, finite: np.ndarray) -> list[Outcome]:
        """Step the worlds of the ``living`` slots whose outputs are ``finite``; the lives that ended."""
        acting = living[finite]
        self._fitness[living[~finite]] = np.nan
        ended = living[~finite].tolist()
        if len(acting):
            observations, rewards, over = self._world.step(acting, actions[acting])
            self._observation[acting] = observations
            self._fitness[acting] += rewards
            over |= ~np.isfinite(rewards)
            ended += acting[over].tolist()
        self._age[living] += 1
        return [self._end(slot) for slot in sorted(ended)]

    def _end(self, slot: int) -> Outcome:
        life = self._lives[slot]
        assert life is not None
        self._lives[slot] = None
        return Outcome(
            life.member,
            life.number,
            float(self._fitness[slot]),
            int(self._age[slot]),
            float(self._mean_square[slot]),
        )
