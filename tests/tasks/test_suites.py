"""Other people's environments in JAX, each suite where it is installed: lived, evolved, refused in one sentence."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import metahebb
from metahebb import UsageError
from metahebb.tasks import Options, make_task
from metahebb.testing import check_world

pytestmark = pytest.mark.xdist_group("suites")

MODULES = {"brax": "brax", "playground": "mujoco_playground", "gymnax": "gymnax"}
TASKS = {
    "gymnax": ("gymnax:CartPole-v1", {"max_steps_in_episode": 50}),
    "brax": ("brax:inverted_pendulum", {"backend": "spring"}),
    "playground": ("playground:CartpoleBalance", {"ctrl_dt": 0.02}),
}
MAX_STEPS = {"gymnax": None, "brax": 150, "playground": 20}


def installed(suite: str) -> str:
    """The suite, where it is installed."""
    if importlib.util.find_spec(MODULES[suite]) is None:
        pytest.skip(f"the extra {suite} is not installed")
    return suite


@pytest.mark.parametrize("suite", TASKS)
def test_an_environment_is_evolved(suite: str, tmp_path: Path) -> None:
    task, arguments = TASKS[installed(suite)]
    settings: dict[str, Any] = {"population": 16, "generations": 4, "validate_every": 2, "validation_lives": 4}
    run = metahebb.train(
        task,
        run=tmp_path / "run",
        workers=1,
        env_args=arguments,
        max_steps=MAX_STEPS[suite],
        hidden=(8,),
        **settings,
    )
    metrics = run.metrics()
    assert [line["lives"] for line in metrics] == 4 * [16]
    assert all(line["diverged"] == 0 and line["fitness_deviation"] > 0 for line in metrics)
    limit = MAX_STEPS[suite] or 50
    assert all(line["steps"] <= 16 * limit for line in metrics)


def test_gymnax_lives_are_those_of_its_own_step() -> None:
    import_gymnax = pytest.importorskip("gymnax", reason="the extra gymnax is not installed")
    env, params = import_gymnax.make("CartPole-v1")
    world: Any = make_task("gymnax:CartPole-v1").make_world(3, False)
    seeds = np.array([3, 5, 8])
    state, observations = world.reset(seeds)
    lives = []
    for seed in seeds.tolist():
        observation, own = env.reset(jax.random.fold_in(jax.random.PRNGKey(seed), 0), params)
        lives.append(own)
        np.testing.assert_allclose(observations[len(lives) - 1], observation, rtol=1e-6)
    for number in range(1, 40):
        actions = np.array([number % 2, number // 2 % 2, 1], np.int32)
        state, observations, rewards, ended = world.step(state, actions)
        for life, (seed, action) in enumerate(zip(seeds.tolist(), actions, strict=True)):
            if lives[life] is None:
                continue
            key = jax.random.fold_in(jax.random.PRNGKey(seed), number)
            observation, lives[life], reward, terminated, _ = env.step_env(key, lives[life], action, params)
            np.testing.assert_allclose(observations[life], observation, rtol=1e-4, atol=1e-6)
            assert (rewards[life], ended[life]) == (reward, terminated)
            if terminated:
                lives[life] = None
    assert lives.count(None) >= 1


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "Breakout-MinAtar"])
def test_a_world_of_gymnaxs_keeps_what_worlds_promise(name: str) -> None:
    installed("gymnax")
    check_world(make_task(f"gymnax:{name}", Options(max_steps=20)), steps=25)


@pytest.mark.parametrize("suite", TASKS)
def test_an_unknown_environment_is_named(suite: str) -> None:
    installed(suite)
    with pytest.raises(UsageError, match=r"Unknown environment of .* 'nonsense'\..* Accepted: "):
        make_task(f"{suite}:nonsense")


def test_what_an_environment_does_not_have_is_told() -> None:
    installed("gymnax")
    with pytest.raises(UsageError, match="'CartPole-v1' has no parameter 'mass'; it has EnvParams"):
        make_task("gymnax:CartPole-v1", Options(env_args={"mass": 2}))
    with pytest.raises(UsageError, match="has --env-arg and --max-steps; the other options are for gymnasium:<id>"):
        make_task("gymnax:CartPole-v1", Options(frame_stack=2))


WITHOUT = """
import sys
for module in {modules}:
    sys.modules[module] = None
sys.argv = ["metahebb", "train", "{suite}:any"]
from metahebb.cli import main
main()
"""


@pytest.mark.parametrize("suite", MODULES)
def test_without_its_suite_a_task_names_the_remedy(suite: str, tmp_path: Path) -> None:
    code = WITHOUT.format(modules=[MODULES[suite]], suite=suite)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"Error: Tasks {suite}:<env> need {MODULES[suite]}: pip install 'metahebb[{suite}]'\n"
    assert [*tmp_path.iterdir()] == []
