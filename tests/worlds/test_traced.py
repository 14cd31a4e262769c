"""An environment that is written for one life, lived side by side."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metahebb.errors import UsageError
from metahebb.testing import check_world
from metahebb.worlds.traced import VmappedWorld

BOX, PUSH = gymnasium.spaces.Box(-np.inf, np.inf, (2,)), gymnasium.spaces.Box(-1, 1, (1,))


def reset(key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """A point somewhere on a line, as gymnax's environments are written."""
    state = {"place": jax.random.uniform(key), "time": jnp.int32(0)}
    return observe(state), state


def step(key: jax.Array, state: dict[str, jax.Array], action: jax.Array) -> tuple[Any, ...]:
    """Pushed by the action and by chance; 9 steps, or as far as 1.5."""
    place = state["place"] + 0.1 * action[0] + 0.1 * jax.random.normal(key)
    state = {"place": place, "time": state["time"] + 1}
    return observe(state), state, -jnp.abs(place), place > 1.5, state["time"] >= 9, {"discount": 1.0}


def observe(state: dict[str, jax.Array]) -> jax.Array:
    return jnp.stack([state["place"], state["time"] / 9])


def test_a_life_is_that_of_the_functions_called_by_hand_with_keys_of_its_seed_and_step() -> None:
    world = VmappedWorld(reset, step, BOX, PUSH)
    actions = np.random.default_rng(0).uniform(-1, 1, (9, 3, 1)).astype(np.float32)
    seeds = np.array([5, 2**31 - 1, 0])
    state, observations = world.reset(seeds)
    lived = [np.asarray(observations)]
    rewards, ends = [], []
    for action in actions:
        state, observations, reward, ended = world.step(state, jnp.asarray(action))
        assert (reward.dtype, ended.dtype) == (jnp.float32, bool)
        lived.append(np.asarray(observations))
        rewards.append(np.asarray(reward))
        ends.append(np.asarray(ended))
    for life, seed in enumerate(seeds):
        key = jax.random.PRNGKey(int(seed))
        observation, one = reset(jax.random.fold_in(key, 0))
        np.testing.assert_allclose(lived[0][life], observation, rtol=1e-6)
        for t in range(9):
            observation, one, reward, terminated, truncated, _ = step(
                jax.random.fold_in(key, t + 1), one, jnp.asarray(actions[t, life])
            )
            np.testing.assert_allclose(lived[t + 1][life], observation, rtol=1e-5)
            assert rewards[t][life] == pytest.approx(float(reward), rel=1e-5)
            assert ends[t][life] == bool(terminated | truncated)
    assert ends[-1].all()


def test_it_keeps_what_a_world_promises() -> None:
    check_world(lambda slots: VmappedWorld(reset, step, BOX, PUSH), steps=15)
    # gymnax up to 0.0.9: done, and a dictionary; whole numbers for rewards and ends.
    older = VmappedWorld(
        reset,
        lambda key, state, action: (*step(key, state, action)[:2], 1, state["time"] >= 8, {}),
        BOX,
        PUSH,
    )
    check_world(lambda slots: older, steps=15)


def test_pictures_are_optional() -> None:
    drawn = VmappedWorld(reset, step, BOX, PUSH, lambda state: np.full((4, 6, 3), int(state["time"]), np.uint8))
    state, _ = drawn.reset(np.arange(2))
    state = drawn.step(state, jnp.zeros((2, 1))).state
    assert drawn.render(state, 1).tolist() == np.ones((4, 6, 3)).tolist()
    with pytest.raises(UsageError, match="the world VmappedWorld makes no pictures"):
        VmappedWorld(reset, step, BOX, PUSH).render(state, 1)
