"""Comparisons and sweeps: whose lives they are, what is written down, and what is refused."""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import metahebb as package
from metahebb import Agent, UsageError
from metahebb.analysis.intervals import bootstrap_interval
from metahebb.analysis.measures import competence, reached, response
from metahebb.assembly import configure
from metahebb.experiments.cells import Cell, live_cells
from metahebb.experiments.controls import controls_of, shuffled_genome
from support import Answer, tree

pytestmark = pytest.mark.xdist_group("experiments")

TASK = "gymnasium:CartPole-v1"
WIPE = "zero-weights@5"


@functools.cache
def agent(number: int = 0, task: str = TASK, **options: object) -> Agent:
    """An agent with random genes, one for each number."""
    c, _, network = configure(task, hidden=(6,), **options)
    return Agent(c, 0.3 * np.random.default_rng(number).standard_normal(network.parameters, np.float32))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where two agents lie, and the working directory."""
    monkeypatch.chdir(tmp_path)
    agent().save("one.safetensors")
    agent(1).save("two.safetensors")
    return tmp_path


def test_all_live_the_lives_that_an_evaluation_lives() -> None:
    shown: list[int] = []
    result = package.compare(
        agent(),
        agent(1),
        perturb=[WIPE],
        lives=6,
        seed=3,
        random_rules=True,
        shuffled_rules=True,
        frozen_from=[0, 7],
        initial_weights=["normal"],
        workers=2,
        begun=shown.append,
        lived=lambda outcome: shown.append(-1),
    )
    rows = {(row.agent, row.control, row.perturbation): row for row in result.rows}
    assert shown == [6 * len(rows), *[-1] * 6 * len(rows)]
    assert len(rows) == 2 * 6 * 2
    name, its = "agent 2", agent(1)
    other = Agent(dataclasses.replace(its.configuration, initial_weights="normal"), its.genome)
    evaluate = functools.partial(package.evaluate, its, 6, seed=3, workers=1)
    expected = {
        ("", ""): evaluate(),
        ("random rules", ""): evaluate(random_rules=True),
        ("frozen from step 7", WIPE): evaluate(perturb=["freeze@7", WIPE]),
        ("initial weights normal", ""): package.evaluate(other, 6, seed=3, workers=1),
    }
    for (control, perturbation), evaluation in expected.items():
        np.testing.assert_array_equal(rows[name, control, perturbation].scores.scores, evaluation.scores)
    shuffled = Agent(its.configuration, shuffled_genome(its, 3, 4))
    score = package.evaluate(shuffled, 5, seed=3, perturb=[WIPE], workers=1).scores[4]
    assert score == rows[name, "shuffled rules", WIPE].scores.scores[4]
    # Whom each is compared with, in the same lives.
    row = rows["agent 2", "", WIPE]
    assert row.against == "agent 1"
    assert row.difference == bootstrap_interval(row.scores.scores - rows["agent 1", "", WIPE].scores.scores)
    assert row.loss == bootstrap_interval(row.scores.scores - rows["agent 2", "", ""].scores.scores)
    assert rows["agent 1", "", ""].difference is None
    assert rows["agent 1", "", WIPE].difference is None
    assert rows["agent 2", "random rules", ""].against == "agent 2"


def test_measures_are_those_of_the_recorded_rewards() -> None:
    result = package.compare(agent(2), perturb=["zero-weights@20"], lives=5, workers=1)
    cell = Cell(agent(2))
    (outcomes,) = live_cells([cell], 5, 0, 1).outcomes
    undisturbed, disturbed = (row.scores for row in result.rows)
    assert undisturbed.competence is not None
    assert undisturbed.reached is not None
    assert undisturbed.competence.times == tuple(competence(outcome.rewards) for outcome in outcomes)
    assert undisturbed.reached.times == tuple(reached(outcome.rewards) for outcome in outcomes)
    # Beside what the strike did, what is seen of the same step where nothing strikes.
    assert undisturbed.responses == tuple(response(outcome.rewards, 20) for outcome in outcomes)
    assert disturbed.competence is None
    assert disturbed.responses is not None
    assert disturbed.unstruck == sum(outcome.steps <= 20 for outcome in outcomes)


def test_shuffled_coefficients_are_the_same_ones_of_the_same_layers() -> None:
    its = agent(0, "car-racing")
    shuffled, parts = (its.network.unflatten(g) for g in (shuffled_genome(its, 0, 1), its.genome))
    for name, part in parts.items():
        if name.startswith("layers"):
            assert (shuffled[name] != part).mean() > 0.7
            np.testing.assert_array_equal(np.sort(shuffled[name], axis=None), np.sort(part, axis=None))
        else:
            np.testing.assert_array_equal(shuffled[name], part)
    # What belonged together does no more.
    order = [np.argsort(np.argsort(shuffled[f"layers.0.{gene}"], axis=None)) for gene in "AB"]
    assert abs(np.corrcoef(*order)[0, 1]) < 0.1
    assert (shuffled_genome(its, 0, 1) == shuffled_genome(its, 0, 1)).all()
    assert (shuffled_genome(its, 0, 1) != shuffled_genome(its, 0, 2)).any()


def test_of_a_static_agent_there_is_nothing_to_freeze() -> None:
    static = agent(0, static=True)
    result = package.compare(agent(), static, lives=2, frozen_from=[0], initial_weights=["normal"], workers=1)
    assert [(row.agent, row.control) for row in result.rows] == [
        ("agent 1", ""), ("agent 1", "frozen from step 0"), ("agent 1", "initial weights normal"), ("agent 2", ""),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="None of the agents is plastic"):
        package.compare(static, lives=2, frozen_from=[0], workers=1)
    (control,) = controls_of(0, initial_weights=["normal"])
    evolved = agent(0, initial_weights="co-evolved")
    cell = control.cell_of(Cell(evolved))
    assert cell is not None
    fewer = evolved.network.parameters - evolved.network.synapses
    assert cell.genome(0).shape == (cell.agent.network.parameters,) == (fewer,)


def test_a_comparison_from_the_command_line(metahebb: Callable[..., Answer], folder: Path) -> None:
    files = [f"result{suffix}" for suffix in (".md", ".csv", ".json")]
    out = [word for file in files for word in ("--out", file)]
    command = ["compare", "one.safetensors", "two.safetensors", "--perturb", WIPE, "--lives", 4, "--random-rules", *out]
    code, shown, err = metahebb(*command, "--workers", 1)
    assert (code, err) == (0, "")
    undisturbed, disturbed = shown.split(f"the same for all, under {WIPE}")
    for shown, names in (undisturbed, ["stays from"]), (disturbed, ["lost to it"]):
        for name in ("one.safetensors", "two.safetensors, random rules", "mean ±", *names):
            assert name in shown
    assert "lost to it" not in undisturbed
    assert len(Path("result.md").read_text().splitlines()) == 2 + 8
    rows = list(csv.DictReader(Path("result.csv").read_text().splitlines()))
    read = json.loads(Path("result.json").read_text())
    assert read["perturbations"] == [WIPE]
    assert [row["agent"] for row in rows[:5]] == ["one.safetensors"] * 4 + ["two.safetensors"]
    for row, its in zip(rows, read["rows"], strict=True):
        assert float(row["mean"]) == its["mean"] == np.mean(its["by_life"]["scores"])
        assert len(its["by_life"]["responses"]) == 4
    assert rows[0]["difference"] == ""
    before = tree(folder)
    code, _, err = metahebb(*command)
    assert code == 2
    assert "'result.md' exists" in err
    assert tree(folder) == before


def test_a_sweep_from_the_command_line(metahebb: Callable[..., Answer], folder: Path) -> None:
    files = [f"sweep{suffix}" for suffix in (".md", ".csv", ".json", ".png", ".svg", ".pdf")]
    out = [word for file in files for word in ("--out", file)]
    ranges = ["--perturb", "noise-weights:0..1:3@5..7:2"]
    code, shown, err = metahebb("sweep", "one.safetensors", *ranges, "--lives", 3, "--workers", 1, *out)
    assert (code, err) == (0, "")
    assert "Mean of all 6 places" in shown
    rows = list(csv.DictReader(Path("sweep.csv").read_text().splitlines()))
    assert [(row["x of noise-weights:x@y"], row["y of noise-weights:x@y"]) for row in rows] == [
        ("", ""), ("0.0", "5.0"), ("0.0", "7.0"), ("0.5", "5.0"), ("0.5", "7.0"), ("1.0", "5.0"), ("1.0", "7.0"),
    ]  # fmt: skip
    struck = package.evaluate(agent(), 3, perturb=["noise-weights:0.5@7"], workers=1).scores
    read = json.loads(Path("sweep.json").read_text())
    assert read["rows"][4]["by_life"]["scores"] == struck.tolist()
    assert read["rows"][0]["by_life"]["scores"] == package.evaluate(agent(), 3, workers=1).scores.tolist()
    # Noise of no deviation is none.
    assert float(rows[1]["difference"]) == 0
    for file, begins in {"sweep.png": b"\x89PNG", "sweep.svg": b"<?xml", "sweep.pdf": b"%PDF"}.items():
        assert Path(file).read_bytes().startswith(begins)


def test_controls_stand_beside_each_place_of_a_sweep(metahebb: Callable[..., Answer], folder: Path) -> None:
    command = ["sweep", "one.safetensors", "--perturb", "zero-weights@5..9:2", "--lives", 3, "--workers", 1]
    controls = ["--frozen-from", 0, "--random-rules", "--shuffled-rules", "--initial-weights", "normal"]
    code, shown, err = metahebb(*command, *controls, "--out", "sweep.json", "--out", "sweep.png")
    assert (code, err) == (0, "")
    rows = json.loads(Path("sweep.json").read_text())["rows"]
    names = ["", "frozen from step 0", "random rules", "shuffled rules", "initial weights normal"]
    assert [row["control"] for row in rows] == [name for name in names for _ in range(3)]
    # They are the lives of a comparison.
    options = {"frozen_from": [0], "random_rules": True, "shuffled_rules": True, "initial_weights": ["normal"]}
    compared = package.compare(agent(), perturb=["zero-weights@9"], lives=3, workers=1, **options)
    expected = {(row.control, bool(row.perturbation)): row for row in compared.rows}
    for at, name in enumerate(names):
        for row, disturbed in ((rows[3 * at], False), (rows[3 * at + 2], True)):
            its = expected[name, disturbed]
            assert row["by_life"]["scores"] == its.scores.scores.tolist()
            assert row["depth_median"] == (its.scores.depth if disturbed else None)
            if name:
                assert its.difference is not None
                assert row["difference"] == its.difference.mean
    assert "random rules" in shown
    plain = metahebb(*command)
    assert "random rules" not in plain.out
    agent(0, static=True).save("static.safetensors")
    command[1] = "static.safetensors"
    code, out, err = metahebb(*command, "--frozen-from", 0)
    assert (code, out) == (2, "")
    assert "no control 'frozen from step 0'" in err


def test_agents_are_swept_beside_each_other(metahebb: Callable[..., Answer], folder: Path) -> None:
    """In the same lives at each place; static weights, of another network, among them."""
    agent(2, static=True).save("static.safetensors")
    agent(0, "gymnasium:Acrobot-v1").save("other.safetensors")
    words = ["--perturb", "zero-weights@5..9:2", "--lives", 3, "--workers", 1, "--frozen-from", 0]
    three = ["one.safetensors", "two.safetensors", "static.safetensors"]
    code, shown, err = metahebb("sweep", *three, *words, "--out", "sweep.json", "--out", "sweep.png")
    assert (code, err) == (0, "")
    rows = json.loads(Path("sweep.json").read_text())["rows"]
    whose = [(name, control) for name in three[:2] for control in ("", "frozen from step 0")] + [(three[2], "")]
    assert [(row["agent"], row["control"]) for row in rows] == [its for its in whose for _ in range(3)]
    scores = [np.array(row["by_life"]["scores"]) for row in rows]
    for i, (name, control) in enumerate(whose):
        alone = metahebb("sweep", name, *words[:-2], "--out", f"{i}.json")
        assert alone.code == 0
        for at in range(3):
            if not control:
                expected = json.loads(Path(f"{i}.json").read_text())["rows"][at]["by_life"]["scores"]
                assert scores[3 * i + at].tolist() == expected
            # The first agent at the same place; of a control, its agent there.
            beside = 3 * (i - 1) + at if control else at
            if i:
                difference = (scores[3 * i + at] - scores[beside]).mean()
                assert rows[3 * i + at]["difference"] == pytest.approx(difference)
    assert "Mean of all 2 places, static.safetensors" in shown
    assert "only agents of one task" in metahebb("sweep", "one.safetensors", "other.safetensors", *words).err


def test_a_sweep_over_bodies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from metahebb.worlds.quadruped import life

    # Its worker imports this module too.
    short = tmp_path / "short_lives.py"
    short.write_text("from metahebb.worlds.quadruped import life\nlife.LIFE_ACTIONS = 12\n")
    monkeypatch.setattr(life, "LIFE_ACTIONS", 12)
    its = agent(0, "quadruped", imports=(str(short),))
    line = package.sweep(its, morphology="front-left=1.0,0.25..1:3", perturb="zero-actuators@4", lives=2, workers=1)
    assert [axis.values for axis in line.axes] == [(0.25, 0.625, 1.0)]
    assert [cell.body for cell in line.cells] == ["front-left-damaged", "front-left=1.0,0.625", "standard"]
    assert {cell.perturbation for cell in line.cells} == {"zero-actuators@4-"}
    assert (line.cells[0].scores.scores != line.cells[2].scores.scores).all()
    expected = package.evaluate(its, 2, morphology="front-left-damaged", perturb=["zero-actuators@4"], workers=1)
    np.testing.assert_array_equal(line.cells[0].scores.scores, expected.scores)
    kandel = package.sweep(its, bodies="kandel", lives=1, workers=1)
    seen = [row["evolved in it"] for row in kandel.to_table()[1:]]
    assert seen == ["yes", "yes", "no", "no", "no"]
    with pytest.raises(UsageError, match="Did you mean 'kandel'"):
        package.sweep(its, bodies="kandle")
    with pytest.raises(UsageError, match="leave one of them out"):
        package.sweep(its, bodies="kandel", morphology="standard")
    with pytest.raises(UsageError, match="no leg named 'middle-left'"):
        package.sweep(its, morphology="middle-left=1.0,0.25..1:3")


REFUSED: dict[str, tuple[list[str], str]] = {
    "an unknown kind": (["--perturb", "zero-wieghts@5"], "Did you mean 'zero-weights'"),
    "a schedule backwards": (["--perturb", "zero-weights@9-5"], "before it begins"),
    "a schedule outside of a life": (["--perturb", "zero-weights@500"], "step 500 is never reached"),
    "no schedule": (["--perturb", "zero-weights@soon"], "'soon' is no schedule"),
    "a layer": (["--perturb", "zero-weights:layer=2@5"], "there is no layer 2; they are numbered from 0 to 1"),
    "a sensor": (["--perturb", "zero-sensors:sensor=4@5"], "there is no sensor 4"),
    "an actuator of a choice": (["--perturb", "zero-actuators@5"], "a choice and no number"),
    "a strength": (["--perturb", "noise-weights:nan@5"], "deviation is 'nan'"),
    "a strength below zero": (["--perturb", "noise-weights:-1@5"], "deviation is -1; it must be 0 or more"),
    "no strength": (["--perturb", "noise-weights@5"], "needs a deviation"),
    "a target that it has not": (["--perturb", "freeze:fraction=0.5@5"], "Unknown setting of freeze 'fraction'"),
    "a fraction of none": (["--perturb", "zero-weights:fraction=0@5"], "above 0 and at most 1"),
    "an image": (["--perturb", "blob@5"], "for colour images"),
    "a condition of another world": (["--perturb", "friction:0.5@5"], "Unknown perturbation 'friction'"),
    "a body": (["--perturb", "body:front-left=1,1@5"], "bodies cannot change"),
    "a file": (["--perturb", "no_such.py:blink@5"], "there is no file"),
    "a function": (["--perturb", "own.py:blnik@5"], "Did you mean 'blink'"),
    "a function of something else": (["--perturb", "own.py:odd@5"], "one of weights, rate, observation, action"),
    "a function that fails": (["--perturb", "own.py:failing@5"], "raised ValueError: not today"),
    "a function of another shape": (["--perturb", "own.py:longer@5"], "returned shape (5,)"),
    "no lives": (["--lives", "0"], "--lives is 0"),
    "a step to freeze from": (["--frozen-from", "-1"], "--frozen-from is -1"),
    "a step to freeze from that is never reached": (["--frozen-from", "500"], "--frozen-from 500 is never reached"),
    "initial weights": (["--initial-weights", "nromal"], "Did you mean 'normal'"),
    "initial weights that are none to draw": (["--initial-weights", "co-evolved"], "is no distribution"),
    "a body of a task without": (["--morphology", "standard"], "has no bodies"),
    "the same agent": (["./one.safetensors"], "is given twice"),
    "an agent of another task": (["other.safetensors"], "only agents of one task"),
    "a world of other arguments": (["shorter.safetensors"], "their worlds differ"),
    "a file of no kind": (["--out", "result.xlsx"], "accepted are .md, .csv, .json"),
    "a file in no folder": (["--out", "nowhere/result.md"], "no folder to lie in"),
}

OWN = """
import jax.numpy as jnp


def blink(key, step, observation):
    return 0 * observation


def odd(key, step, mood):
    return mood


def failing(key, step, weights):
    raise ValueError("not today")


def longer(key, step, observation):
    return jnp.zeros(5)
"""


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_of_a_comparison(metahebb: Callable[..., Answer], folder: Path, what: str) -> None:
    words, sentence = REFUSED[what]
    agent(0, "gymnasium:Acrobot-v1").save("other.safetensors")
    agent(0, max_steps=9).save("shorter.safetensors")
    Path("own.py").write_text(OWN)
    before = tree(folder)
    code, out, err = metahebb("compare", "one.safetensors", *words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1
    assert tree(folder) == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "one or two ranges, FIRST..LAST:COUNT"),
        (["--perturb", "zero-weights@5"], "one or two ranges"),
        (["--perturb", "noise-weights:0..1:2@5..7:2", "--perturb", "scale-weights:0..1:2@5"], "3 are given"),
        (["--perturb", "noise-weights:0..1@5"], "written as FIRST..LAST:COUNT"),
        (["--perturb", "noise-weights:0..1:50@5..60:50"], "2,500 places"),
        (["--perturb", "zero-weights@400..600:3"], "step 500 is never reached"),
        (["--morphology", "front-left=1.0,0.25..1.5:6"], "has no bodies"),
        (["--perturb", "zero-weights@5..7:2", "--out", "sweep.tiff"], ".pdf"),
    ],
)
def test_bad_input_of_a_sweep(metahebb: Callable[..., Answer], folder: Path, words: list[str], sentence: str) -> None:
    before = tree(folder)
    code, out, err = metahebb("sweep", "one.safetensors", *words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert tree(folder) == before


def test_perturbations_are_listed(metahebb: Callable[..., Answer]) -> None:
    code, out, err = metahebb("perturbations", "quadruped")
    assert (code, err) == (0, "")
    for name in ("zero-weights", "noise-weights:DEVIATION", "colour-shift[:0.2]", "friction:VALUE", "body:"):
        assert name in out
    assert "friction" not in metahebb("perturbations").out
    assert metahebb("perturbations", "quadrupde").code == 2


def test_evaluate_and_watch_under_perturbations(metahebb: Callable[..., Answer], folder: Path) -> None:
    code, out, _ = metahebb("evaluate", "one.safetensors", "--lives", 3, "--perturb", WIPE, "--json", "--workers", 1)
    assert code == 0
    read = json.loads(out)
    assert read["perturb"] == [WIPE]
    assert read["scores"] == package.evaluate(agent(), 3, perturb=[WIPE], workers=1).scores.tolist()
    code, out, _ = metahebb("watch", "one.safetensors", "--perturb", WIPE, "--video", "life.gif")
    assert code == 0
    assert f"fitness {read['scores'][0]:.1f}" in out
    assert metahebb("watch", "one.safetensors", "--perturb", "zero@5", "--video", "no.gif").code == 2
    assert not Path("no.gif").exists()
