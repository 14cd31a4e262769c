"""Lives in environments of every kind of space, and what is said where a package is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import GrayscaleObservation

import metahebb as package
from metahebb.assembly import configure
from metahebb.lifetimes import make_slots
from metahebb.lifetimes.lives import life_of
from metahebb.lifetimes.slots import Moment
from metahebb.seeds import Stream
from metahebb.worlds.gymnasium import GymnasiumWorld, make_environment
from support import ENVIRONMENTS, PATIENCE, Answer, options

NEWEST_TAXI = max(identifier for identifier in gymnasium.registry if identifier.startswith("Taxi-v"))


def record(task: str, seed: int = 0, **settings: Any) -> tuple[list[Moment], int]:
    """A life with random rules, moment by moment, and the seed of its world."""
    _, made, network = configure(task, hidden=(6,), **settings)
    slots = make_slots(network, made, made.make_world(1, False))
    genome = np.random.default_rng(seed).standard_normal(network.parameters, np.float32)
    life = life_of(0, 0, seed, Stream.TRAINING)
    return list(slots.record(genome, life)), life.world


def one_hot(index: int, size: int) -> list[float]:
    return [float(i == index) for i in range(size)]


@pytest.mark.parametrize("identifier", ["FrozenLake-v1", NEWEST_TAXI])
def test_a_discrete_observation_is_one_hot_and_a_discrete_action_the_largest_output(identifier: str) -> None:
    moments, seed = record(f"gymnasium:{identifier}", env_args={"max_episode_steps": 20})
    env = gymnasium.make(identifier, max_episode_steps=20)
    assert isinstance(env.observation_space, gymnasium.spaces.Discrete)
    observation, _ = env.reset(seed=seed)
    ended = False
    for moment in moments:
        assert not ended
        assert moment.activities[0].tolist() == one_hot(int(observation), int(env.observation_space.n))
        observation, reward, terminated, truncated, _ = env.step(int(moment.activities[-1].argmax()))
        assert moment.reward == reward
        ended = terminated or truncated
    assert ended


def test_a_bounded_action_is_reached_through_tanh() -> None:
    moments, seed = record("gymnasium:Pendulum-v1", env_args={"max_episode_steps": 50}, normalise_observations=False)
    env = gymnasium.make("Pendulum-v1", max_episode_steps=50)
    observation, _ = env.reset(seed=seed)
    assert len(moments) == 50
    for moment in moments:
        np.testing.assert_allclose(moment.activities[0], observation, atol=1e-5)
        action = -2 + 4 * (np.tanh(moment.activities[-1]) + 1) / 2
        observation, reward, *_ = env.step(action.astype(np.float32))
        assert moment.reward == pytest.approx(float(reward), abs=1e-4)


def test_atari_is_started_by_fire_and_seen_in_stacks_of_grey() -> None:
    pytest.importorskip("ale_py")
    world = GymnasiumWorld(lambda: make_environment("ALE/Breakout-v5", {}, greyscale=True), 1, frame_stack=4)
    assert world.observation_space.shape == (210, 160, 4)
    seen = world.reset(0, 3)
    bare = GrayscaleObservation(gymnasium.make("ALE/Breakout-v5"))
    bare.reset(seed=3)
    first, *_ = bare.step(1)
    # The first picture fills the stack; afterwards the newest is the last.
    assert (seen[..., 3] == first).all()
    assert (seen[..., 0] == seen[..., 3]).all()
    for action in (2, 3, 0, 2):
        before, (seen,), (picture, *_) = seen, world.step(np.array([0]), np.array([action]))[0], bare.step(action)
        assert (seen[..., 3] == picture).all()
        assert (seen[..., :3] == before[..., 1:]).all()


def test_atari_trains(metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ale_py")
    monkeypatch.chdir(tmp_path)
    code, *_ = metahebb(
        "train", "gymnasium:ALE/Breakout-v5", "--env-arg", "max_episode_steps=5", "--greyscale",
        *options(frame_stack=2, population=2, generations=1, validation_lives=1, workers=1, hidden=8),
    )  # fmt: skip
    assert code == 0
    (metrics,) = package.open_run(tmp_path / "runs" / "ALE-Breakout-v5-1").metrics()
    # Of each life's five steps, the one that fires is not the network's.
    assert metrics["steps"] == 8
    network = package.open_run(tmp_path / "runs" / "ALE-Breakout-v5-1").latest.network
    assert network.genome["encoder.0"] == (6, 2, 3, 3)


@pytest.mark.parametrize("how", ["a file", "a module"])
def test_an_environment_of_one_s_own_trains(
    how: str, metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"my_envs_{how[2:]}"
    (tmp_path / f"{name}.py").write_text(
        ENVIRONMENTS.read_text().replace('{environment.__name__}-v0"', "Own{environment.__name__}" + f'-{len(how)}-v0"')
    )
    module = f"{name}.py" if how == "a file" else name
    code, _, err = metahebb(
        "train", f"gymnasium:OwnTarget-{len(how)}-v0", "--import", module, "--run", "run",
        *options(population=4, generations=1, validation_lives=1, workers=1, hidden=4),
    )  # fmt: skip
    assert (code, err) == (0, "")
    (metrics,) = package.open_run(tmp_path / "run").metrics()
    assert metrics["steps"] == 40


def test_choices_and_parts_train(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    code, *_ = metahebb(
        "train", "gymnasium:SeveralSwitches-v0", "--import", ENVIRONMENTS, "--run", tmp_path / "run",
        "--no-normalise-observations", "--start-scale", 1,
        *options(population=8, generations=8, validation_lives=2, workers=1, hidden=8, lr=0.3),
    )  # fmt: skip
    assert code == 0
    run = package.open_run(tmp_path / "run")
    assert run.latest.network.layers == ((7, 8), (8, 5))
    metrics = run.metrics()
    # Chance would be 15; the largest of both choices, all the time, is 30.
    assert metrics[-1]["fitness_mean"] > metrics[0]["fitness_mean"]


@pytest.mark.parametrize(("shape", "dtype"), [([40, 60], "uint8"), ([40, 60, 4], "uint8"), ([40, 60, 3], "float32")])
def test_films_of_other_pictures(
    shape: list[int], dtype: str, metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    configuration, _, network = configure(
        "gymnasium:Grey-v0", imports=(str(ENVIRONMENTS),), env_args={"shape": shape, "dtype": dtype}, hidden=(4,)
    )
    package.Agent(configuration, np.ones(network.parameters, np.float32)).save(tmp_path / "agent.safetensors")
    code, out, _ = metahebb("watch", "agent.safetensors", "--video", "life.gif", "--trust-code")
    assert code == 0
    assert "A life of 10 steps" in out


def test_tasks_lists_what_can_be_made(tmp_path: Path) -> None:
    answer = without("pybullet", tmp_path, "tasks", "--import", str(ENVIRONMENTS))
    assert answer.returncode == 0
    table, _, rest = answer.stdout.partition("Not available here:\n")
    rows = {line.split("│")[1].strip(): line for line in table.splitlines() if line.count("│") > 2}
    assert {"car-racing", "quadruped", "gymnasium:CartPole-v1", "gymnasium:Target-v0"} <= set(rows)
    assert "475" in rows["gymnasium:CartPole-v1"]
    assert [name for name, row in rows.items() if "standard, front-right-damaged" in row] == ["quadruped"]
    reasons = dict(line.strip().split(": ", 1) for line in rest.splitlines() if line.startswith("  "))
    assert "metahebb[bullet]" in reasons["quadruped-bullet"]
    assert "Tuple" in reasons["gymnasium:Tupled-v0"]


HIDES = """
import sys

class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hiding())
"""


@pytest.mark.parametrize(
    ("task", "module", "extra"),
    [
        ("gymnasium:LunarLander-v3", "Box2D", "box2d"),
        ("gymnasium:ALE/Pong-v5", "ale_py", "atari"),
        ("quadruped-bullet", "pybullet", "bullet"),
        ("car-racing --simulator gymnasium", "Box2D", "box2d"),
    ],
)
def test_a_missing_extra_is_named(task: str, module: str, extra: str, tmp_path: Path) -> None:
    answer = without(module, tmp_path, "train", *task.split(), "--run", "run")
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith("Error: ")
    assert answer.stderr.count("\n") == 1
    assert f"pip install 'metahebb[{extra}]'" in answer.stderr
    assert not (tmp_path / "run").exists()


def without(module: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command where a module is not installed."""
    code = HIDES.format(hidden={module}) + "from metahebb.cli import main\nmain()\n"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, timeout=PATIENCE
    )


def test_mujoco_leaves_no_file_where_the_user_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_environment("HalfCheetah-v5", {}).close()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""
