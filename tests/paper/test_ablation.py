"""The ablation: each run has its minutes, once, however often the command is ended, and what they come to is shown."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import metahebb as package
from metahebb.errors import UsageError
from metahebb.paper import ablation
from metahebb.paper.ablation import ablation_members, ablation_of, evolve_each
from metahebb.sweeps import Member
from support import Answer, kill, tree, wait_for

pytestmark = pytest.mark.xdist_group("paper")

TASK = "gymnasium:CartPole-v1"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One rule and static weights."""
    monkeypatch.setattr(ablation, "RULES", ("ABCD",))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("few")
def test_each_run_has_its_minutes_once(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    command = ["paper", "ablation", TASK, "--retrain", "runs", "--lives", 3, "--workers", 1]
    code, shown, err = metahebb(*command, "--minutes", 0.05, "--seeds", "4", "--out", "ablation.json")
    assert code == 0, err
    assert "Curves: runs/curves.png" in shown
    names = {"rule=ABCD,seed=4", "static,seed=4"}
    assert {name: shown.count(f"{name}: done\n") for name in names} == dict.fromkeys(names, 1)
    spent = json.loads(Path("runs/minutes.json").read_text())
    assert spent.keys() == names
    assert min(spent.values()) >= 0.05
    read = json.loads(Path("ablation.json").read_text())
    rows = {(row["rule"], row["seed"]): row for row in read["rows"]}
    assert rows.keys() == {("ABCD", 4), ("static weights", 4)}
    assert [rows["ABCD", 4][name] for name in ("coefficients", "lives")] == [4, 3]
    for (rule, seed), row in rows.items():
        run = package.open_run(f"runs/rule=ABCD,seed={seed}" if rule == "ABCD" else f"runs/static,seed={seed}")
        assert run.configuration.static == (rule != "ABCD")
        assert (row["generations"], row["evolution_steps"]) == (
            len(run.metrics()), sum(line["steps"] for line in run.metrics()),
        )  # fmt: skip
        np.testing.assert_array_equal(row["by_life"]["scores"], package.evaluate(run, 3, workers=1).scores)
    # Again it is but shown; with more seeds and minutes what is missing is evolved.
    before = tree(tmp_path / "runs")
    assert metahebb(*command, "--minutes", 0.05, "--seeds", "4").code == 0
    assert {name for name, content in tree(tmp_path / "runs").items() if content != before[name]} <= {"curves.png"}
    members = ablation_members(TASK, "runs", [4, 1])
    assert {member.name for member in members} == {*names, "rule=ABCD,seed=1", "static,seed=1"}
    evolve_each(members[:1], 0.08, workers=1)
    assert json.loads(Path("runs/minutes.json").read_text())["rule=ABCD,seed=4"] >= 0.08
    with pytest.raises(UsageError, match=r"has runs of task 'gymnasium:CartPole-v1', not of 'car-racing'"):
        ablation_members("car-racing", "runs", [1, 5])
    assert not Path("runs/static,seed=5").exists()
    assert ablation_of(members, 1, workers=1).missing == ("rule=ABCD,seed=1", "static,seed=1")
    with pytest.raises(UsageError, match="No run of the ablation has an agent yet"):
        ablation_of(members[2:])


def test_what_a_kill_leaves_goes_on(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = start("paper", "ablation", TASK, "--retrain", "runs", "--minutes", 5, "--seeds", "2", "--workers", "1")
    metrics = tmp_path / "runs" / "rule=A,seed=2" / "metrics.jsonl"
    wait_for(lambda: process.poll() is not None or (metrics.exists() and metrics.read_text().count("\n") > 1))
    kill([process.pid])
    process.wait()
    (first, *others) = ablation_members(TASK, tmp_path / "runs", [2])
    assert len(others) == 9
    had = sum(json.loads(line)["seconds"] for line in metrics.read_text().splitlines()) / 60
    told: list[tuple[Member, str]] = []
    evolve_each([first], had, told=lambda member: told.append((member, member.state)))
    assert told == [(first, "done")]
    assert not (tmp_path / "runs" / "minutes.json").exists()


def test_without_a_folder_it_says_what_is_needed(metahebb: Callable[..., Answer]) -> None:
    code, _, err = metahebb("paper", "ablation")
    assert code == 2
    assert "--retrain FOLDER" in err
