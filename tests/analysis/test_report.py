"""The report of a small run: one file that needs nothing else."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

import metahebb as package
from metahebb.analysis import report
from support import Answer


class Parts(HTMLParser):
    """What an HTML page consists of."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attributes if name in ("src", "href", "srcset")]
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def test_the_report_of_a_run(metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RECORDED_LIVES", 2)
    settings = {"hidden": [4], "population": 4, "generations": 2, "validate_every": 1, "validation_lives": 2}
    package.train("gymnasium:CartPole-v1", run=tmp_path / "run", workers=1, **settings)
    out = tmp_path / "report.html"
    command = ["report", tmp_path / "run", "--out", out, "--lives", "4", "--workers", "1"]

    answer = metahebb(*command, "--perturb", "zero-weights@5", "--perturb", "noise-sensors:0.1@0-")

    assert answer.code == 0, answer.err
    parts = Parts()
    parts.feed(out.read_text())
    assert not parts.open
    assert all(source.startswith("data:") for source in parts.sources), "nothing is fetched"
    films = [source for source in parts.sources if source.startswith("data:video/mp4;base64,")]
    assert base64.b64decode(films[0].partition(",")[2])[4:8] == b"ftyp"
    assert len(parts.sources) == 8, "seven figures and a film"
    for text in ("undisturbed", "zero-weights@5", "noise-sensors:0.1@0-", "random rules", "ABCD_lr", "numpy"):
        assert text in parts.texts, text
    text = "  ".join(filter(None, parts.texts))
    mean = package.evaluate(tmp_path / "run", 4, workers=1).mean
    assert re.search(rf"{mean:.1f} ±", text)
    # Times are those of a comparison in the same lives.
    plain, rules, disturbed, _ = package.compare(
        tmp_path / "run", perturb=["zero-weights@5"], lives=4, random_rules=True, workers=1
    ).rows
    for name, row in {"undisturbed": plain, "random rules": rules}.items():
        assert f"{name}  {row.scores.reached}  {row.scores.competence}  –  –" in text
    depth = f"{disturbed.scores.depth:.0%}".replace("-", "−")
    assert f"zero-weights@5  –  –  {depth}  {disturbed.scores.recovery}" in text
    assert metahebb(*command).code == 2, "it exists"
    bad = metahebb(*command[:2], "--out", tmp_path / "other.html", "--perturb", "zero-wieghts@5")
    assert (bad.code, bad.err.count("\n")) == (2, 1)
    assert not (tmp_path / "other.html").exists()
