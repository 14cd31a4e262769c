"""A disk that fills up or refuses: one sentence, and what was written before is intact."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import metahebb as package
from metahebb import RunError
from metahebb.files import replacing, writing
from support import Answer, options, result, tree

pytestmark = pytest.mark.xdist_group("files")

TASK = "gymnasium:CartPole-v1"
SETTINGS: dict[str, Any] = {"population": 4, "generations": 4, "validation_lives": 2, "validate_every": 1}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A place for ``mount`` to put a small disk."""
    place = tmp_path / "disk"
    place.mkdir()
    yield place
    subprocess.run(["umount", str(place)], capture_output=True)


def mount(place: Path, kibibytes: int, *how: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", ",".join([*how, f"size={kibibytes}k"]), "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip(f"disks cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    package.train(TASK, run=folder, workers=1, hidden=(64, 32), **SETTINGS)
    return result(folder)


# TensorBoard's thread tells of its own failure, too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
# An agent has 48 KiB and a checkpoint 47: the disk is full at the first agent, at the first checkpoint but one, and at
# the third.
@pytest.mark.parametrize("kibibytes", [60, 180, 240])
def test_a_run_whose_disk_fills_up_stops_and_can_go_on(
    kibibytes: int, disk: Path, undisturbed: dict[str, Any], metahebb: Callable[..., Answer]
) -> None:
    mount(disk, kibibytes)
    run = disk / "run"
    code, _, err = metahebb("train", TASK, "--run", run, "--hidden", "64,32", "--workers", 1, *options(**SETTINGS))
    assert code == 1
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert "No space left on device" in err
    assert "--resume" in err
    # Whatever is there is whole.
    for agent in run.glob("*.safetensors"):
        package.load(agent)
    package.open_run(run).metrics()
    assert not [name for name in tree(disk) if "/." in name and name != "run/.lock"]

    # Still full: the same again.
    assert metahebb("train", "--resume", run, "--workers", 1).code == 1
    mount(disk, 4096, "remount")
    assert metahebb("train", "--resume", run, "--workers", 1).code == 0
    assert result(run) == undisturbed


def test_a_disk_that_cannot_be_written_is_told_before_work_starts(disk: Path, metahebb: Callable[..., Answer]) -> None:
    mount(disk, 4096)
    package.api.new_run(TASK, run=disk / "old", **SETTINGS)
    mount(disk, 4096, "remount", "ro")
    for arguments in (("train", TASK, "--run", disk / "new"), ("train", "--resume", disk / "old")):
        code, out, err = metahebb(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("Error: ")
        assert err.count("\n") == 1
        assert "Read-only file system" in err


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing("The file", path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    with contextlib.suppress(ZeroDivisionError), replacing("The file", path) as temporary:
        temporary.write_text("two")
        raise ZeroDivisionError
    assert tree(tmp_path) == {"file": b"one"}


def test_only_what_the_disk_says_becomes_a_sentence(tmp_path: Path) -> None:
    says = r"The page '.*page' could not be written: No such file or directory\."
    with pytest.raises(RunError, match=says), writing("The page", tmp_path / "page"):
        (tmp_path / "nowhere" / "page").write_text("")
    with pytest.raises(ValueError, match="mine"), writing("The page", tmp_path / "page"):
        raise ValueError("mine")
