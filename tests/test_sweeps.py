"""Many runs as one submission: each is what it would have been alone, whatever becomes of the others."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from metahebb.errors import UsageError
from metahebb.sweeps import grid_of, seeds_of
from support import Answer, alive, kill, options, result, tree, wait_for

pytestmark = pytest.mark.xdist_group("sweeps")

TASK = "gymnasium:CartPole-v1"
SETTINGS = options(hidden=4, population=4, generations=6, validate_every=2, validation_lives=2)


def children_of(process: int) -> list[int]:
    listing = subprocess.run(["ps", "-Aww", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in listing.splitlines()]
    return [pid for pid, parent in rows if parent == process]


def test_a_sweep_that_is_killed_goes_on_and_its_runs_are_those_that_they_would_be_alone(
    metahebb: Callable[..., Answer], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "grid.json").write_text(json.dumps({"lr": [0.1, 0.3]}))
    sweep = start(
        "train",
        TASK,
        *SETTINGS,
        "--seeds",
        "3",
        "--grid",
        "grid.json",
        "--workers",
        2,
        "--run",
        "sweep",
        "--sigma",
        0.2,
    )
    metrics = tmp_path / "sweep" / "lr=0.1,seed=3" / "metrics.jsonl"
    wait_for(lambda: sweep.poll() is not None or (metrics.exists() and metrics.read_text().count("\n")))
    children = children_of(sweep.pid)
    assert children, sweep.communicate()
    kill([sweep.pid])
    wait_for(lambda: not any(map(alive, children)))
    answer = metahebb("train", "--resume", tmp_path / "sweep", "--workers", 2)
    assert answer.code == 0, answer.err
    assert re.search(r"lr=0\.1,seed=3 +│ +6/6 ", answer.out)
    assert answer.out.count(": done\n") == 2
    alone = metahebb("train", TASK, *SETTINGS, "--lr", 0.3, "--seed", 3, "--sigma", 0.2, "--run", tmp_path / "alone")
    assert alone.code == 0
    assert result(tmp_path / "sweep" / "lr=0.3,seed=3") == result(tmp_path / "alone")
    assert result(tmp_path / "sweep" / "lr=0.1,seed=3") != result(tmp_path / "alone")


def test_a_run_that_fails_keeps_no_other_from_going_on(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    answer = metahebb(
        "train", TASK, *SETTINGS, "--seeds", "1,2", "--workers", 2, "--run", tmp_path / "sweep", "--time-limit", 1e-9
    )
    assert answer.code == 0, answer.err
    (tmp_path / "sweep" / "seed=1" / "config.json").write_text("{}")
    answer = metahebb("train", "--resume", tmp_path / "sweep", "--workers", 2)
    assert answer.code == 1
    assert re.search(r"Error: 1 of 2 runs failed\. seed=1: .*is not a configuration of metahebb", answer.err)
    assert "seed=2: done\n" in answer.out


@pytest.mark.parametrize(
    ("text", "seeds"), [("1-3", [1, 2, 3]), ("7", [7]), ("0,3, 5-6", [0, 3, 5, 6]), ("2,1-3", [2, 1, 3])]
)
def test_seeds(text: str, seeds: list[int]) -> None:
    assert seeds_of(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "-1", "1..3", "0-99999999", "1.5"])
def test_what_are_no_seeds(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--seeds is '.*'; it must be seeds and ranges of them, such as 1-10 or"):
        seeds_of(text)


def test_a_grid_has_all_combinations(tmp_path: Path) -> None:
    file = tmp_path / "grid.json"
    file.write_text(json.dumps({"lr": [0.1, 0.2], "validate-every": [1, 2]}))
    expected = [{"lr": lr, "validate_every": every} for lr in (0.1, 0.2) for every in (1, 2)]
    assert grid_of(file) == expected


@pytest.mark.parametrize(
    ("words", "grid", "sentence"),
    [
        (["--grid", "grid.json"], "{", "The grid '.*' is not JSON"),
        (["--grid", "grid.json"], "[1]", "The grid '.*' must be lists of values by the names of settings"),
        (["--grid", "grid.json"], '{"lr": 0.1}', "The grid '.*' must be lists of values"),
        (["--grid", "grid.json"], '{"lr": [0.1, -1]}', "--lr is -1"),
        (["--grid", "grid.json"], '{"ler": [0.1]}', "Unknown option 'ler'. Did you mean 'lr'"),
        (
            ["--grid", "grid.json"],
            '{"lr": [0.1, 0.1]}',
            "Two of the runs would be named 'lr=0.1': give each value once",
        ),
        (["--grid", "grid.json", "--seeds", "1-2"], '{"seed": [1]}', "--seeds and the grid both bring seeds"),
        (["--seeds", "1-2", "--seed", "3"], "", "--seed and --seeds both bring seeds"),
        (["--seeds", "1-2", "--resume", "."], "", "--resume continues a run with its own settings; leave out"),
        (["--seeds", "1-200", "--grid", "grid.json"], json.dumps({"lr": [n / 100 for n in range(1, 101)]}), "20,000"),
    ],
)
def test_sweeps_that_cannot_be_leave_nothing_behind(
    words: list[str], grid: str, sentence: str, metahebb: Callable[..., Answer], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.json").write_text(grid)
    task = [] if "--resume" in words else [TASK, *SETTINGS, "--run", "sweep"]
    answer = metahebb("train", *task, *words)
    assert answer.code == 2
    assert re.search(sentence, answer.err), answer.err
    assert list(tree(tmp_path)) == ["grid.json"]
    assert not (tmp_path / "sweep").exists()
