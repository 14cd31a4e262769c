"""What comes of a life depends on its genome and its seeds alone, whatever its world."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest

from metahebb.assembly import configure
from metahebb.encoders import VectorEncoder
from metahebb.errors import UsageError
from metahebb.lifetimes import make_slots
from metahebb.lifetimes.device import SHARE, slots_that_fit
from metahebb.lifetimes.lives import Life, Outcome, life_of
from metahebb.lifetimes.slots import Slots
from metahebb.readouts import readout_for
from metahebb.seeds import Stream
from metahebb.tasks import Task
from metahebb.worlds import HostWorld, TracedWorld
from metahebb.worlds.car_racing import CarRacing
from support import COMPETING
from traced_worlds import draw_to_a_sum

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


def slots_beside_each_other(kind: str) -> tuple[Slots, Slots, int]:
    """Slots as a CPU has them and as accelerators do, on the same device, and the size of a genome."""
    world = draw_to_a_sum(20)
    world.together = kind == "begun together"
    task = Task("draws", VectorEncoder(1), readout_for(world.action_space), lambda slots, render: world, slots=40)
    network = dataclasses.replace(configure("gymnasium:Pendulum-v1", hidden=(8,))[2], encoder=VectorEncoder(1))
    one, other = (make_slots(network, task, world, accelerated=how) for how in (False, True))
    return one, other, network.parameters


def live_all(slots: Slots, size: int, lives: list[Life]) -> dict[Life, Outcome]:
    """Live lives as a worker does: as many at once as there is room for."""
    waiting, outcomes = list(lives), []
    while waiting or len(slots.living):
        if room := slots.room(len(waiting)):
            begun, waiting = waiting[:room], waiting[room:]
            slots.place_all(begun, lambda lives: np.stack([genome_of(life, size) for life in lives]))
        outcomes += slots.advance()
    by_number = {outcome[:2]: outcome for outcome in outcomes}
    return {life: by_number[life.member, life.number] for life in lives}


@pytest.mark.parametrize("kind", ["begun together", "begun one by one"])
def test_lives_on_accelerators_are_those_of_a_cpu(kind: str) -> None:
    one, other, size = slots_beside_each_other(kind)
    # Mirrored pairs that begin in the same world, more lives than slots; some begin as others end.
    lives = [life_of(member, 0, 3, Stream.TRAINING, 0, member // 2) for member in range(len(one.free) + 25)]
    expected, lived = live_all(one, size, lives), live_all(other, size, lives)
    for life, outcome in expected.items():
        assert lived[life].steps == outcome.steps
        assert lived[life].fitness == pytest.approx(outcome.fitness, rel=1e-4)
        assert lived[life].mean_square == pytest.approx(outcome.mean_square, rel=1e-5)
    assert len({outcome.steps for outcome in expected.values()}) > 1
    # One alone, as for a film.
    moments = list(other.record(genome_of(lives[0], size), lives[0]))
    assert len(moments) == expected[lives[0]].steps
    assert sum(moment.reward for moment in moments) == pytest.approx(expected[lives[0]].fitness, rel=1e-4)


SEVERAL = """
import jax
from test_slots import live_all, slots_beside_each_other
from metahebb.lifetimes.lives import life_of
from metahebb.seeds import Stream

assert len(jax.local_devices()) == 3
one, other, size = slots_beside_each_other("begun together")
lives = [life_of(member, 0, 3, Stream.TRAINING, 0, member // 2) for member in range(65)]
assert len(one.free) == 40 and len(other.free) == 42
expected, lived = live_all(one, size, lives), live_all(other, size, lives)
for life in lives:
    assert lived[life].steps == expected[life].steps, life
    assert abs(lived[life].fitness - expected[life].fitness) < 1e-4 * abs(expected[life].fitness), life
shares = {shard.data.shape[0] for leaf in jax.tree.leaves(other._state) for shard in leaf.addressable_shards}
assert shares == {14}, shares
"""


def test_lives_at_once_are_as_many_as_memory_holds() -> None:
    """CarRacing's: coefficients and weights of 91,328 synapses, filters, and a texture of 1,392,640 texels."""
    _, task, network = configure("car-racing", coefficients="float32")
    least = 91_328 * 4 * (4 + 1) + 2 * 1_392_640
    assert slots_that_fit(network, task, 200, float("inf")) == 200
    assert slots_that_fit(network, task, 10**6, 80e9) == pytest.approx(SHARE * 80e9 / least, rel=0.2)
    assert slots_that_fit(network, task, 10**6, 80e9) < SHARE * 80e9 / least
    assert slots_that_fit(network, task, 200, 1e6) == 1


def test_several_devices_share_the_lives() -> None:
    """Three that XLA makes of the CPU."""
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=3", "JAX_PLATFORMS": "cpu"}
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    environment["PYTHONPATH"] = os.pathsep.join(folders)
    subprocess.run([sys.executable, "-c", SEVERAL], env=environment, check=True)


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
