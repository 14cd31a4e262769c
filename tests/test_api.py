"""The Python interface, as scripts and notebooks use it."""

from __future__ import annotations

import json
import linecache
import resource
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metahebb as package
from metahebb import UsageError
from metahebb.api import new_run
from metahebb.assembly import configure
from metahebb.evolution.training import strategy_of
from metahebb.rules import load_rule
from support import ENVIRONMENTS, PATIENCE, Answer, options, tree

pytestmark = pytest.mark.xdist_group("api")

TASK = "gymnasium:Target-v0"
OURS: dict[str, Any] = {"imports": (str(ENVIRONMENTS),), "hidden": (4,), "population": 4, "validation_lives": 2}


def python(code: str, *options: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_importing_changes_nothing_starts_nothing_and_is_light() -> None:
    answer = python("""
        import os, sys, threading
        before = dict(os.environ), threading.active_count()
        import metahebb
        assert (dict(os.environ), threading.active_count()) == before
        heavy = {"jax", "evosax", "typer", "rich", "matplotlib", "mujoco", "pybullet", "pygame"} & set(sys.modules)
        assert not heavy, heavy
        for name in metahebb.__all__:
            getattr(metahebb, name)
        assert (dict(os.environ), threading.active_count()) == before
        assert not os.path.exists("/proc/self") or not open(f"/proc/self/task/{os.getpid()}/children").read()
    """)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_help_answers_within_a_second() -> None:
    seconds = []
    for _ in range(3):
        # The processor's time: what else the machine does is not ours to answer for.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = subprocess.run([sys.executable, "-m", "metahebb.cli", "--help"], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert answer.returncode == 0
        assert all(command in answer.stdout for command in ("train", "evaluate", "watch", "rules", "tasks"))
    assert min(seconds) < 1


SCRIPT = """
import json
import jax.numpy as jnp
import metahebb

HALF = 0.5

def mine(pre, post, weight, A, eta):
    '''η(A·oi·oj − w/2)'''
    return eta * (A * pre * jnp.tanh(post) - HALF * weight)

run = metahebb.train(
    "gymnasium:CartPole-v1", run="run", rule=mine, hidden=[4], population=4, generations=1, validation_lives=2,
    validate_every=1, workers=1,
)
metahebb.resume(run, generations=2, workers=1)
agent = metahebb.load("run/latest.safetensors")
evaluation = metahebb.evaluate(agent, lives=3, workers=1)
print(json.dumps({
    "generations": len(run.metrics()), "coefficients": agent.network.rule.coefficients, "rule": agent.network.rule.name,
    "scores": evaluation.scores.tolist(), "steps": evaluation.steps,
}))
"""


def test_a_script_without_a_guard_trains_a_rule_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    answer = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    said = json.loads(answer.stdout.splitlines()[-1])
    assert said["generations"] == 2
    assert said["coefficients"] == ["A", "eta"]
    assert len(said["scores"]) == 3
    assert said["steps"] == sum(said["scores"])
    # The run stands for itself: the script that made it may go.
    (tmp_path / "script.py").unlink()
    rule = load_rule(str(tmp_path / "run" / "mine.py") + ":mine")
    assert float(rule(1.0, 1.0, 0.5, 2.0, 0.1)) == pytest.approx(0.1 * (2 * np.tanh(1) - 0.25))


def notebook_cell(code: str, number: int) -> dict[str, Any]:
    """Run code as a notebook runs a cell: compiled under a name of its own, its source known to ``linecache``."""
    name = f"<ipython-input-{number}-cell>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, name, "exec"), namespace)
    return namespace


def test_a_rule_of_a_notebook_trains(tmp_path: Path) -> None:
    cell = notebook_cell("RATE = 0.1\ndef decaying(pre, post, weight, A):\n    return RATE * (A * pre - weight)\n", 7)
    run = package.train(TASK, run=tmp_path / "run", rule=cell["decaying"], generations=1, workers=1, **OURS)
    rule = run.latest.network.rule
    assert rule is not None
    assert float(rule(1.0, 0.0, 0.5, 2.0)) == pytest.approx(0.15)


HELPER = [1, 2]


def leaning(pre, post, weight, A):  # type: ignore[no-untyped-def]
    return A * len(HELPER)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda pre, post, weight, A: A * pre, r"'<lambda>' is not\. Give it a name"),
        (np.add, "is a function made with def"),
        (leaning, r"'leaning' uses 'HELPER'.*as 'my_rules\.py:leaning'"),
        (eval("lambda: 0").__class__(compile("def typed(a): 0", "<stdin>", "exec").co_consts[0], {}), "'typed' cannot"),
    ],
    ids=["a lambda", "a ufunc", "one that leans on others", "one that was typed in"],
)
def test_a_rule_without_a_text_of_its_own_gets_a_sentence(rule: Callable[..., Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        package.train(TASK, run=tmp_path / "run", rule=rule, **OURS)
    assert tree(tmp_path) == {}


def test_bad_input_from_python_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--population is 3"):
        package.train(TASK, run=tmp_path / "run", **OURS | {"population": 3})
    with pytest.raises(UsageError, match=r"Unknown option 'popluation'\. Did you mean 'population'"):
        package.train(TASK, run=tmp_path / "run", popluation=4, **OURS)
    with pytest.raises(UsageError, match="There is no agent or run"):
        package.load(tmp_path / "run")
    assert tree(tmp_path) == {}


def test_a_configuration_reads_back(tmp_path: Path) -> None:
    settings = OURS | {
        "rule": "oja",
        "normaliser": "l2",
        "sigma": 0.2,
        "generations": 2,
        "seed": 5,
        "validate_every": 1,
    }
    run = package.train(TASK, run=tmp_path / "run", workers=1, **settings)
    again = package.train(config=tmp_path / "run" / "config.json", run=tmp_path / "again", workers=1)
    assert again.configuration == run.configuration
    assert (again.latest.genome == run.latest.genome).all()
    # An option goes before the file.
    (tmp_path / "other").mkdir()
    other = package.api.new_run(config=tmp_path / "run" / "config.json", run=tmp_path / "other" / "run", sigma=0.3)
    assert other.configuration.sigma == 0.3
    assert other.configuration.rule == "oja"


def test_evolution_starts_from_an_agent(tmp_path: Path) -> None:
    settings = OURS | {"rule": "ABC", "generations": 2}
    first = package.train(TASK, run=tmp_path / "first", workers=1, **settings)
    # Steps too small to move: what comes out is what went in.
    second = package.train(
        TASK, run=tmp_path / "second", start_from=first.folder / "latest.safetensors", lr=1e-9, lr_minimum=0,
        generations=1, population=4, validation_lives=2, imports=OURS["imports"], workers=1,
    )  # fmt: skip
    assert second.configuration.rule == "ABC"
    assert second.configuration.hidden == (4,)
    evolved = first.latest.network.evolved_parameters
    np.testing.assert_allclose(second.latest.genome[:evolved], first.latest.genome[:evolved], atol=1e-6)
    assert np.abs(second.latest.genome).max() > 0.1
    assert "another rule" not in (second.folder / "log.txt").read_text()


def test_an_agent_of_another_rule_is_told_of_where_its_genes_fit(
    metahebb: Callable[..., Answer], tmp_path: Path
) -> None:
    rule = tmp_path / "mine.py"
    rule.write_text("def rule(pre, post, weight, A, B):\n    return A * pre * post + B\n")
    small = ["--run", tmp_path / "run", *options(hidden=4, population=2, generations=1, validation_lives=1, workers=1)]
    first = new_run("gymnasium:CartPole-v1", run=tmp_path / "first", rule=f"{rule}:rule", hidden=(4,))
    agent = package.Agent(first.configuration, np.zeros(56, np.float32))
    (tmp_path / "old").mkdir()
    agent.save(tmp_path / "old" / "agent.safetensors")
    begun = ("train", "gymnasium:CartPole-v1", "--from", tmp_path / "old" / "agent.safetensors", *small)
    rule.write_text("def rule(pre, post, weight, A, B):\n    return A * post + B\n")
    for given, says in ((rule, "mine.py:rule, of which the file has changed"), (tmp_path / "other.py", "mine.py:rule")):
        given.write_bytes(rule.read_bytes())
        code, _, err = metahebb(*begun, "--rule", f"{given}:rule")
        assert code == 0
        line = (
            f"The agent that evolution starts from was evolved with another rule, {says}: its genes are now taken for "
            f"coefficients of {given.name}:rule."
        )
        assert err == f"Warning: {line}\n"
        assert line in (tmp_path / "run" / "log.txt").read_text()
        shutil.rmtree(tmp_path / "run")
    # As it was, wherever it lies, it is no other.
    assert metahebb(*begun).code == 0
    assert "another rule" not in (tmp_path / "run" / "log.txt").read_text()


def test_an_evaluation_does_not_depend_on_the_workers(tmp_path: Path) -> None:
    run = package.train(TASK, run=tmp_path / "run", generations=1, workers=1, **OURS)
    one, two = (package.evaluate(run, 12, seed=4, workers=workers) for workers in (1, 2))
    assert one.scores.tolist() == two.scores.tolist()
    assert len(set(one.scores)) == 12
    assert (one.mean, one.median) == (np.mean(one.scores), np.median(one.scores))
    random = package.evaluate(run, 12, seed=4, random_rules=True, workers=1)
    assert not set(random.scores) & set(one.scores)


def test_random_rules_are_those_that_evolution_begins_with() -> None:
    """With its seed, the first is the very genome that a run began with; filters have their own scale."""
    c, _, network = configure("car-racing", start="uniform", start_scale=2.0, filter_scale=0.25, seed=7)
    agent = package.Agent(c, np.zeros(network.parameters, np.float32))
    first, second = (package.api.random_genome(agent, 7, number) for number in range(2))
    np.testing.assert_array_equal(first, strategy_of(c, network).init().mean)
    synapses, filters = np.split(second, [network.synaptic_parameters])
    for genes, largest in ((synapses, 2), (filters, 0.5)):
        assert 0.95 * largest < np.abs(genes).max() <= largest
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01


def test_each_life_with_random_rules_has_its_own() -> None:
    c, _, network = configure(TASK, **OURS)
    agent = package.Agent(c, np.zeros(network.parameters, np.float32))
    scores = package.evaluate(agent, 3, seed=3, random_rules=True, workers=1).scores
    for number in (1, 2):
        its = package.Agent(c, package.api.random_genome(agent, 3, number))
        assert package.evaluate(its, 3, seed=3, workers=1).scores[number] == scores[number]


def test_metrics_are_mirrored_to_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = package.train(TASK, run=tmp_path / "run", generations=2, workers=1, **OURS)
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    mirrored = [tensor.tensor_proto for tensor in events.Tensors("fitness_mean")]
    from tensorboard.util.tensor_util import make_ndarray

    assert [float(make_ndarray(proto)) for proto in mirrored] == pytest.approx(
        [line["fitness_mean"] for line in run.metrics()]
    )


def test_a_configuration_of_another_task_brings_its_network_and_search_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.json"
    c = configure("gymnasium:CartPole-v1", frame_stack=2, hidden=(5,), lr=0.3, seed=8, validation_lives=3)[0]
    assert c.target == 475
    file.write_text(json.dumps(c.to_json()))
    same, other = package.api.new_run(config=file), package.api.new_run("gymnasium:Pendulum-v1", config=file)
    assert same.configuration == c
    expected = configure("gymnasium:Pendulum-v1", hidden=(5,), lr=0.3, seed=8, validation_lives=3)[0]
    assert (other.configuration, expected.target) == (expected, None)


def test_what_a_configuration_says_of_another_strategy_or_of_plasticity_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(configure(TASK, rule="oja", lr=0.3, coefficients="float16", **OURS)[0].to_json()))
    static = package.api.new_run(config=file, static=True).configuration
    assert (static.rule, static.coefficients, static.normaliser, static.lr) == ("ABCD_lr", "float32", "none", 0.3)
    snes = package.api.new_run(config=file, strategy="SNES").configuration
    assert (snes.rule, snes.lr) == ("oja", 0.05)
