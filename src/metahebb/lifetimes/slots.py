"""Slots: a batch of lives that advance together, and whose places are taken by others as they end.

A slot whose life has ended takes the next life from whoever drives the slots, so that short lives never wait for long
ones. What comes of a life depends on its genome and its seeds alone: not on its slot, nor on the lives beside it.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from metahebb.lifetimes.lives import NETWORK, Life, Outcome
from metahebb.lifetimes.recorder import Recorder, Rows, To, rows_of
from metahebb.lifetimes.step import Seen, step
from metahebb.networks import Network, Plasticity, State
from metahebb.perturbations import Disturbed, Perturbations, Program
from metahebb.tasks import Task
from metahebb.worlds import HostWorld, TracedWorld
from metahebb.worlds.traced import put_life

__all__ = ["Genomes", "Moment", "Slots", "born", "compiler_options"]

Genomes: TypeAlias = Callable[[Sequence[Life]], "np.ndarray | jax.Array"]
"""The flat genomes of lives, float32 [lives, parameters]"""


class Moment(NamedTuple):
    """One step of a recorded life."""

    step: int
    """counted from 0, as a network's age is"""
    reward: float
    observation: np.ndarray
    """as the network saw it"""
    action: np.ndarray
    """as the world was given it"""
    activities: tuple[np.ndarray, ...]
    """float32 [neurons] of each layer, inputs first"""
    weights: tuple[np.ndarray, ...]
    """float32 [inputs, outputs] of each plastic layer, as the forward pass of this step saw them"""
    frame: np.ndarray | None
    """uint8 [height, width, 3], where pictures were asked for: the world after the step"""


class Alone(NamedTuple):
    """A step of a life that is lived alone, to be recorded."""

    seen: Seen
    """of all slots"""
    reward: float
    over: bool


class Slots(ABC):
    """Lives of one network in one task, whatever its world: what is the same for all of them."""

    STRETCH: int
    """The steps of lives after which ``advance`` returns at the latest."""

    def __init__(
        self,
        network: Network,
        task: Task,
        variants: Sequence[Perturbations] = ((),),
        keep_rewards: bool = False,
        record: To | None = None,
    ) -> None:
        self._network, self._task = network, task
        self._record = record
        self._recorder: Recorder | None = None
        self._program = Program.of(variants)
        self._variants = [self._program.of_variant(variant) for variant in variants]
        self._disturbed: Disturbed | None = None
        features = network.encoder.features
        self._sensed = np.zeros((task.slots, 2, features)) if network.normalise_observations else None
        self._rewards: list[list[np.ndarray]] | None = [[] for _ in range(task.slots)] if keep_rewards else None
        self._place = _compiled_place(network)
        self._plasticity, self._state = _empty(network, task.slots)
        self._lives: list[Life | None] = [None] * task.slots
        self._fitness = np.zeros(task.slots)
        self._age = np.zeros(task.slots, np.int64)
        self._mean_square = np.zeros(task.slots)
        self._fault = [NETWORK] * task.slots

    @property
    def free(self) -> list[int]:
        """The slots without a life."""
        return [slot for slot, life in enumerate(self._lives) if life is None]

    @property
    def living(self) -> np.ndarray:
        """The slots with a life, int [lives]."""
        return np.array([slot for slot, life in enumerate(self._lives) if life is not None], np.int64)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the lives that are lived."""
        return [life.world for life in self._lives.copy() if life is not None]

    @property
    def steps(self) -> int:
        """A number that changes whenever lives advance; to be read by any thread."""
        return int(self._age.sum())

    def place(self, slot: int, genome: np.ndarray, life: Life) -> None:
        """Begin a life in a free slot: flat genome float32 [parameters]."""
        self._plasticity, self._state = self._place(
            self._plasticity, self._state, np.int32(slot), genome, np.array(life.key, np.uint32)
        )
        self._begin(slot, life)
        genes = genome[: self._network.synaptic_parameters]
        self._take(slot, life, np.dot(genes, genes) / len(genes))

    def room(self, waiting: int) -> int:
        """How many of so many waiting lives are to begin now."""
        return min(waiting, len(self.free))

    def place_all(self, lives: Sequence[Life], genomes: Genomes) -> None:
        """Begin lives in free slots."""
        for slot, life in zip(self.free, lives, strict=False):
            self.place(slot, np.asarray(genomes([life])[0]), life)

    def _take(self, slot: int, life: Life, mean_square: float) -> None:
        """The slot is the life's from now on; the mean square of its synapses' genes."""
        self._lives[slot] = life
        if self._recorder is not None:
            self._recorder.begin(life)
        if self._disturbed is not None:
            row = (np.array(life.key, np.uint32), *self._variants[life.variant])
            for leaf, values in zip(self._disturbed[:5], row, strict=True):
                leaf[slot] = values
        if self._rewards is not None:
            self._rewards[slot] = []
        if self._sensed is not None:
            self._sensed[slot] = 0
        self._fitness[slot] = self._age[slot] = 0
        self._fault[slot] = NETWORK
        self._mean_square[slot] = mean_square

    def abandon(self) -> None:
        """End all lives as they are: nothing comes of them."""
        for slot in self.living.tolist():
            self._end(slot)

    def weights(self, slot: int) -> tuple[np.ndarray, ...]:
        """The weights of a slot's network, float32 [inputs, outputs] of each plastic layer."""
        return _weights(self._state, slot)

    @abstractmethod
    def advance(self) -> list[Outcome]:
        """Advance all lives until some end, or for a stretch; the lives that ended."""

    def record(self, genome: np.ndarray, life: Life, render: bool = False) -> Iterator[Moment]:
        """Live one life alone, moment by moment, with pictures or without; all slots are free before and after."""
        slot = 0
        self.place(slot, genome, life)
        over = False
        try:
            while not over:
                age, lived = int(self._age[slot]), self._live_alone(slot)
                seen = jax.tree.map(lambda leaf: np.asarray(leaf)[slot], lived.seen)
                picture = self._picture(slot) if render else None
                weights = tuple(layer.weights for layer in seen.acted.layers)
                yield Moment(age, lived.reward, seen.observation, seen.action, seen.activities, weights, picture)
                over = lived.over
        finally:
            self._end(slot)

    @abstractmethod
    def _begin(self, slot: int, life: Life) -> None:
        """Begin the life in the world."""

    @abstractmethod
    def _live_alone(self, slot: int) -> Alone:
        """Advance the only life by a step."""

    @abstractmethod
    def _picture(self, slot: int) -> np.ndarray:
        """A life's world as a picture, uint8 [height, width, 3]."""

    def _end(self, slot: int) -> Outcome:
        """Free a slot; what came of its life."""
        life = self._lives[slot]
        assert life is not None
        self._lives[slot] = None
        if self._recorder is not None:
            self._recorder.end(life)
        fitness, age, mean_square = self._fitness[slot], self._age[slot], self._mean_square[slot]
        rewards = None
        if self._rewards is not None:
            rewards = np.concatenate([np.zeros(0, np.float32), *self._rewards[slot]])
        fault = self._fault[slot]
        sensed = None if self._sensed is None else self._sensed[slot].copy()
        return Outcome(life.member, life.number, float(fitness), int(age), float(mean_square), fault, rewards, sensed)

    def _disturb(self, observation: np.ndarray | jax.Array) -> None:
        """Make ready for perturbations, where there are any; ``observation`` is one of a life's."""
        if self._program.entries:
            empty = self._program.empty(len(self._lives), observation)
            # To be written into.
            self._disturbed = jax.tree.map(np.array, empty)

    def _perturbed(self, living: np.ndarray, steps: int) -> bool:
        """Whether one of the ``living`` is perturbed in the next so many steps, or something has to be remembered."""
        if self._disturbed is None or self._program.remembers:
            return self._disturbed is not None
        age = self._age[living, None]
        begun = np.asarray(self._disturbed.begin)[living] < age + steps
        return bool((begun & (np.asarray(self._disturbed.end)[living] > age)).any())

    @property
    def recorded(self) -> Mapping[str, Rows]:
        """The arrays that are recorded, by name; none where nothing is."""
        return {} if self._recorder is None else self._recorder.arrays

    def _make_recorder(self, observation: np.ndarray | jax.Array) -> None:
        """Make ready for recording, where that is wanted; ``observation`` [slots, …] are the lives'."""
        if self._record is None:
            return
        live = functools.partial(step, self._network, self._task.readout)
        seen = jax.eval_shape(live, self._plasticity, self._state, observation).seen
        assert seen is not None
        rows = {name: (leaf.shape[1:], leaf.dtype) for name, leaf in _signals(seen).items()}
        rows["rewards"] = (), np.dtype(np.float32)
        rows |= {f"weights_{i}": (layer, np.dtype(np.float32)) for i, layer in enumerate(self._network.layers)}
        self._recorder = Recorder(self._record, rows_of(rows, self._record))
        self._weigh = _compiled_weigh(self._network, self._program, self._record.float16)

    def _record_weights(self, living: np.ndarray) -> None:
        """Record the weights with which the ``living`` are about to act, where it is time for them."""
        if self._recorder is None:
            return
        slots = living[self._age[living] % self._recorder.every == 0]
        if not len(slots):
            return
        # All at once, for fewer calls; as many as there is code for.
        padded = np.pad(slots, (0, (1 << (len(slots) - 1).bit_length()) - len(slots)), "edge").astype(np.int32)
        disturbed = self._disturbed if self._perturbed(slots, 1) else None
        weighed = self._weigh(self._state, None if disturbed is None else disturbed._replace(memory=()), padded)
        layers = [np.asarray(weights) for weights in weighed]
        for i, slot in enumerate(slots.tolist()):
            life = self._lives[slot]
            assert life is not None
            self._recorder.weights(life, [weights[i] for weights in layers])

    def _record_steps(self, slot: int, seen: Seen, rewards: np.ndarray) -> None:
        """Record the next steps of a life: rewards [steps], and at least so many [steps, lives, …] of what is seen."""
        life = self._lives[slot]
        assert self._recorder is not None
        assert life is not None
        signals = {name: leaf[: len(rewards), slot] for name, leaf in _signals(seen).items()}
        self._recorder.steps(life, {**signals, "rewards": rewards})

    def _sense(self, slots: np.ndarray | int, observations: np.ndarray) -> None:
        """Add a step's observations of some slots, or one slot's of some steps, [slots or steps, …], to their sums."""
        if self._sensed is not None:
            seen = np.float64(observations).reshape(len(observations), -1)
            sums = np.stack([seen, seen**2], axis=1)
            self._sensed[slots] += sums if isinstance(slots, np.ndarray) else sums.sum(axis=0)

    def _keep(self, slot: int, rewards: np.ndarray) -> None:
        if self._rewards is not None:
            self._rewards[slot].append(np.asarray(rewards, np.float32))


def _signals(seen: Seen) -> dict[str, Any]:
    """What is seen but for the weights, as it is named in recordings."""
    activities = {f"activities_{i}": layer for i, layer in enumerate(seen.activities)}
    return {"observations": seen.observation, "actions": seen.action, **activities}


_Weigh = Callable[[State, Disturbed | None, np.ndarray], tuple[jax.Array, ...]]


@functools.lru_cache(maxsize=8)
def _compiled_weigh(network: Network, program: Program, float16: bool) -> _Weigh:
    """The weights [n, inputs, outputs] of each layer with which the lives in some slots, int32 [n], act next."""

    @functools.partial(jax.jit, compiler_options=dict(compiler_options()))
    def weigh(state: State, disturbed: Disturbed | None, slots: jax.Array) -> tuple[jax.Array, ...]:
        state, disturbed = jax.tree.map(lambda leaf: leaf[slots], (state, disturbed))
        layers = program.weigh(network, disturbed, state).layers
        return tuple(layer.weights.astype(jnp.float16 if float16 else jnp.float32) for layer in layers)

    return weigh


def _weights(state: State, slot: int) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(layer.weights[slot]) for layer in state.layers)


def normal_in(world: HostWorld | TracedWorld) -> tuple[tuple[str, float], ...]:
    """What is normal in a world, by the names of its conditions."""
    return tuple((name, condition.normal) for name, condition in world.conditions.items())


@functools.cache
def compiler_options() -> Mapping[str, int]:
    """XLA's options for the code of lives.

    512-bit vectors make the vision encoder 1.3 times (Zen 4) to 1.6 times (Zen 5) as fast where the processor has them;
    versions of XLA that do not know the option go without.
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


_Place = Callable[[Plasticity, State, np.int32, np.ndarray, np.ndarray], tuple[Plasticity, State]]


@functools.lru_cache(maxsize=8)
def _compiled_place(network: Network) -> _Place:
    """Put a newborn into a slot: (all plasticity, all states, slot, its flat genome, the words of its key)."""

    @functools.partial(jax.jit, donate_argnums=(0, 1), compiler_options=dict(compiler_options()))
    def place(
        plasticity: Plasticity, state: State, slot: jax.Array, genome: jax.Array, key: jax.Array
    ) -> tuple[Plasticity, State]:
        newborn = born(network, genome[None], jax.random.wrap_key_data(key)[None])
        return put_life((plasticity, state), newborn, slot)

    return place


def born(network: Network, genomes: jax.Array, keys: jax.Array) -> tuple[Plasticity, State]:
    """Networks at birth: flat genomes [lives, parameters] and keys [lives]."""
    parts = network.unflatten(genomes)
    return network.express(parts), network.init(parts, keys)


def _empty(network: Network, slots: int) -> tuple[Plasticity, State]:
    """What slots hold before their first life: zeros in the shapes of networks."""
    genomes = jax.ShapeDtypeStruct((slots, network.parameters), jnp.float32)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), slots))
    shapes = jax.eval_shape(functools.partial(born, network), genomes, keys)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
