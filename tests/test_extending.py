"""The tasks of docs/extending.md, in files of a user's own, as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metahebb.tasks import Options, Task, make_task
from metahebb.testing import check_world
from support import Answer

DOCS = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()


def snippet(containing: str) -> str:
    (found,) = (code for code in re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL) if containing in code)
    return found


@pytest.mark.parametrize(("task", "file"), [("chase", "my_tasks.py"), ("lights", "my_lights.py")])
def test_a_task_of_the_docs_evolves_and_keeps_what_it_promises(
    task: str, file: str, metahebb: Callable[..., Answer], tmp_path: Path
) -> None:
    assert f"`{file}`" in DOCS
    path = tmp_path / file
    path.write_text(snippet(f'register_task("{task}"'))
    command = re.search(rf"metahebb (train {task} --import {file} --generations )\d+ --run (\S+)\n", DOCS)
    assert command is not None
    words = command[1].replace(file, str(path)).split()
    code, out, err = metahebb(*words, 8, "--run", tmp_path / "run", "--workers", 1)
    assert (code, err) == (0, "")
    assert "All 8 generations are done" in out
    code, out, err = metahebb("evaluate", tmp_path / "run", "--lives", 20, "--workers", 1, "--beside-random", "--json")
    assert (code, err) == (0, "")
    evolved, random = json.loads(out).values()
    assert evolved["mean"] > random["mean"]
    with pytest.raises(ValueError, match=f"Task '{task}' has no options"):
        make_task(task, Options(greyscale=True))
    made = make_task(task)
    assert isinstance(made, Task)
    check_world(made, steps=110)


def test_the_test_of_the_docs_is_one(tmp_path: Path) -> None:
    (tmp_path / "my_tasks.py").write_text(snippet('register_task("chase"'))
    (tmp_path / "test_chase.py").write_text(snippet("def test_chase"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_chase.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_chase_of_the_docs_is_filmed(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    path = tmp_path / "my_tasks.py"
    path.write_text(snippet('register_task("chase"'))
    small = ("--population", 2, "--generations", 1, "--validation-lives", 1, "--hidden", 4, "--workers", 1)
    code, _, err = metahebb("train", "chase", "--import", path, "--run", tmp_path / "run", *small)
    assert (code, err) == (0, "")
    code, out, err = metahebb("watch", tmp_path / "run", "--video", tmp_path / "life.mp4")
    assert (code, err) == (0, "")
    assert "A life of 100 steps" in out
    assert (tmp_path / "life.mp4").stat().st_size > 0
