"""The published tables with agents of ours: whose lives they are, what is missing, and agents evolved anew."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metahebb as package
from metahebb import shipped
from metahebb.analysis.intervals import bootstrap_interval
from metahebb.paper import published, tables
from metahebb.paper.published import Place, PublishedRow, PublishedScore, PublishedTable
from support import Answer, result, tree

pytestmark = pytest.mark.xdist_group("paper")

TASK = "gymnasium:CartPole-v1"
TINY = {"hidden": [4], "population": 4, "generations": 5, "validate_every": 1, "validation_lives": 2}
EVOLVED = 3
"""of the generations, since shipped agents' runs may have ended by a time limit"""
TABLE = PublishedTable(
    "Table 0, CartPole",
    (PublishedRow("pole", None, PublishedScore(20, 1), PublishedScore(30, 2)),),
    (Place("pole", None, "ours"), Place("nobody", None, "nowhere")),
    "There is no such table.",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Agents that come with a package: ``pole`` and its twin, evolved for fewer generations than they are set to."""
    folder = tmp_path_factory.mktemp("shipped")
    for name, how in {"pole": {}, "pole-static": {"static": True}}.items():
        run = package.train(TASK, run=folder / name, workers=1, seed=3, **TINY | {"generations": EVOLVED}, **how)
        config = folder / name / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"generations": TINY["generations"]}))
        (folder / name / "record.json").write_text(json.dumps({"generations": len(run.metrics())}))
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, in which the package has these agents and a table of them."""
    folder = tmp_path / "package"
    shutil.copytree(made, folder)
    monkeypatch.setattr(shipped, "FOLDER", folder)
    monkeypatch.setattr(tables, "TABLES", {"table1": TABLE})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_has_the_lives_that_an_evaluation_lives(metahebb: Callable[..., Answer], here: Path) -> None:
    files = [f"table{suffix}" for suffix in (".md", ".csv", ".json")]
    out = [word for file in files for word in ("--out", file)]
    code, shown, err = metahebb("paper", "table1", "--lives", 6, "--seed", 2, "--workers", 1, *out)
    assert (code, err) == (0, "")
    plastic, static = (package.evaluate(name, 6, seed=2, workers=1).scores for name in ("pole", "pole-static"))
    read = json.loads(Path("table.json").read_text())
    scores = {row["agent"]: row["by_life"] and row["by_life"]["scores"] for row in read["rows"]}
    assert scores == {
        "pole-static": static.tolist(), "pole": plastic.tolist(), "nobody-static": None, "nobody": None,
    }  # fmt: skip
    _, low, high = bootstrap_interval(plastic)
    difference = bootstrap_interval(plastic - static)
    cells = [
        "pole, ours",
        "20 ± 1",
        f"{static.mean():.0f} ± {static.std():.0f} [",
        "30 ± 2",
        f"{plastic.mean():.0f} ± {plastic.std():.0f} [{low:.0f}, {high:.0f}]",
        f"{difference.mean:+.0f} [{difference.low:+.0f}, {difference.high:+.0f}]".replace("-", "−"),
    ]
    for text in (shown, Path("table.md").read_text()):
        row = next(line for line in text.splitlines() if "pole, ours" in line)
        assert all(cell in row for cell in cells), row
        assert re.search(r"pole, nowhere [│|] +20 ± 1 [│|] +– [│|] +30 ± 2 [│|] +– [│|] +– [│|]", text)
    for name in ("nobody", "nobody-static"):
        assert f"{name}: no agent of this name comes with this version.\n" in shown
    assert TABLE.remark in shown
    rows = list(csv.DictReader(Path("table.csv").read_text().splitlines()))
    assert float(rows[1]["mean"]) == plastic.mean()
    assert (rows[1]["published_mean"], rows[2]["mean"]) == ("30", "")
    assert metahebb("paper", "table1", *out).code == 2, "the files exist"


def test_agents_are_evolved_anew_as_they_were(metahebb: Callable[..., Answer], here: Path) -> None:
    command = ["paper", "table1", "--retrain", "anew", "--lives", 3, "--workers", 2]
    code, shown, err = metahebb(*command, "--time-limit", 1e-9)
    assert code == 2, "there is nothing to live"
    assert "'anew/pole' has no agent yet" in err
    before = tree(here / "package")
    code, shown, err = metahebb(*command)
    assert code == 0, err
    assert {path.name for path in Path("anew").iterdir()} == {"pole", "pole-static"}
    for name in ("pole", "pole-static"):
        assert result(Path("anew", name)) == result(here / "package" / name)
    assert tree(here / "package") == before
    metrics = tree(here / "anew")
    again = metahebb(*command, "--overwrite")
    assert again.code == 0
    assert again.out.splitlines()[-9:] == shown.splitlines()[-9:]
    changed = {name for name, content in tree(here / "anew").items() if content != metrics.get(name)}
    assert {name for name in changed if "tensorboard" not in name} <= {"pole/log.txt", "pole-static/log.txt"}
    # Another version may have other agents.
    config = here / "package" / "pole" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"seed": 4}))
    code, _, err = metahebb(*command)
    assert code == 2
    assert "'anew/pole' is a run with other settings than pole" in err
    assert metahebb("paper", "table1", "--time-limit", 1).err.startswith("Error: --time-limit is for --retrain")


def test_the_command_says_what_there_is(metahebb: Callable[..., Answer]) -> None:
    code, out, _ = metahebb("paper")
    assert code == 0
    assert all(name in out for name in ("table1", "table2", "ablation"))


def test_the_quadrupeds_table_is_lived_in_each_body(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    out = tmp_path / "table.json"
    code, shown, err = metahebb("paper", "table2", "--lives", 2, "--workers", 2, "--out", out)
    assert (code, err) == (0, "")
    rows: dict[Any, Any] = {
        (row["simulator"], row["body"], row["static"]): row for row in json.loads(out.read_text())["rows"]
    }
    for body in ("standard", "front-right-damaged", "front-left-damaged"):
        expected = package.evaluate("quadruped", 2, morphology=body, workers=1).scores
        np.testing.assert_array_equal(rows["mujoco", body, False]["by_life"]["scores"], expected)
    assert len(rows) == 12
    assert rows["exact", "front-left-damaged", False]["published_mean"] == 452
    assert "1604 ± 171" in shown


def test_the_published_rules_are_rules() -> None:
    assert {*published.RULES} == {*package.RULES} - {"oja"}
