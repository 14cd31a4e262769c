"""What perturbs the lives of a batch, as compiled code reads it.

Lives of several *variants* (tuples of perturbations, the empty one among them) live side by side: a sweep over onsets
or strengths is one batch, and compiled once. What is alike in them is a ``Program``, static; when and how strongly each
life is perturbed are arrays, ``Disturbed``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from metahebb.networks import Layer, Network, State
from metahebb.perturbations.kinds import CHANGED, Kind
from metahebb.perturbations.perturbation import Perturbation, Perturbations
from metahebb.worlds import BODY

__all__ = ["UNDISTURBED", "Disturbed", "Program"]

STREAM = 2**30
"""of a life's key: initial weights take its first numbers, one for each layer"""
ONCE = 2**30
"""folded into a perturbation's key instead of a step, for what is chosen once in a life"""


@dataclass(frozen=True)
class Entry:
    """A perturbation without what may differ between lives."""

    kind: Kind
    target: str | None
    index: int
    partial: bool
    """whether it is limited to a fraction"""
    delay: int

    @classmethod
    def of(cls, perturbation: Perturbation) -> Entry:
        """What of a perturbation shapes compiled code."""
        kind = perturbation.kind
        delay = int(perturbation.strengths[0]) if kind.name == "delay-sensors" else 0
        return cls(kind, perturbation.target, perturbation.index, perturbation.fraction < 1, delay)

    @property
    def remembers(self) -> int:
        """How many of the latest observations it keeps."""
        return self.delay or (1 if self.kind.name == "freeze-sensors" else 0)


class Disturbed(NamedTuple):
    """When and how strongly lives are perturbed; the lives are the first axis of every leaf."""

    key: jax.Array
    """uint32 [lives, 2]: of the life"""
    begin: jax.Array
    """int32 [lives, entries]"""
    end: jax.Array
    """int32 [lives, entries]"""
    strengths: jax.Array
    """float32 [lives, entries, strengths and then the fraction]"""
    order: jax.Array
    """int32 [lives, entries]: which of its life's perturbations an entry is, by which its random numbers are drawn"""
    memory: tuple[jax.Array | None, ...] = ()
    """for each entry the observations that it keeps, oldest first: [lives, kept, …]"""


@dataclass(frozen=True)
class Program:
    """What perturbations a batch of lives may meet, in their order; without any it does nothing at all."""

    entries: tuple[Entry, ...] = ()
    bodies: tuple[str, ...] = ()
    """what the condition ``body`` counts, from 1 on; 0 is a life's own body"""

    @classmethod
    def of(cls, variants: Sequence[Perturbations]) -> Program:
        """The program in which each of the variants can be lived."""
        entries: list[Entry] = []
        bodies: list[str] = []
        for variant in variants:
            for perturbation, at in zip(variant, _places(variant, entries), strict=True):
                entries[at : at + 1] = [Entry.of(perturbation)]
                if perturbation.body and perturbation.body not in bodies:
                    bodies.append(perturbation.body)
        return cls(tuple(entries), tuple(bodies))

    @property
    def remembers(self) -> bool:
        """Whether it has to see every observation."""
        return any(entry.remembers for entry in self.entries)

    def empty(self, lives: int, observation: np.ndarray | jax.Array) -> Disturbed:
        """Undisturbed lives; ``observation`` is one of theirs."""
        entries = len(self.entries)
        kept = tuple(
            jnp.zeros((lives, entry.remembers, *observation.shape), observation.dtype) if entry.remembers else None
            for entry in self.entries
        )
        none = jnp.zeros((lives, entries), jnp.int32)
        strengths = jnp.zeros((lives, entries, self._width), jnp.float32)
        return Disturbed(jnp.zeros((lives, 2), jnp.uint32), none, none, strengths, none, kept)

    def of_variant(self, variant: Perturbations) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The begin, end, strengths and order of lives of a variant, without the axis of lives."""
        begin, end, order = (np.zeros(len(self.entries), np.int32) for _ in range(3))
        strengths = np.ones((len(self.entries), self._width), np.float32)
        places = _places(variant, list(self.entries))
        for number, (perturbation, at) in enumerate(zip(variant, places, strict=True)):
            begin[at], end[at], order[at] = perturbation.begin, perturbation.end, number
            given = (self.bodies.index(perturbation.body) + 1,) if perturbation.body else perturbation.strengths
            strengths[at, : len(given)] = given
            strengths[at, -1] = perturbation.fraction
        return begin, end, strengths, order

    def sense(self, disturbed: Disturbed | None, age: jax.Array, observation: jax.Array) -> tuple[jax.Array, Any]:
        """Observations [lives, …] as networks see them, and what is remembered of them."""
        if disturbed is None or not self._changing("observation"):
            return observation, disturbed

        def one(
            disturbed: Disturbed, age: jax.Array, seen: jax.Array
        ) -> tuple[jax.Array, tuple[jax.Array | None, ...]]:
            memory = list(disturbed.memory)
            for at, entry in self._changing("observation"):
                active = _active(disturbed, at, age)
                if entry.remembers:
                    old, memory[at] = _remember(entry, active, age, seen, memory[at])
                    new = _limited(entry, disturbed, at, old, seen)
                else:
                    new = _called(entry, disturbed, at, age, seen.astype(jnp.float32))
                if jnp.issubdtype(seen.dtype, jnp.integer) and not entry.remembers:
                    limits = np.iinfo(seen.dtype)
                    new = jnp.clip(jnp.round(new), limits.min, limits.max)
                seen = jnp.where(active, new.astype(seen.dtype), seen)
            return seen, tuple(memory)

        seen, memory = jax.vmap(one)(disturbed, age, observation)
        return seen, disturbed._replace(memory=memory)

    def weigh(self, network: Network, disturbed: Disturbed | None, state: State) -> State:
        """Networks with the weights that they act with."""
        if disturbed is None or not self._changing("weights"):
            return state

        def one(disturbed: Disturbed, age: jax.Array, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
            changed = list(layers)
            for at, entry in self._changing("weights"):
                active = _active(disturbed, at, age)
                for i, layer in enumerate(changed):
                    if entry.target == "layer" and entry.index != i:
                        continue
                    initial = (lambda key, i=i: network.draw(i, key)) if entry.kind.name == "resample-weights" else None
                    new = _called(entry, disturbed, at, age, layer.weights, i, initial)
                    scale = None if layer.scale is None else jnp.where(active, 1.0, layer.scale)
                    changed[i] = Layer(jnp.where(active, new, layer.raw), scale)
            return tuple(changed)

        return state._replace(layers=jax.vmap(one)(disturbed, state.age, state.layers))

    def rates(self, disturbed: Disturbed | None, state: State) -> tuple[jax.Array, ...] | None:
        """How much each layer learns, float32 [lives] each; None where nothing changes that."""
        if disturbed is None or not self._changing("rate"):
            return None

        def one(disturbed: Disturbed, age: jax.Array) -> tuple[jax.Array, ...]:
            rates = [jnp.float32(1)] * len(state.layers)
            for at, entry in self._changing("rate"):
                active = _active(disturbed, at, age)
                for i, rate in enumerate(rates):
                    if entry.target != "layer" or entry.index == i:
                        rates[i] = jnp.where(active, _called(entry, disturbed, at, age, rate, i), rate)
            return tuple(rates)

        return tuple(jax.vmap(one)(disturbed, state.age))

    def move(self, disturbed: Disturbed | None, age: jax.Array, action: jax.Array) -> jax.Array:
        """Actions [lives, …] as the world is given them."""
        if disturbed is None or not self._changing("action"):
            return action

        def one(disturbed: Disturbed, age: jax.Array, action: jax.Array) -> jax.Array:
            for at, entry in self._changing("action"):
                new = _called(entry, disturbed, at, age, action.astype(jnp.float32))
                action = jnp.where(_active(disturbed, at, age), new.astype(action.dtype), action)
            return action

        moved: jax.Array = jax.vmap(one)(disturbed, age, action)
        return moved

    def conditions(
        self, disturbed: Disturbed | None, age: jax.Array, normal: Mapping[str, float]
    ) -> dict[str, jax.Array]:
        """Those of the world's conditions that the program changes, float32 [lives] each, from what is ``normal``."""
        names = sorted({entry.kind.changes for entry in self.entries} - {*CHANGED})
        if disturbed is None or not names:
            return {}

        def one(disturbed: Disturbed, age: jax.Array) -> dict[str, jax.Array]:
            values = {name: jnp.float32(normal[name]) for name in names}
            for at, entry in enumerate(self.entries):
                name = entry.kind.changes
                if name in values:
                    new = _called(entry, disturbed, at, age, values[name])
                    values[name] = jnp.where(_active(disturbed, at, age), new, values[name])
            return values

        changed: dict[str, jax.Array] = jax.vmap(one)(disturbed, age)
        return changed

    def body(self, number: int) -> str:
        """The body that a value of the condition ``body`` stands for; nothing is a life's own."""
        return self.bodies[number - 1] if number else ""

    def _changing(self, what: str) -> list[tuple[int, Entry]]:
        return [(at, entry) for at, entry in enumerate(self.entries) if entry.kind.changes == what]

    @property
    def _width(self) -> int:
        # A fraction stands behind the most strengths that a kind has; a body is one number.
        return 1 + max((1, *(len(entry.kind.strengths) for entry in self.entries)))


UNDISTURBED = Program()


def _places(variant: Perturbations, entries: Sequence[Entry]) -> list[int]:
    """Where a variant's perturbations stand among entries, in order; those that are not there yet, behind the last."""
    places: list[int] = []
    last = len(entries)
    for perturbation in variant:
        wanted, first = Entry.of(perturbation), places[-1] + 1 if places else 0
        found = next((at for at in range(first, len(entries)) if entries[at] == wanted), None)
        places.append(max(first, last) if found is None else found)
        last = max(last, places[-1] + 1)
    return places


def _active(disturbed: Disturbed, at: int, age: jax.Array) -> jax.Array:
    return (disturbed.begin[at] <= age) & (age < disturbed.end[at])


def _key(disturbed: Disturbed, at: int, layer: int = 0) -> jax.Array:
    # Not by its place in the program, which depends on what else is lived beside it.
    order = STREAM + disturbed.order[at]
    return jax.random.fold_in(jax.random.fold_in(jax.random.wrap_key_data(disturbed.key), order), layer)


def _called(
    entry: Entry,
    disturbed: Disturbed,
    at: int,
    age: jax.Array,
    value: jax.Array,
    layer: int = 0,
    initial: Callable[[jax.Array], jax.Array] | None = None,
) -> jax.Array:
    """What one life's value becomes, where the entry is limited to a part of it in that part alone."""
    key = jax.random.fold_in(_key(disturbed, at, layer), ONCE if entry.kind.images else age)
    strengths = disturbed.strengths[at]
    if initial is not None:
        new = initial(key)
    elif entry.kind.changes == BODY:
        new = strengths[0]
    else:
        given = [strengths[i] for i in range(len(entry.kind.strengths))]
        new = jnp.broadcast_to(entry.kind.function(key, age, value, *given), value.shape).astype(jnp.float32)
    return _limited(entry, disturbed, at, new, value, layer)


def _limited(
    entry: Entry, disturbed: Disturbed, at: int, new: jax.Array, value: jax.Array, layer: int = 0
) -> jax.Array:
    """The new value in that part of it that the entry is limited to."""
    if entry.target in ("sensor", "actuator"):
        new = jnp.where((jnp.arange(value.size) == entry.index).reshape(value.shape), new, value)
    if entry.partial:
        key = jax.random.fold_in(jax.random.fold_in(_key(disturbed, at, layer), ONCE), 1)
        new = jnp.where(jax.random.uniform(key, value.shape) < disturbed.strengths[at, -1], new, value)
    return new


def _remember(
    entry: Entry, active: jax.Array, age: jax.Array, seen: jax.Array, kept: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """What was seen earlier, and the observations that are kept, oldest first, from now on."""
    assert kept is not None
    # A life begins with what it sees first.
    kept = jnp.where(age == 0, seen[None], kept)
    if entry.delay:
        return kept[0], jnp.concatenate([kept[1:], seen[None]])
    return kept[0], jnp.where(active, kept, seen[None])
