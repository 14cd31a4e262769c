"""Slots of environments: actions as the environments take them, lives with environments of their own, faults."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable
from typing import Any

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import misbehaving
from metahebb.errors import RunError, UsageError
from metahebb.readouts import readout_for
from metahebb.worlds.gymnasium import GymnasiumWorld, make_environment, needs_fresh_environments
from metahebb.worlds.gymnasium.environments import own_limit


def of(name: str, **arguments: Any) -> Callable[[], GymnasiumWorld]:
    return lambda: GymnasiumWorld(lambda: make_environment(f"{name}-v0", arguments), 1)


class Acting(misbehaving.Misbehaving):
    """Keeps the action that it was given."""

    def __init__(self, space: spaces.Space[Any]) -> None:
        super().__init__()
        self.action_space = space

    def step(self, action: Any) -> Any:
        self.action = action
        return super().step(action)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-np.pi, np.pi, (2,), np.float64),
        spaces.Box(0.1, 0.7, (2,), np.float64),
        spaces.Box(-0.1, 1 / 3, (2,), np.float16),
        spaces.Box(np.float32(0.1), np.float32(0.7), (2,)),
        spaces.Box(-np.inf, np.inf, (2,), np.float64),
        spaces.Box(-3, 4, (2,), np.int8),
        spaces.Discrete(5, start=-2),
        spaces.MultiDiscrete([2, 5], start=[0, -3]),
        spaces.MultiDiscrete([[2, 5], [3, 3]]),
        spaces.MultiBinary((2, 2)),
    ],
    ids=str,
)
def test_the_space_contains_every_action(space: spaces.Space[Any]) -> None:
    env = Acting(space)
    world = GymnasiumWorld(lambda: env, 1)
    world.reset(0, 0)
    readout = readout_for(space)
    # π's nearest float32 is beyond π.
    outputs = np.random.default_rng(0).standard_normal((64, readout.outputs), np.float32) * 20
    for action in np.asarray(readout(jnp.asarray(outputs))):
        world.step(np.array([0]), action[None])
        assert space.contains(env.action)


def test_frames_are_stacked_oldest_first() -> None:
    world = GymnasiumWorld(lambda: make_environment("Pendulum-v1", {}), 2, frame_stack=3)
    bare = gymnasium.make("Pendulum-v1")
    first, _ = bare.reset(seed=4)
    np.testing.assert_array_equal(world.reset(1, 4), np.tile(first, 3))
    seen = [first, first, first]
    for _ in range(4):
        action = np.array([0.5], np.float32)
        (observed,), *_ = world.step(np.array([1]), action[None])
        seen = [*seen[1:], bare.step(action)[0]]
        np.testing.assert_array_equal(observed, np.concatenate(seen))


def test_each_life_has_an_environment_of_its_own_where_asked_for() -> None:
    made: list[Any] = []

    def make() -> Any:
        made.append(misbehaving.Remembering())
        return made[-1]

    world = GymnasiumWorld(make, 2, fresh=True)
    lives = [world.reset(slot, 1)[0] for slot in (0, 1, 0, 0)]
    # The environment that was made to know the spaces is the first life's.
    assert lives == 4 * [np.float32(0.01)]
    assert len(made) == 4
    assert [GymnasiumWorld(misbehaving.Remembering, 1).reset(0, 1)[0]] == lives[:1]


@pytest.mark.parametrize(
    ("name", "arguments", "remembers"),
    [
        ("Remembering", {}, True),
        ("Misbehaving", {}, False),
        ("Chancy", {}, False),
    ],
)
def test_an_environment_with_a_memory_is_found_out(
    name: str, arguments: dict[str, Any], remembers: bool, caplog: pytest.LogCaptureFixture
) -> None:
    actions = np.zeros((64, 1), np.float32)
    assert needs_fresh_environments(of(name, **arguments), actions) is remembers
    says = {"Remembering": "each life gets a new environment", "Chancy": "not repeatable"}.get(name)
    assert [record.levelname for record in caplog.records] == (["WARNING"] if says else [])
    assert (says or "") in caplog.text
    # Where it is given, it is not looked for.
    assert needs_fresh_environments(of(name, **arguments), actions, fresh=not remembers) is not remembers


@pytest.mark.parametrize("identifier", ["BipedalWalker-v3", "BipedalWalkerHardcore-v3", "LunarLander-v3"])
def test_gymnasium_s_environments_with_a_memory(identifier: str) -> None:
    pytest.importorskip("Box2D")
    env = make_environment(identifier, {})
    readout = readout_for(env.action_space)
    outputs = np.random.default_rng(0).standard_normal((64, readout.outputs), np.float32)
    actions = np.asarray(readout(jnp.asarray(outputs)))
    found = needs_fresh_environments(lambda: GymnasiumWorld(lambda: make_environment(identifier, {}), 1), actions)
    assert found is identifier.startswith("Bipedal")


def test_a_fault_in_the_middle_of_a_life_names_its_seed_and_step() -> None:
    world = of("Misbehaving", how="ZeroDivisionError", since=5, step=3)()
    for seed in (4, 5):
        world.reset(0, seed)
        for _ in range(2):
            world.step(np.array([0]), np.zeros((1, 1), np.float32))
    with pytest.raises(
        RunError,
        match=r"^Environment 'Misbehaving-v0' raised ZeroDivisionError: .* \(misbehaving.py, line \d+\) "
        r"in step 3 of the life with seed 5\.$",
    ):
        world.step(np.array([0]), np.zeros((1, 1), np.float32))


def test_ctrl_c_remains_ctrl_c() -> None:
    class Pressing(misbehaving.Misbehaving):
        """The user presses the keys in the middle of a step."""

        def step(self, action: Any) -> Any:
            signal.raise_signal(signal.SIGINT)
            return super().step(action)

    def world_of(environment: Callable[[], misbehaving.Misbehaving]) -> Callable[[], GymnasiumWorld]:
        return lambda: GymnasiumWorld(environment, 1)

    # A shell's background job ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            needs_fresh_environments(world_of(Pressing), np.zeros((9, 1), np.float32))
        its_own = functools.partial(misbehaving.Misbehaving, how="KeyboardInterrupt")
        with pytest.raises(UsageError, match="raised KeyboardInterrupt"):
            needs_fresh_environments(world_of(its_own), np.zeros((9, 1), np.float32))
    finally:
        after = signal.signal(signal.SIGINT, before)
    assert after is signal.default_int_handler


def test_who_says_when_lives_end() -> None:
    assert own_limit(make_environment("CartPole-v1", {}))
    assert own_limit(make_environment("CartPole-v1", {}, max_steps=9))
    assert not own_limit(make_environment("Unending-v0", {}))


def test_a_life_ends_after_its_steps() -> None:
    world = GymnasiumWorld(lambda: make_environment("Unending-v0", {}, max_steps=4), 1)
    world.reset(0, 0)
    ends = [bool(world.step(np.array([0]), np.zeros((1, 1), np.float32))[2][0]) for _ in range(4)]
    assert ends == [False, False, False, True]


def test_breakout_goes_on_after_a_lost_life() -> None:
    pytest.importorskip("ale_py")
    env = make_environment("ALE/Breakout-v5", {})
    env.reset(seed=0)
    steps, ended = 0, False
    # Without fire a life stands still until its end after 27,000 steps.
    while not ended and steps < 2000:
        _, _, terminated, truncated, info = env.step(0)
        steps, ended = steps + 1, terminated or truncated
    assert ended
    assert info["lives"] == 0
