"""Processes that kill themselves at the n-th thing that they do to the disk; what is resumed ends as if none had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import metahebb
from support import result

pytestmark = [
    pytest.mark.xdist_group("kills"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
]

TASK = "gymnasium:CartPole-v1"
SETTINGS: dict[str, Any] = {
    "hidden": [4],
    "population": 4,
    "generations": 2,
    "validate_every": 1,
    "validation_lives": 2,
}
DOOMED_IN_MAKING = 7
"""of the steps on the disk one before the run's folder appears"""
SCRIPT = """
import json, os, pathlib, signal, sys

doomed, done, number = int(sys.argv[1]), 0, int(sys.argv[3])

def dying(function):
    def call(*arguments, **options):
        global done
        done += 1
        if done == doomed:
            os.kill(os.getpid(), number)
        return function(*arguments, **options)
    return call

import metahebb, metahebb.api
# After half of a file, before and after it is flushed, before and after it has its name.
whole = pathlib.Path.write_bytes
def half(path, content):
    with open(path, "wb") as file:
        file.write(content[: len(content) // 2])
dying_half = dying(half)
pathlib.Path.write_bytes = lambda path, content: (dying_half(path, content), whole(path, content))[1]
for name in ("fsync", "replace", "rename", "mkdir"):
    setattr(os, name, dying(getattr(os, name)))

settings = json.loads(sys.argv[2])
if os.path.exists("run"):
    metahebb.resume("run", workers=1)
else:
    metahebb.train(run="run", workers=1, **settings)
print(done)
"""


def evolve(folder: Path, doomed: int, settings: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Begin the run in ``folder``, or go on with it, in a process that dies at its ``doomed``-th step on the disk."""
    return subprocess.run(command(doomed, settings), cwd=folder, capture_output=True, text=True)


def command(doomed: int, settings: dict[str, Any], number: int = signal.SIGKILL) -> list[str]:
    return [sys.executable, "-c", SCRIPT, str(doomed), json.dumps(settings), str(number)]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent to begin with."""
    run = metahebb.train(TASK, run=tmp_path_factory.mktemp("begun") / "run", workers=1, **SETTINGS | {"seed": 3})
    return run.folder / "best.safetensors"


@pytest.fixture(scope="module")
def undisturbed(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    settings = {"task": TASK, "start_from": str(begun), **SETTINGS}
    answer = evolve(folder, 0, settings)
    assert answer.returncode == 0, answer.stderr
    # As many steps as there are to die at.
    assert int(answer.stdout) > 33
    return folder / "run"


@pytest.mark.parametrize("doomed", [3, 7, 11, 15, 21, 26, 33])
def test_a_run_that_dies_at_any_step_on_the_disk_is_resumed(
    doomed: int, begun: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """In the making of its folder, in its first checkpoint, and in the writing of its agents."""
    settings = {"task": TASK, "start_from": str(begun), **SETTINGS}
    assert evolve(tmp_path, doomed, settings).returncode == -signal.SIGKILL
    # Dead again, at the same step of going on, so that what the first left is swept by one that is killed, too.
    if (tmp_path / "run").exists():
        assert evolve(tmp_path, doomed, settings).returncode in (0, -signal.SIGKILL)
    answer = evolve(tmp_path, 0, settings)
    assert answer.returncode == 0, answer.stderr
    assert result(tmp_path / "run") == result(undisturbed)
    # Neither in the run, nor beside it, where it was made.
    left = [path for path in tmp_path.rglob("*") if ".partial" in path.name or ".tmp" in path.name]
    assert left == []


def test_only_what_the_dead_have_left_is_swept(begun: Path, tmp_path: Path) -> None:
    """One is killed while it makes its run, another stands still there, while a third makes one beside them."""
    settings = {"task": TASK, "start_from": str(begun), **SETTINGS}
    assert evolve(tmp_path, DOOMED_IN_MAKING, settings).returncode == -signal.SIGKILL
    (dead,) = tmp_path.iterdir()
    living = subprocess.Popen(command(DOOMED_IN_MAKING, settings, signal.SIGSTOP), cwd=tmp_path)
    theirs = [tmp_path / ".metahebb-0123456789abcdef.partial", tmp_path / ".metahebb-123.partial"]
    try:
        os.waitpid(living.pid, os.WUNTRACED)
        assert not dead.exists()
        (site,) = tmp_path.iterdir()
        theirs[1].mkdir()
        (theirs[0] / "mine").mkdir(parents=True)
        metahebb.api.new_run(run=tmp_path / "third", **settings)
        assert {*tmp_path.iterdir()} == {site, tmp_path / "third", *theirs}
        living.send_signal(signal.SIGCONT)
        assert living.wait() == 0
    finally:
        living.kill()
        living.wait()
    assert {*tmp_path.iterdir()} == {tmp_path / "run", tmp_path / "third", *theirs}
