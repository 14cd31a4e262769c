"""Tasks by their names: metahebb's own, imported when asked for, and those of users."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import metahebb as package
from metahebb import UsageError, register_task
from metahebb.tasks import Options, Task, describe_tasks, make_task, registry
from support import Answer, options, result


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten."""
    monkeypatch.setattr(registry, "_registered", {**registry._registered})


def make(options: Options) -> Task:
    return make_task("gymnasium:CartPole-v1")


def other(options: Options) -> Task:
    raise AssertionError


@pytest.mark.parametrize("name", ["", "a task", "gymnasium:Mine-v0", "gymnasium:", "-mine", "../mine", "mïne", 3])
def test_a_malformed_name_is_refused(name: object) -> None:
    with pytest.raises(UsageError, match=r"cannot be a task's name"):
        register_task(name, make)  # type: ignore[arg-type]


def test_a_name_that_is_taken_is_refused_and_the_same_again_is_not() -> None:
    for name in ("car-racing", "quadruped", "quadruped-bullet"):
        with pytest.raises(UsageError, match=f"There is a task {name!r} already"):
            register_task(name, make)
    register_task("mine", make)
    register_task("mine", make)
    register_task("mine/2.0_b", functools.partial(make))
    register_task("mine/2.0_b", functools.partial(make))
    for function in (other, functools.partial(make, options=None)):
        with pytest.raises(UsageError, match="There is a task 'mine' already"):
            register_task("mine", function)
    with pytest.raises(UsageError, match="must be a function"):
        register_task("third", None)  # type: ignore[arg-type]
    assert "mine" in [row[0] for row in describe_tasks()]


def test_runs_of_one_process_may_have_other_tasks_of_the_same_name(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    text = (
        "import dataclasses, gymnasium\nfrom metahebb import register_task\nfrom metahebb.tasks import make_task\n"
        "def make(options):\n    return dataclasses.replace(make_task('gymnasium:CartPole-v1'), slots={slots})\n"
        "register_task('theirs', make)\n"
        "gymnasium.register('Theirs-v0', 'gymnasium.envs.classic_control:CartPoleEnv', reward_threshold={slots})\n"
    )
    files = []
    # Without a word of Gymnasium's about environments that take another's place.
    recwarn.clear()
    for slots in (3, 5):
        (tmp_path / f"{slots}").mkdir()
        files.append(tmp_path / f"{slots}" / "my_tasks.py")
        files[-1].write_text(text.format(slots=slots))
    for _ in range(2):
        for file, slots in zip(files, (3, 5), strict=True):
            assert make_task("theirs", imports=[str(file)]).slots == slots
            assert make_task("gymnasium:Theirs-v0", imports=[str(file)]).target == slots
    assert not recwarn.list
    files[0].write_text(text.format(slots=7))
    assert make_task("theirs", imports=[str(files[0])]).slots == 7
    with pytest.raises(UsageError, match=r"Both '.*' and '.*' register 'theirs'; give one of them another name"):
        make_task("theirs", imports=map(str, files))
    files[0].write_text(text.format(slots=7) + "register_task('theirs', lambda options: None)\n")
    with pytest.raises(UsageError, match=r"There is a task 'theirs' already"):
        make_task("theirs", imports=[str(files[0])])


def test_what_a_users_function_does_wrong_is_one_sentence() -> None:
    def fails(options: Options) -> Task:
        raise ZeroDivisionError("no wheels")

    register_task("fails", fails)
    with pytest.raises(UsageError, match="Making the task 'fails' raised ZeroDivisionError: no wheels"):
        make_task("fails")
    register_task("nothing", lambda options: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(
        UsageError, match=r"Making the task 'nothing' returned None; it must return a metahebb.tasks.Task"
    ):
        make_task("nothing")
    with pytest.raises(UsageError, match=r"Unknown task 'nothingg'\. Did you mean 'nothing'\?.*imports=\["):
        make_task("nothingg")


WALK = '''
"""A task over a host world: walk to the right."""

import gymnasium
import metahebb
import numpy as np
from metahebb.encoders import VectorEncoder
from metahebb.readouts import readout_for
from metahebb.tasks import Options, Task
from metahebb.worlds import HostWorld


class Walk(HostWorld):
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, slots):
        self.place, self.age = np.zeros(slots), np.zeros(slots, int)

    def reset(self, slot, seed, body=""):
        self.place[slot], self.age[slot] = seed % 5, 0
        return np.array([self.place[slot]], np.float32)

    def step(self, slots, actions):
        self.place[slots] += 2 * actions - 1
        self.age[slots] += 1
        return self.place[slots, None].astype(np.float32), 2.0 * actions - 1, self.age[slots] == 12


def make(options):
    return Task("walk", VectorEncoder(1), readout_for(Walk.action_space), lambda slots, render: Walk(slots))


metahebb.register_task("walk", make)
'''


def test_a_task_of_a_file_is_listed_trained_resumed_and_evaluated_and_not_filmed(
    metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_tasks.py").write_text(WALK)
    monkeypatch.chdir(tmp_path)
    code, out, err = metahebb("tasks", "--import", "my_tasks.py")
    assert code == 0, err
    assert "walk" in [word for line in out.splitlines() for word in line.split()]
    small = options(population=4, validate_every=1, validation_lives=2, hidden=4, workers=2)
    for run, generations in (("whole", 3), ("parts", 2)):
        arguments = ("walk", "--import", "my_tasks.py", "--run", run, "--generations", generations)
        code, _, err = metahebb("train", *arguments, *small)
        assert (code, err) == (0, "")
    # From another folder, by the file's path in the configuration.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, _, err = metahebb("train", "--resume", tmp_path / "parts", "--generations", 3, "--workers", 1)
    assert (code, err) == (0, "")
    assert result(tmp_path / "parts")["metrics"] == result(tmp_path / "whole")["metrics"]
    assert all(-12 <= score <= 12 for score in package.evaluate(tmp_path / "whole", 3, workers=1).scores)
    code, out, err = metahebb("watch", tmp_path / "whole")
    assert (code, out) == (2, "")
    assert err == "Error: There is nothing to film: the world Walk makes no pictures (render).\n"
    assert [*(tmp_path / "elsewhere").iterdir()] == []


def test_a_task_that_only_this_process_knows_leaves_no_run_behind(tmp_path: Path) -> None:
    register_task("mine", make)
    with pytest.raises(UsageError, match=r"Unknown task 'mine'.*imports=\[\"my_file.py\"\]"):
        package.train("mine", run=tmp_path / "run", workers=1, hidden=(4,))
    assert [*tmp_path.iterdir()] == []


def test_a_world_of_no_kind_leaves_no_run_behind(tmp_path: Path) -> None:
    text = WALK.replace("class Walk(HostWorld)", "class Walk")
    (tmp_path / "my_tasks.py").write_text(text)
    with pytest.raises(UsageError, match="class Walk, which is neither a HostWorld nor a TracedWorld"):
        package.train("walk", imports=[tmp_path / "my_tasks.py"], run=tmp_path / "run", workers=1, hidden=(4,))
    assert [path.name for path in tmp_path.iterdir()] == ["my_tasks.py"]


def test_a_task_is_imported_when_it_is_asked_for(tmp_path: Path) -> None:
    # A platform that there is not: whatever starts a backend of JAX fails.
    code = (
        "import sys\n"
        "import metahebb.api, metahebb.cli, metahebb.tasks, metahebb.testing\n"
        "assert not {'mujoco', 'pybullet', 'Box2D', 'metahebb.worlds.car_racing.world'} & {*sys.modules}\n"
        "rows = {row[0]: row for row in metahebb.tasks.describe_tasks()}\n"
        "for name in ('car-racing', 'quadruped', 'gymnasium:metahebb/CarRacing-v0'):\n"
        "    assert len(rows[name]) == 5, rows[name]\n"
        "metahebb.tasks.make_task('car-racing').make_world(1, False)\n"
    )
    environment = {**os.environ, "JAX_PLATFORMS": "no-such-platform"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_another_tasks_simulator_need_not_start(tmp_path: Path) -> None:
    small = options(population=2, generations=1, validation_lives=1, workers=1, hidden=4, run=str(tmp_path / "run"))
    command = [sys.executable, "-m", "metahebb.cli", "train", "gymnasium:CartPole-v1", *small]
    environment = {**os.environ, "MUJOCO_GL": "nonsense"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_accelerators_memory_is_left_to_the_workers_before_anything_can_start_jax(tmp_path: Path) -> None:
    (tmp_path / "my_tasks.py").write_text(
        "import os\nprint(os.environ.get('XLA_PYTHON_CLIENT_PREALLOCATE'))\nimport jax.numpy\njax.numpy.zeros(1)\n"
    )
    code = "import metahebb; metahebb.train('car-racing', imports=['my_tasks.py'], morphologies=['x'])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XLA_PYTHON")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "false\n"
    assert "--morphology" in done.stderr.splitlines()[-1]


def test_a_module_of_tasks_may_import_one_of_environments_that_is_imported_too(tmp_path: Path) -> None:
    (tmp_path / "my_own_envs.py").write_text(
        "import gymnasium\nfrom gymnasium.envs.classic_control import CartPoleEnv\n"
        "class Pole(CartPoleEnv): pass\ngymnasium.register('OwnPole-v0', Pole, max_episode_steps=9)\n"
    )
    (tmp_path / "my_own_tasks.py").write_text(
        "import my_own_envs\nfrom metahebb import register_task\nfrom metahebb.tasks import make_task\n"
        "def make(options):\n    return make_task('gymnasium:OwnPole-v0')\nregister_task('own-pole', make)\n"
    )
    files = [str(tmp_path / name) for name in ("my_own_tasks.py", "my_own_envs.py")]
    for imports in (files, files[::-1]):
        assert make_task("own-pole", imports=imports).encoder.features == 4
