"""The check of worlds passes those that are well, and says of each of the others what is the matter with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metahebb.tasks import make_task
from metahebb.testing import check_world
from metahebb.worlds import HostWorld, TracedStep, TracedWorld

LINE = gymnasium.spaces.Box(-1, 1, (2,))
PUSH = gymnasium.spaces.Box(-1, 1, (1,))


@pytest.mark.parametrize(
    ("task", "module", "steps"),
    [
        # Lives of a random driver end after some 80 steps.
        ("car-racing", "jax", 120),
        ("quadruped", "mujoco", 250),
        ("quadruped-bullet", "pybullet", 250),
        ("gymnasium:CartPole-v1", "jax", 100),
        ("gymnasium:Taxi-v4", "jax", 100),
    ],
)
def test_the_worlds_of_tasks_keep_what_they_promise(task: str, module: str, steps: int) -> None:
    pytest.importorskip(module)
    check_world(make_task(task), steps=steps)


def test_an_environment_that_carries_something_over_a_reset_is_found() -> None:
    pytest.importorskip("Box2D")
    # Gymnasium's BipedalWalker goes on with Box2D's contacts of the life before.
    with pytest.raises(
        AssertionError, match=r"a life of seed \d, lived after another life in the same slot, is another"
    ):
        check_world(make_task("gymnasium:BipedalWalker-v3"))


class State(NamedTuple):
    place: jax.Array
    age: jax.Array


class Traced(TracedWorld):
    """A point that is pushed along a line, for 20 steps."""

    observation_space: gymnasium.Space[Any] = LINE
    action_space: gymnasium.Space[Any] = PUSH

    def reset(self, seeds: np.ndarray) -> tuple[Any, jax.Array]:
        place = jnp.array([np.random.default_rng(seed).uniform(-1, 1) for seed in seeds], jnp.float32)
        state = State(place, jnp.zeros(len(seeds), jnp.int32))
        return state, self.observe(state)

    def step(self, state: State, action: jax.Array) -> TracedStep:
        place = state.place + 0.1 * action[:, 0]
        after = State(place, state.age + 1)
        return TracedStep(after, self.observe(after), -jnp.abs(place), after.age >= 20)

    def observe(self, state: State) -> jax.Array:
        return jnp.stack([state.place, state.age / 20], axis=1)


class Host(HostWorld):
    """The same on the host."""

    observation_space: gymnasium.Space[Any] = LINE
    action_space: gymnasium.Space[Any] = PUSH

    def __init__(self, slots: int) -> None:
        self.place, self.age = np.zeros(slots), np.zeros(slots, int)

    def reset(self, slot: int, seed: int, body: str = "") -> np.ndarray:
        self.place[slot] = np.random.default_rng(seed).uniform(-1, 1) + len(body)
        self.age[slot] = 0
        return self.observe(np.array([slot]))[0]

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.place[slots] += 0.1 * actions[:, 0]
        self.age[slots] += 1
        return self.observe(slots), -np.abs(self.place[slots]), self.age[slots] >= 20

    def observe(self, slots: np.ndarray) -> np.ndarray:
        return np.stack([self.place[slots], self.age[slots] / 20], axis=1).astype(np.float32)


def test_a_world_that_is_well_passes() -> None:
    check_world(lambda slots: Traced())
    check_world(Host, bodies=("", "long"))


class Neither:
    observation_space, action_space = LINE, PUSH


class Spaceless(Traced):
    action_space: Any = None


class UnseededTraced(Traced):
    def reset(self, seeds: np.ndarray) -> tuple[Any, jax.Array]:
        return super().reset(np.random.default_rng().integers(1 << 20, size=len(seeds)))


class NotANumberAfterwards(Traced):
    def step(self, state: State, action: jax.Array) -> TracedStep:
        after = super().step(state, action)
        return after._replace(reward=after.reward + jnp.where(after.state.age > 20, jnp.nan, 0.0))


class FeelsNeighbours(Traced):
    def step(self, state: State, action: jax.Array) -> TracedStep:
        after = super().step(state, action)
        return after._replace(reward=after.reward - after.reward.mean())


class FeelsItsSlot(Traced):
    def step(self, state: State, action: jax.Array) -> TracedStep:
        after = super().step(state, action)
        return after._replace(reward=after.reward + jnp.arange(len(after.reward)))


class SwapsLives(Traced):
    def reset(self, seeds: np.ndarray) -> tuple[Any, jax.Array]:
        return super().reset(seeds[::-1])


class OneAgeForAll(Traced):
    def reset(self, seeds: np.ndarray) -> tuple[Any, jax.Array]:
        state, observation = super().reset(seeds)
        return state._replace(age=jnp.int32(0)), observation


class ChangesForm(Traced):
    def step(self, state: State, action: jax.Array) -> TracedStep:
        after = super().step(state, action)
        return after._replace(state=after.state._replace(age=after.state.age.astype(jnp.float32)))


class Branches(Traced):
    def step(self, state: State, action: jax.Array) -> TracedStep:
        return super().step(state, action) if state.age[0] < 30 else super().step(state, -action)


class WholeRewards(Traced):
    def step(self, state: State, action: jax.Array) -> TracedStep:
        after = super().step(state, action)
        return after._replace(reward=after.reward.astype(jnp.int32))


class OtherShape(Traced):
    def observe(self, state: State) -> jax.Array:
        return state.place[:, None]


class UnseededHost(Host):
    def reset(self, slot: int, seed: int, body: str = "") -> np.ndarray:
        return super().reset(slot, int(np.random.default_rng().integers(1 << 20)), body)


class CarriesOver(Host):
    def reset(self, slot: int, seed: int, body: str = "") -> np.ndarray:
        speed = 0.01 * self.place[slot]
        super().reset(slot, seed, body)
        self.place[slot] += speed
        return self.observe(np.array([slot]))[0]


class StepsThemAll(Host):
    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        others = np.setdiff1d(np.arange(len(self.place)), slots)
        self.place[others] += 0.1
        return super().step(slots, actions)


class InItsOwnOrder(Host):
    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return super().step(np.sort(slots), actions)


class Doubles(Host):
    def observe(self, slots: np.ndarray) -> np.ndarray:
        return super().observe(slots).astype(np.float64)


class ListOfEnds(Host):
    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[Any, Any, Any]:
        observations, rewards, ended = super().step(slots, actions)
        return observations, rewards, ended.tolist()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda slots: Neither(), "derives neither from HostWorld nor from TracedWorld"),
        (lambda slots: Spaceless(), "its action_space is None, which is no space"),
        (lambda slots: UnseededTraced(), "begins with another observation alone|lived again, is another"),
        (lambda slots: NotANumberAfterwards(), "a life of seed 0 is no longer finite at some step after its end"),
        (lambda slots: FeelsNeighbours(), "beside others, is another: the reward of step"),
        (lambda slots: FeelsItsSlot(), "in slot 1, beside others, is another: the reward of step 1"),
        (lambda slots: SwapsLives(), "a life of seed 0 begins with another observation alone than beside others"),
        (lambda slots: OneAgeForAll(), r"returned state.age of shape \(\); the lives must be the first axis"),
        (lambda slots: ChangesForm(), r"step returned state.age as float32 \(3,\), where it was given int32"),
        (lambda slots: Branches(), "step cannot be traced by JAX, which raised TracerBoolConversionError"),
        (lambda slots: WholeRewards(), "returned reward of int32"),
        (lambda slots: OtherShape(), r"an observation of float32 \(1,\), where the space has float32 \(2,\)"),
        (UnseededHost, "a life of seed 0, lived again, in another world of the same making, is another"),
        (CarriesOver, "after another life in the same slot, is another: the first observation differs"),
        (StepsThemAll, "beside others, is another: the observation of step"),
        (InItsOwnOrder, "beside others, is another"),
        (Doubles, r"reset with seed 0 returned an observation of float64 \(2,\), where the space has float32"),
        (ListOfEnds, r"returned ended \[False\]; it must be an array of shape \(1,\) and bool"),
    ],
)
def test_each_fault_is_found_and_said(make: Callable[[int], Any], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_world(make, steps=40)
