"""What comes of a life depends on its genome and its seeds alone, whatever its world."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metahebb.assembly import configure
from metahebb.encoders import VectorEncoder
from metahebb.errors import UsageError
from metahebb.lifetimes import make_slots
from metahebb.lifetimes.lives import Life, Outcome, life_of
from metahebb.lifetimes.slots import Slots
from metahebb.lifetimes.traced import TracedSlots
from metahebb.readouts import readout_for
from metahebb.seeds import Stream
from metahebb.tasks import Task
from metahebb.worlds import HostWorld, TracedWorld
from metahebb.worlds.car_racing import CarRacing
from metahebb.worlds.traced import VmappedWorld
from support import COMPETING

TASKS: dict[str, dict[str, Any]] = {
    "classic control": {"task": "gymnasium:CartPole-v1", "hidden": (16,), "coefficients": "float16"},
    "a rule over neurons": {"task": "gymnasium:CartPole-v1", "hidden": (16,), "rule": COMPETING},
    "MuJoCo": {"task": "gymnasium:HalfCheetah-v5", "env_args": {"max_episode_steps": 30}},
    "images": {"task": "gymnasium:CarRacing-v3", "env_args": {"max_episode_steps": 5}},
    "traced": {"task": "car-racing"},
}
MODULES = {"MuJoCo": "mujoco", "images": "Box2D"}


class End(NamedTuple):
    """What is left of a life: what came of it, its last weights, and what it observed."""

    outcome: Outcome
    weights: tuple[bytes, ...]


@functools.cache
def slots_of(kind: str) -> tuple[Slots, int]:
    """Slots of a task, all free, and the size of a genome. They take seconds to compile."""
    pytest.importorskip(MODULES.get(kind, "gymnasium"))
    _, task, network = configure(**TASKS[kind])
    return make_slots(network, task, task.make_world(task.slots, False)), network.parameters


def genome_of(life: Life, size: int) -> np.ndarray:
    return np.random.default_rng(life.member).standard_normal(size, np.float32)


def live(slots: Slots, size: int, lives: list[Life], places: list[int]) -> dict[Life, End]:
    """Live lives in these slots, the first of them first; a slot that becomes free takes the next life."""
    waiting, living, ends = list(lives), {}, {}
    while waiting or living:
        for slot in [place for place in places if place in slots.free][: len(waiting)]:
            living[slot] = waiting.pop(0)
            slots.place(slot, genome_of(living[slot], size), living[slot])
        for outcome in slots.advance():
            (slot,) = (s for s, life in living.items() if (life.member, life.number) == outcome[:2])
            sensed = b"" if outcome.sensed is None else outcome.sensed.tobytes()
            weights = tuple(layer.tobytes() for layer in slots.weights(slot))
            ends[living.pop(slot)] = End(outcome._replace(sensed=None), (*weights, sensed))
    return ends


@pytest.mark.parametrize("kind", TASKS)
def test_a_life_depends_neither_on_its_slot_nor_on_the_lives_beside_it(kind: str) -> None:
    slots, size = slots_of(kind)
    # More lives than slots, so that some begin beside others that are old.
    last = len(slots.free) - 1
    lives = [life_of(member, 0, 3, Stream.TRAINING, 0, member) for member in range(20)]
    ends = live(slots, size, lives, list(range(last + 1)))
    assert len({end.weights for end in ends.values()}) == len(lives)
    assert live(slots, size, lives[::-1], [last, 3, 5]) == ends
    alone = live(slots, size, lives[4:5], [last - 1])
    assert alone[lives[4]] == ends[lives[4]]


@pytest.mark.parametrize("kind", TASKS)
def test_a_recorded_life_is_the_life_that_is_scored(kind: str) -> None:
    slots, size = slots_of(kind)
    life = life_of(5, 0, 3, Stream.TRAINING, 0, 5)
    scored = live(slots, size, [life], [6])[life].outcome
    moments = list(slots.record(genome_of(life, size), life))
    assert len(moments) == scored.steps
    assert float(np.cumsum([moment.reward for moment in moments])[-1]) == pytest.approx(scored.fitness, rel=1e-12)
    again = list(slots.record(genome_of(life, size), life))
    for one, other in zip(moments, again, strict=True):
        for a, b in zip(one.weights + one.activities, other.weights + other.activities, strict=True):
            assert a.tobytes() == b.tobytes()
    assert any((a != b).any() for a, b in zip(moments[0].weights, moments[-1].weights, strict=True))


def draw_to_a_sum(limit: float) -> VmappedWorld:
    """Draws are added up until they reach a limit: a world whose lives last differently long."""

    def reset(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        first = jax.random.uniform(key)
        return first[None], first

    def step(key: jax.Array, state: jax.Array, action: jax.Array) -> tuple[jax.Array, ...]:
        after = state + jax.random.uniform(key)
        return jnp.sin(after)[None], after, action[0] * after, after > limit

    return VmappedWorld(reset, step, gymnasium.spaces.Box(-1, 1, (1,)), gymnasium.spaces.Box(-1, 1, (1,)))


def test_lives_that_begin_together_are_those_that_begin_alone() -> None:
    """As on an accelerator, in a world that begins many at once and in one that does not."""
    world = draw_to_a_sum(20)
    task = Task("draws", VectorEncoder(1), readout_for(world.action_space), lambda slots, render: world, slots=40)
    network = dataclasses.replace(configure("gymnasium:Pendulum-v1", hidden=(8,))[2], encoder=VectorEncoder(1))
    for slots, size in ((make_slots(network, task, world), network.parameters), slots_of("traced")):
        assert isinstance(slots, TracedSlots)
        everywhere = list(range(len(slots.free)))
        # Mirrored pairs that begin in the same world, more lives than slots; some begin one by one as others end.
        lives = [life_of(member, 0, 3, Stream.TRAINING, 0, member // 2) for member in range(len(everywhere) + 5)]
        expected = live(slots, size, lives, everywhere)
        slots._together = True
        together = live(slots, size, lives, everywhere)
        slots._together = False
        for life, end in expected.items():
            assert together[life].outcome.steps == end.outcome.steps
            assert together[life].outcome.fitness == pytest.approx(end.outcome.fitness, rel=1e-4)
    assert len({end.outcome.steps for end in expected.values()}) > 1


def test_a_recording_that_is_broken_off_leaves_all_slots_free() -> None:
    slots, size = slots_of("classic control")
    life = life_of(5, 0, 3, Stream.TRAINING, 0, 5)
    recording = slots.record(genome_of(life, size), life)
    first = next(recording)
    recording.close()
    assert not len(slots.living)
    again = next(slots.record(genome_of(life, size), life))
    assert first.frame is None
    assert [layer.tobytes() for layer in first.activities] == [layer.tobytes() for layer in again.activities]


def test_a_world_is_of_the_kind_that_it_says() -> None:
    class Closing(CarRacing):
        """A traced world with what a host world has."""

        def close(self) -> None:
            raise AssertionError

    class Seeded(HostWorld):
        """A host world whose parameters have other names."""

        observation_space, action_space = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)

        def reset(self, seeds: int, seed: int, body: str = "") -> np.ndarray:
            return np.zeros(2, np.float32)

        def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return np.zeros((len(slots), 2), np.float32), np.ones(len(slots)), np.ones(len(slots), bool)

    assert isinstance(Closing(), TracedWorld)
    _, task, network = configure("gymnasium:CartPole-v1", hidden=(4,))
    task = dataclasses.replace(task, slots=2, encoder=VectorEncoder(2))
    network = dataclasses.replace(network, encoder=task.encoder)
    slots = make_slots(network, task, Seeded())
    slots.place(1, np.ones(network.parameters, np.float32), life_of(0, 0, 0, Stream.TRAINING))
    assert [outcome.fitness for outcome in slots.advance()] == [1.0]
    with pytest.raises(UsageError, match="makes no pictures"):
        Seeded().render(0)
    with pytest.raises(UsageError, match=r"class Worldless, which is neither a HostWorld nor a TracedWorld"):
        make_slots(network, task, type("Worldless", (), {})())
