"""Runs and agents of format 1 are read for ever: those in ``format_1`` were made by version 0.1.0."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import metahebb
from metahebb.configuration import SETTINGS

RUNS = Path(__file__).with_name("format_1")


@pytest.mark.parametrize(("name", "rule", "parts"), [("plain", "ABCD_lr", 5), ("rule", "leaky", 3)])
def test_an_agent_is_read(name: str, rule: str, parts: int) -> None:
    agent = metahebb.load(RUNS / name, trust_code=True)
    written = json.loads((RUNS / name / "config.json").read_text())
    c = agent.configuration
    assert (c.task, c.hidden, c.population, c.generations) == ("gymnasium:CartPole-v1", (3,), 4, 3)
    assert c.rule.rpartition(":")[2] == rule
    assert c.rule_digest == written["rule_digest"]
    assert agent.network.layers == ((4, 3), (3, 2))
    assert len(agent.genome) == parts * 18
    assert np.isfinite(agent.genome).all()
    for setting, declared in SETTINGS.items():
        # What came later is as it was before it came.
        assert setting in written or getattr(c, setting) == declared.absent


@pytest.mark.parametrize("name", ["plain", "rule"])
def test_a_run_goes_on(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(RUNS / name, tmp_path / name))
    before = metahebb.open_run(folder, trust_code=True).metrics()
    run = metahebb.resume(folder, generations=4, workers=1, trust_code=True)
    assert run.metrics()[:3] == before
    assert [line["generation"] for line in run.metrics()] == [0, 1, 2, 3]
