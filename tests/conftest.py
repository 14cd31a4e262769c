"""The command, as tests run it: in this process where that will do, as a process of its own where it must die."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from metahebb import cli
from metahebb.worlds.quadruped import MujocoQuadruped
from support import Answer


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the package remembers of its user's code is none of the tests' and the other way round."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder))
        yield folder


@pytest.fixture
def metahebb(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """``metahebb(*arguments)`` is the command's own entry point, called in this process.

    Its worker processes are real. A process of its own would import JAX each time: two seconds.
    """

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["metahebb", *map(str, arguments)])
        capfd.readouterr()
        before = os.dup(1)
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        # A command may have claimed standard output to the end of what it takes for its process.
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)
        out, err = capfd.readouterr()
        assert exit_.value.code is None or isinstance(exit_.value.code, int)
        return Answer(exit_.value.code or 0, out, err)

    return run


@pytest.fixture(scope="session")
def drawing() -> None:
    """For tests that need pictures of the quadruped: they skip, or fail where METAHEBB_TEST_RENDERING is set."""
    world = MujocoQuadruped(1)
    world.reset(0, seed=0)
    try:
        world.render(0)
    except RuntimeError as error:
        (pytest.fail if os.environ.get("METAHEBB_TEST_RENDERING") else pytest.skip)(str(error))
    finally:
        world.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``start(*arguments)`` starts the command as a process of its own; those that are left are killed at the end."""
    started = []

    def run(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "metahebb_command", *map(str, arguments)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
