"""Agents that come with the package: what they are, and that their names are taken wherever agents and runs are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import metahebb as package
from metahebb import shipped
from metahebb.errors import UsageError
from metahebb.shipped import shipped_agents, shipped_names
from metahebb.trust import code_of
from support import Answer, tree

pytestmark = pytest.mark.xdist_group("shipped")

ROOT = Path(__file__).parents[1]
MOST = 6e6
"""bytes of all agents together"""
TINY = {"hidden": [4], "population": 4, "generations": 2, "validate_every": 1, "validation_lives": 2}


def test_all_that_should_be_known_of_an_agent_comes_with_it() -> None:
    assert {"car-racing", "quadruped", "quadruped-bullet"} <= {*shipped_names()}
    for its in shipped_agents():
        assert {path.name for path in its.folder.iterdir()} == {
            "best.safetensors", "config.json", "metrics.jsonl", "record.json",
        }, its.name  # fmt: skip
        record = its.record
        assert record["command"].startswith("metahebb "), its.name
        assert {"hardware", "versions"} <= record.keys()
        evaluation = record["evaluation"]
        assert evaluation["low"] < evaluation["mean"] < evaluation["high"]
        assert evaluation["lives"] >= 100
        assert not code_of(its.configuration)
        lines = package.open_run(its.name).metrics()
        assert record["generations"] == len(lines)
        assert record["steps"] == sum(line["steps"] for line in lines)
        assert record["minutes"] == pytest.approx(sum(line["seconds"] for line in lines) / 60, abs=0.06)
    assert sum(its.size for its in shipped_agents()) <= MOST


@pytest.mark.parametrize("name", ["car-racing", "quadruped"])
def test_a_shipped_agent_scores_as_its_record_says(name: str) -> None:
    agent = package.load(name)
    its = shipped.shipped(name)
    assert agent.configuration == its.configuration
    expected = its.record["evaluation"]
    # Lives are chaotic, so that other processors live others.
    mean = package.evaluate(name, 4, seed=expected["seed"], workers=2).mean
    assert abs(mean - expected["mean"]) < 0.4 * expected["mean"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run."""
    return package.train("gymnasium:CartPole-v1", run=tmp_path_factory.mktemp("ours") / "run", workers=1, **TINY).folder


@pytest.fixture
def ours(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with an agent of its own, ``pole``, put there as any other; the run that it is of."""
    if not (ROOT / "benchmarks").exists():
        pytest.skip("the benchmarks are not here")
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import ship

    folder = tmp_path / "package"
    folder.mkdir()
    for module in (shipped, ship):
        monkeypatch.setattr(module, "FOLDER", folder)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "run")
    for float16 in (False, True):
        # The second takes the place of the first.
        ship.ship("run", "pole", "metahebb train …", "2 cores", None, float16=float16, lives=2 + float16)
    assert [path.name for path in folder.iterdir()] == ["pole"]
    return tmp_path / "run"


def test_names_are_taken_wherever_agents_and_runs_are(metahebb: Callable[..., Answer], ours: Path) -> None:
    evolved, rounded = package.load(ours), package.load("pole")
    np.testing.assert_array_equal(rounded.genome, evolved.genome.astype(np.float16).astype(np.float32))
    assert rounded.record == evolved.record
    record = shipped.shipped("pole").record
    assert "jax" in record["versions"]
    assert record["evaluation"]["mean"] == package.evaluate("pole", 3, workers=1).mean
    assert record["without_rounding"]["mean"] == package.evaluate(ours, 3, workers=1).mean
    assert re.search(r"pole +│ gymnasium:CartPole-v1 +│ +\d+ ± \d+ │ +3 │", metahebb("agents").out)
    before = tree(ours.parent / "package")
    for words in (
        ["evaluate", "pole", "--lives", 2],
        ["compare", "pole", ours, "--lives", 2],
        ["sweep", "pole", "--lives", 2, "--perturb", "noise-weights:0..1:2@5"],
        ["record", "pole", "--lives", 1],
        ["watch", "pole", "--video", "pole.gif"],
        ["plot", "curves", "pole", ours, "--out", "curves.png"],
        ["plot", "coefficients", "pole", "--out", "coefficients.png"],
        ["train", "gymnasium:CartPole-v1", "--from", "pole", "--generations", 1, "--population", 4, "--run", "further"],
    ):
        code, _, err = metahebb(*words, *(["--workers", 1] if words[0] not in ("watch", "plot") else []))
        assert code == 0, err
    assert tree(ours.parent / "package") == before
    code, _, err = metahebb("train", "--resume", "pole")
    assert (code, err) == (
        2, "Error: The run of 'pole', which comes with metahebb, cannot go on; begin another with --from pole.\n",
    )  # fmt: skip


def test_what_lies_at_a_path_of_a_shipped_agents_name_comes_first(ours: Path) -> None:
    shutil.copytree(ours, "pole")
    assert package.load("pole").genome.tobytes() == package.load(ours).genome.tobytes()
    assert package.open_run("pole").checkpoints.exists()
    Path("pole", "best.safetensors").write_text("none")
    with pytest.raises(UsageError, match="is not an agent, or it is cut off"):
        package.load("pole")


@pytest.mark.parametrize("command", ["evaluate", "report", "watch", "compare", "sweep", "record"])
def test_an_unknown_name_gets_a_sentence_with_the_nearest(
    command: str, metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = metahebb(command, "car-racng")
    assert (code, out) == (2, "")
    assert re.fullmatch(
        r"Error: There is no (agent or run at|run folder) 'car-racng'; did you mean 'car-racing', which comes with "
        r"metahebb \(`metahebb agents`\)\?\n",
        err,
    ), err
    assert "did you mean" not in metahebb(command, "nobody").err
    assert metahebb(command, "some/car-racng").err.endswith("'some/car-racng'.\n")
