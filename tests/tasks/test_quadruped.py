"""Runs of the quadruped, in both simulators: the same bits whoever lives its lives, and whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metahebb as package
from metahebb import Observer, Run
from metahebb.assembly import configure
from metahebb.evolution.training import fitness_of
from metahebb.lifetimes import make_slots
from metahebb.lifetimes.lives import Outcome, life_of
from metahebb.seeds import Stream
from metahebb.seeds import start as random_genomes
from metahebb.testing import check_world
from support import Answer, alive, kill, options, result, wait_for, workers_of

pytestmark = pytest.mark.xdist_group("quadruped")

TASKS = ("quadruped", "quadruped-bullet")
SETTINGS: dict[str, Any] = {"population": 4, "generations": 3, "validate_every": 2, "validation_lives": 2}


def available(task: str) -> str:
    """The task, where its simulator is installed."""
    if task == "quadruped-bullet":
        pytest.importorskip("pybullet", reason="PyBullet has no wheels for this platform")
    return task


@pytest.fixture(scope="module", params=TASKS)
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one worker."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    return package.train(available(request.param), run=folder, workers=1, **SETTINGS)


class Killer(Observer):
    """Kills two workers with SIGKILL after the second life of the run."""

    def __init__(self) -> None:
        self.lives = 0

    def lived(self, outcome: Outcome, lives: int) -> None:
        self.lives += 1
        if self.lives == 2:
            kill(workers_of()[:2])


def test_pairs_live_in_both_bodies_in_turn(undisturbed: Run) -> None:
    metrics = undisturbed.metrics()
    assert [line["lives"] for line in metrics] == 3 * [4]
    assert undisturbed.configuration.bodies_in_turn
    assert undisturbed.configuration.morphologies == ("standard", "front-right-damaged")
    assert len({line["fitness_mean"] for line in metrics}) == 3


def test_three_workers_two_of_which_are_killed_change_nothing(undisturbed: Run, tmp_path: Path) -> None:
    killer = Killer()
    run = package.train(undisturbed.configuration.task, run=tmp_path / "run", workers=3, observer=killer, **SETTINGS)
    assert "A worker was killed by signal 9; its lives are lived again." in (run.folder / "log.txt").read_text()
    assert result(run.folder) == result(undisturbed.folder)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
def test_a_run_of_two_workers_that_is_killed_and_resumed_ends_as_if_it_never_had_been(
    undisturbed: Run, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    task, run = undisturbed.configuration.task, Run(tmp_path / "run", undisturbed.configuration)
    process = start("train", task, "--run", "run", "--workers", 2, *options(**SETTINGS))
    wait_for(lambda: run.folder.exists() and run.metrics())
    workers = workers_of(process.pid)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    wait_for(lambda: not any(map(alive, workers)))
    assert 1 <= len(run.metrics()) < SETTINGS["generations"]
    package.resume(run.folder, workers=2)
    assert result(run.folder) == result(undisturbed.folder)


@pytest.mark.parametrize("task", TASKS)
def test_a_life_whose_physics_is_not_finite_ends_alone_and_is_counted(task: str) -> None:
    c, made, network = configure(available(task), population=2, morphologies=("standard",))
    world: Any = made.make_world(made.slots, False)
    slots = make_slots(network, made, world)
    for member, genome in enumerate(random_genomes(0, network.parameters, "normal", range(2))):
        slots.place(member, genome, life_of(member, 0, 0, Stream.TRAINING, body="standard"))
    assert slots.advance() == []
    simulation = world.world
    if task == "quadruped":
        simulation._states[1, 20] = np.nan
    else:
        robot = simulation._robots[1]
        robot._bullet.resetBaseVelocity(robot._body, 3 * [np.nan], [0, 0, 0], physicsClientId=robot._client)
    (lost,) = slots.advance()
    assert (lost.member, lost.steps) == (1, slots.STRETCH + 1)
    assert np.isnan(lost.fitness)
    outcomes = [lost]
    while len(slots.living):
        outcomes += slots.advance()
    assert outcomes[1].steps >= 202
    fitness, metrics = fitness_of(outcomes, c)
    assert metrics["diverged"] == 1
    # It counts as the worst of its generation.
    assert fitness is not None
    assert np.isfinite(fitness).all()


OWN = "front-left=1.0,0.5 back-right=0.8,1.0"


def small_agent(task: str, **settings: Any) -> package.Agent:
    """A random agent with a network that is soon compiled."""
    c, _, network = configure(available(task), hidden=(4,), **settings)
    return package.Agent(c, random_genomes(0, network.parameters, "normal", [0])[0])


def scores_of(agent: package.Agent, body: str) -> list[float]:
    """The first two lives of an evaluation, lived here and by hand."""
    world = agent.task.make_world(2, False)
    slots = make_slots(agent.network, agent.task, world)
    for number in range(2):
        slots.place(number, agent.genome, life_of(0, number, 0, Stream.EVALUATION, body=body))
    outcomes: list[Outcome] = []
    while len(slots.living):
        outcomes += slots.advance()
    return [outcome.fitness for outcome in sorted(outcomes, key=lambda outcome: outcome.number)]


def test_an_agent_is_evaluated_in_any_body(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    agent = small_agent("quadruped", morphologies=("front-left-damaged", "standard"))
    agent.save(tmp_path / "agent.safetensors")
    bodies = ("front-right-damaged", OWN)
    # The last is the first again, by its factors, and lives once.
    given = [word for body in (*bodies, "front-right=1.0,0.25") for word in ("--morphology", body)]
    command = ("evaluate", tmp_path / "agent.safetensors", "--lives", 2, "--workers", 1)
    code, out, err = metahebb(*command, "--json", *given)
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert list(rows) == [f"evolved rules, {body}" for body in bodies]
    assert [row["body"] for row in rows.values()] == [*bodies]
    for body, row in zip(bodies, rows.values(), strict=True):
        assert row["scores"] == scores_of(agent, body)
    assert len({score for row in rows.values() for score in row["scores"]}) == 4
    # Its own is the first that it was evolved in.
    code, out, err = metahebb(*command)
    assert (code, err) == (0, "")
    assert "quadruped: 2 fresh lives" in out
    assert "evolved rules, front-left-damaged" in out


def test_an_agent_of_the_merged_robot_is_measured_in_the_exact_one(
    metahebb: Callable[..., Answer], tmp_path: Path
) -> None:
    agent = small_agent("quadruped-bullet", simulator="merged")
    agent.save(tmp_path / "agent.safetensors")
    command = ("evaluate", tmp_path / "agent.safetensors", "--lives", 2, "--workers", 1)
    exact, merged = (scores_of(there, "standard") for there in (agent.living_in(simulator="exact"), agent))
    assert exact != merged
    code, out, err = metahebb(*command, "--json")
    assert (code, err) == (0, "")
    row = json.loads(out)
    assert (row["simulator"], row["body"], row["scores"]) == ("exact", "standard", exact)
    code, out, err = metahebb(*command, "--simulator", "merged")
    assert (code, err) == (0, "")
    assert "quadruped-bullet, simulator merged: 2 fresh lives" in out
    assert f"{np.mean(merged):.1f} ± {np.std(merged):.1f}" in out


def test_a_body_that_is_none_is_told_before_a_life_is_lived(
    metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_agent("quadruped").save(tmp_path / "agent.safetensors")
    monkeypatch.setattr(package.api, "Workers", None)
    bodies = ("--morphology", "standard", "--morphology", "three-legged")
    code, out, err = metahebb("evaluate", tmp_path / "agent.safetensors", *bodies)
    assert (code, out) == (2, "")
    assert err.startswith("Error: There is no body named 'three-legged'")
    assert err.count("\n") == 1


WITHOUT_PYBULLET = """
import sys
sys.modules["pybullet"] = None
from metahebb.cli import main
sys.argv = ["metahebb", *sys.argv[1:]]
main()
"""


def test_without_pybullet_each_command_names_the_remedy(tmp_path: Path) -> None:
    c, _, network = configure("quadruped")
    agent = package.Agent(c, np.ones(network.parameters, np.float32))
    # An agent of Bullet's robot, made where there is no Bullet either.
    object.__setattr__(c, "task", "quadruped-bullet")
    agent.save(tmp_path / "agent.safetensors")
    for arguments in (["train", "quadruped-bullet"], ["evaluate", "agent.safetensors"], ["watch", "agent.safetensors"]):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_PYBULLET, *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("Error: Task 'quadruped-bullet' needs PyBullet: pip install 'metahebb[bullet]'")
        assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["agent.safetensors"]


def test_pybullet_says_nothing_of_its_own() -> None:
    available("quadruped-bullet")
    code = "from metahebb.tasks import make_task; make_task('quadruped-bullet').make_world(1, False)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def without_opengl(folder: Path, **environment: str) -> dict[str, str]:
    """The environment of a headless machine whose OpenGL cannot be loaded."""
    broken = folder / "broken" / "OpenGL"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise AttributeError('no library here')")
    return {**os.environ, "DISPLAY": "", "WAYLAND_DISPLAY": "", "PYTHONPATH": str(broken.parent), **environment}


def test_training_needs_no_opengl(tmp_path: Path) -> None:
    small = options(population=2, generations=1, validation_lives=1, workers=1, run=str(tmp_path / "run"))
    command = [sys.executable, "-m", "metahebb.cli", "train", "quadruped", *small]
    done = subprocess.run(command, env=without_opengl(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    asked = subprocess.run(command, env=without_opengl(tmp_path / "2", MUJOCO_GL="egl"), capture_output=True, text=True)
    assert (asked.returncode, asked.stderr) == (2, "Error: MuJoCo does not start: AttributeError: no library here\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a window system is always there")
@pytest.mark.parametrize(
    ("setting", "says"),
    [("disable", "apt-get install libegl1 libgl1"), ("nonsense", "invalid value for environment variable MUJOCO_GL")],
)
def test_watch_names_what_drawing_lacks_before_a_life_is_lived(setting: str, says: str, tmp_path: Path) -> None:
    c, _, network = configure("quadruped")
    package.Agent(c, np.zeros(network.parameters, np.float32)).save(tmp_path / "agent.safetensors")
    done = subprocess.run(
        [sys.executable, "-m", "metahebb.cli", "watch", "agent.safetensors"],
        env={**os.environ, "MUJOCO_GL": setting},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["agent.safetensors"]


def in_mjx() -> str:
    """The simulator, where it is installed."""
    pytest.importorskip("mujoco.mjx", reason="the extra mjx is not installed")
    return "mjx"


def test_in_mjx_lives_are_functions_of_their_seeds_and_bodies() -> None:
    _, task, _ = configure("quadruped", simulator=in_mjx())
    with pytest.warns(UserWarning, match="no life ended within 12 steps"):
        check_world(task, steps=12)


def test_a_run_in_mjx_is_measured_in_c(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    small = SETTINGS | {"generations": 1, "population": 2, "hidden": (4,)}
    run = package.train("quadruped", run=tmp_path / "run", workers=1, simulator=in_mjx(), **small)
    (metrics,) = run.metrics()
    assert (metrics["lives"], metrics["diverged"]) == (2, 0)
    assert metrics["steps"] >= 2 * 202
    code, out, err = metahebb("evaluate", run.folder, "--lives", 2, "--workers", 1, "--json")
    assert (code, err) == (0, "")
    row = json.loads(out)
    agent = package.load(run.folder)
    expected = scores_of(agent.living_in(simulator="mujoco"), "standard")
    assert (row["simulator"], row["scores"]) == ("mujoco", expected)
    code, out, err = metahebb("evaluate", run.folder, "--lives", 2, "--workers", 1, "--simulator", "mujoco", "--json")
    assert json.loads(out)["scores"] == expected


WITHOUT_MJX = """
import importlib.metadata, sys
own = importlib.metadata.version
def version(name):
    if name == "mujoco-mjx":
        raise importlib.metadata.PackageNotFoundError(name)
    return own(name)
importlib.metadata.version = version
sys.argv = ["metahebb", *sys.argv[1:]]
from metahebb.cli import main
main()
"""


def test_without_mjx_each_command_names_the_remedy(tmp_path: Path) -> None:
    c, _, network = configure("quadruped")
    agent = package.Agent(c, np.ones(network.parameters, np.float32))
    agent.save(tmp_path / "agent.safetensors")
    for command in ("train quadruped", "evaluate agent.safetensors"):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_MJX, *command.split(), "--simulator", "mjx"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "Error: The simulator mjx needs MuJoCo MJX: pip install --upgrade 'metahebb[mjx]'\n"
    assert [path.name for path in tmp_path.iterdir()] == ["agent.safetensors"]
