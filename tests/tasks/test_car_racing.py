"""The task's own rules of a life, in our CarRacing and in the original alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metahebb.assembly import configure
from metahebb.configuration import PRESETS
from metahebb.errors import UsageError
from metahebb.tasks import car_racing
from metahebb.tasks.car_racing import SEARCH, CarReadout, HostLives, TracedLives
from support import Answer

SEEDS = np.array([3, 2**31 - 1])


class Lived(NamedTuple):
    """Lives from SEEDS: frames are uint8 [lives, 96, 96, 3], the rest [steps, lives]."""

    first: np.ndarray
    last: np.ndarray
    rewards: np.ndarray
    over: np.ndarray


WORLD = TracedLives()
step = jax.jit(WORLD.step)


def live_traced(actions: np.ndarray) -> Lived:
    """Lives of ``actions`` [steps, lives, 3] in our world."""
    state, first = WORLD.reset(SEEDS)
    rewards, over = [], []
    for action in actions:
        state, last, reward, ended = step(state, action)
        rewards.append(reward)
        over.append(ended)
    return Lived(np.asarray(first), np.asarray(last), np.array(rewards), np.array(over))


def live_host(actions: np.ndarray) -> Lived:
    """The same in the original."""
    world, slots = HostLives(len(SEEDS), render=False), np.arange(len(SEEDS))
    first = np.array([world.reset(slot, int(seed)) for slot, seed in enumerate(SEEDS)])
    frames, rewards, over = zip(*(world.step(slots, action) for action in actions), strict=True)
    world.close()
    return Lived(first, frames[-1], np.array(rewards), np.array(over))


def still(steps: int) -> np.ndarray:
    return np.zeros((steps, len(SEEDS), 3), np.float32)


def assert_alike(ours: Lived, theirs: Lived) -> None:
    for one, other in ((ours.first, theirs.first), (ours.last, theirs.last)):
        assert np.abs(one.astype(int) - other).mean() <= 0.6
    assert np.abs(ours.first[0].astype(int) - ours.first[1]).mean() > 2, "two seeds have the same track"
    np.testing.assert_allclose(ours.rewards, theirs.rewards, atol=1e-3)
    np.testing.assert_array_equal(ours.over, theirs.over)


def test_a_life_ends_after_more_than_20_consecutive_steps_of_negative_reward() -> None:
    pytest.importorskip("Box2D")
    # Drive off at once or later, reach tiles, and brake: the rewards become negative, and stay so.
    actions = still(100)
    actions[:45, 0] = actions[5:50, 1] = [0.0, 1.0, 0.0]
    actions[45:, 0] = actions[50:, 1] = [0.0, 0.0, 1.0]
    ours, theirs = live_traced(actions), live_host(actions)
    assert_alike(ours, theirs)
    negative = ours.rewards < 0
    ends = [next(t for t in range(100) if t >= 20 and negative[t - 20 : t + 1, life].all()) for life in range(2)]
    assert ours.over.argmax(0).tolist() == ends
    # Bad steps that a good one followed do not count.
    assert all(negative[: end - 20, life].any() for life, end in enumerate(ends))


def test_a_life_ends_after_1000_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    state, _ = WORLD.reset(SEEDS)
    state = state._replace(steps=jnp.array([998, 997]))
    for expected in ([False, False], [True, False], [True, True]):
        state, _, _, over = step(state, still(1)[0])
        assert over.tolist() == expected

    original = pytest.importorskip("gymnasium.envs.box2d.car_racing").CarRacing
    monkeypatch.setattr(original, "_render", lambda env, mode: np.zeros((96, 96, 3), np.uint8))
    monkeypatch.setattr(car_racing, "PATIENCE", 10_000)
    over = live_host(still(1000)).over
    assert over[-1].all()
    assert not over[:-1].any()


def test_a_slot_s_next_life_is_given_its_own_patience() -> None:
    pytest.importorskip("Box2D")
    world, slot, action = HostLives(1, render=False), np.zeros(1, int), np.zeros((1, 3), np.float32)
    for _ in range(2):
        world.reset(0, 3)
        over = [bool(world.step(slot, action)[2][0]) for _ in range(22)]
        # The first step is paid for the tiles that the car begins on.
        assert over == [False] * 21 + [True]
    world.close()


def test_the_readout_steers_by_tanh_and_the_pedals_are_sigmoids() -> None:
    actions = CarReadout()(jnp.array([[0.5, -1.0, 2.0], [-20.0, 0.0, -20.0]]))
    expected = [[0.46211716, 0.26894142, 0.88079708], [-1.0, 0.5, 0.0]]
    np.testing.assert_allclose(actions, expected, atol=1e-6)


def test_the_papers_search_is_the_preset_and_ours_the_default() -> None:
    ours, _, _ = configure("car-racing")
    assert SEARCH.items() <= dataclasses.asdict(ours).items()
    assert (ours.start_scale, ours.filter_scale) == (0.3, 0.3)
    papers, _, _ = configure("car-racing", "paper")
    assert PRESETS["paper"].items() <= dataclasses.asdict(papers).items()


def test_an_unknown_simulator_is_named(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    code, out, err = metahebb("train", "car-racing", "--simulator", "gymnasum", "--run", tmp_path / "run")
    assert (code, out) == (2, "")
    assert err == ("Error: Unknown simulator 'gymnasum'. Did you mean 'gymnasium'? Accepted: jax, gymnasium.\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", [{"env_args": {"x": 1}}, {"greyscale": True}, {"frame_stack": 2}])
def test_it_has_no_options_of_gymnasiums_environments(option: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"^Task 'car-racing' is the paper's; --env-arg, .* are for gymnasium:<id>.$"):
        configure("car-racing", **option)
