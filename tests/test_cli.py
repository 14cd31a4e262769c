"""The command as a process: killed, interrupted, resumed, out of time, and two of them at once."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metahebb as package
from metahebb import Run
from metahebb.assembly import configure
from metahebb.json_text import json_text
from support import ENVIRONMENTS, PATIENCE, Answer, alive, options, result, tree, wait_for, workers_of

pytestmark = [
    pytest.mark.xdist_group("cli"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send"),
]

TASK = "gymnasium:CartPole-v1"
SETTINGS: dict[str, Any] = {
    "target": 1e9,
    "population": 32,
    "lives": 8,
    "generations": 9,
    "validate_every": 2,
    "validation_lives": 4,
}
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    return package.train(TASK, run=folder, workers=2, hidden=(8,), **SETTINGS)


def read_to(process: subprocess.Popen[str], text: str) -> str:
    """What a process says up to the line with this text."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"{text!r} was never said: {said!r} {process.stderr and process.stderr.read()}")


def test_a_run_that_is_killed_again_and_again_ends_as_if_it_never_had_been(
    undisturbed: Run, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    beginning = ("train", TASK, "--run", "run", "--hidden", 8, *options(**SETTINGS))
    again = ("train", "--resume", "run")

    def generations() -> int:
        return len(Run(folder, undisturbed.configuration).metrics())

    # As soon as there is a run, in its first generation, and in later ones, at moments that are nowhere special.
    moments: list[tuple[tuple[object, ...], Callable[[int], object], float]] = [
        (beginning, lambda process: folder.exists(), 0.0),
        (again, workers_of, 1.1),
        (again, lambda process: generations() >= 2, 0.037),
        (again, lambda process: generations() >= 4, 0.19),
    ]
    ended = []
    for arguments, moment, seconds in moments:
        process = start(*arguments)
        wait_for(lambda moment=moment, process=process: moment(process.pid))
        time.sleep(seconds)
        ended.append(generations())
        workers = workers_of(process.pid)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        # Killed alone, a run takes its workers with it.
        wait_for(lambda workers=workers: not any(map(alive, workers)))
    assert ended[0] == 0
    assert ended[-1] < SETTINGS["generations"]
    last = start(*again)
    _, err = last.communicate(timeout=PATIENCE)
    assert (last.returncode, err) == (0, "")
    assert result(folder) == result(undisturbed.folder)
    assert not [path for path in tree(tmp_path) if ".safetensors." in path or ".jsonl." in path]


def test_ctrl_c_ends_a_run_with_130_and_it_can_be_resumed(
    undisturbed: Run, start: Start, metahebb: Callable[..., Answer], tmp_path: Path
) -> None:
    process = start("train", TASK, "--run", "run", "--hidden", 8, *options(**SETTINGS))
    read_to(process, "generation 2/")
    workers = workers_of(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err == ("Interrupted; nothing but the lives in flight is lost. Continue: metahebb train --resume run\n")
    assert workers
    # They end when their pipe closes, which is when the run's process is gone.
    wait_for(lambda: not any(map(alive, workers)))
    assert metahebb("train", "--resume", tmp_path / "run").code == 0
    assert result(tmp_path / "run") == result(undisturbed.folder)


def test_two_processes_cannot_work_on_one_run(start: Start, metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    process = start("train", TASK, "--run", "run", "--hidden", 8, *options(**SETTINGS | {"generations": 2000}))
    read_to(process, "generation 1/")
    configuration = (tmp_path / "run" / "config.json").read_text()
    for more in ((), ("--generations", 9)):
        code, out, err = metahebb("train", "--resume", tmp_path / "run", *more)
        assert (code, out) == (2, "")
        assert err == f"Error: Another process is working on the run '{tmp_path / 'run'}'.\n"
    # Not even the number of generations was written.
    assert (tmp_path / "run" / "config.json").read_text() == configuration
    read_to(process, "generation 3/")


def test_a_time_limit_ends_a_run_with_its_generation_validated_and_it_can_be_resumed(
    undisturbed: Run, metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    limited = metahebb(
        "train", TASK, "--run", "run", "--hidden", 8, "--time-limit", 1e-3, "--workers", 1, *options(**SETTINGS)
    )
    assert (limited.code, limited.err) == (0, "")
    assert "The time limit has passed (generation 1)." in limited.out
    assert limited.out.endswith("Continue it: metahebb train --resume run\n")
    # The last generation's mean is validated, whichever it is: the agent is not that of several generations ago.
    (only,) = package.open_run(tmp_path / "run").metrics()
    assert only["generation"] == 0
    assert only["validation"] is not None
    assert (tmp_path / "run" / "best.safetensors").exists()
    assert metahebb("train", "--resume", "run").code == 0
    resumed, never_stopped = result(tmp_path / "run"), result(undisturbed.folder)
    assert resumed["metrics"][0].pop("validation") == only["validation"]
    assert resumed["metrics"] == never_stopped["metrics"]
    # One validation more than the other run had, so its best agent may be another; the population's is the same.
    assert resumed["agents"]["latest.safetensors"] == never_stopped["agents"]["latest.safetensors"]


def test_a_finished_run_says_so(undisturbed: Run, metahebb: Callable[..., Answer]) -> None:
    before = result(undisturbed.folder)
    code, out, err = metahebb("train", "--resume", undisturbed.folder)
    assert (code, err) == (0, "")
    assert "All 9 generations are done (generation 9)." in out
    assert result(undisturbed.folder) == before


def test_a_run_without_a_name_takes_the_first_that_is_free(
    metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "CartPole-v1-1").mkdir(parents=True)
    assert metahebb("train", TASK, *options(population=2, generations=1, validation_lives=1, workers=1)).code == 0
    assert (tmp_path / "runs" / "CartPole-v1-2" / "config.json").exists()


def test_evaluate_writes_json_alone(undisturbed: Run, metahebb: Callable[..., Answer]) -> None:
    code, out, err = metahebb("evaluate", undisturbed.folder, "--lives", 6, "--json", "--beside-random")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert list(rows) == ["evolved rules", "random rules"]
    scores = rows["evolved rules"]
    assert (scores["simulator"], scores["body"]) == (None, None)
    assert scores["lives"] == len(scores["scores"]) == 6
    assert scores["mean"] == pytest.approx(sum(scores["scores"]) / 6)
    assert scores["min"] <= scores["median"] <= scores["max"]
    assert package.evaluate(undisturbed, 6, workers=1).scores.tolist() == scores["scores"]


NOISY = """
import atexit, ctypes, os, sys, gymnasium
from gymnasium import spaces

def say(where):
    print("printed", where)
    os.write(1, f"written {where}\\n".encode())
    ctypes.CDLL(None).puts(f"put {where}".encode())

say("at import")
if "metahebb_command" in sys.argv[0]:
    atexit.register(say, "at exit")

class Noisy(gymnasium.Env):
    observation_space, action_space = spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (1,))

    def __init__(self):
        say("when made")

    def reset(self, *, seed=None, options=None):
        say("at reset")
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 2.0, True, False, {}

gymnasium.register("Noisy-v0", entry_point=Noisy)

def grow(pre, post, weight, A):
    say("in a rule")
    return A * pre * post
"""


def test_json_is_alone_whatever_prints(start: Start, tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    c, _, network = configure(
        "gymnasium:Noisy-v0",
        imports=(str(tmp_path / "noisy.py"),),
        rule=f"{tmp_path / 'noisy.py'}:grow",
        hidden=(3,),
    )
    package.Agent(c, np.ones(network.parameters, np.float32)).save(tmp_path / "agent.safetensors")
    process = start("evaluate", "agent.safetensors", "--trust-code", "--json", "--lives", 2, "--workers", 1)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    for verb in ("printed", "written", "put"):
        for where in ("at import", "at exit", "when made", "at reset", "in a rule"):
            assert f"{verb} {where}" in err

    assert json.loads(out)["scores"] == [2, 2]
    assert out.count("\n") == 1


def test_numbers_that_json_has_not_are_null() -> None:
    evaluation = package.Evaluation(np.array([1.5e308, 1.5e308, np.inf]), 0, 3, 0.5)
    with np.errstate(all="ignore"):
        text = json_text({"evolved": evaluation.to_json(), "rest": (np.float64("nan"), -math.inf, "NaN", True, 2**70)})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    read = json.loads(text, parse_constant=refuse)
    assert read["evolved"]["scores"] == [1.5e308, 1.5e308, None]
    assert (read["evolved"]["mean"], read["evolved"]["median"]) == (None, 1.5e308)
    assert read["rest"] == [None, None, "NaN", True, 2**70]


def test_what_an_environment_prints_is_shown_as_it_is_and_once(metahebb: Callable[..., Answer], tmp_path: Path) -> None:
    settings = options(population=2, generations=1, validation_lives=1, workers=2, hidden=4)
    task = ("gymnasium:Talkative-v0", "--import", ENVIRONMENTS)
    code, _, err = metahebb("train", *task, "--run", tmp_path / "run", *settings)
    assert code == 0
    line = "[the wheel] turns " + "and turns " * 20
    assert err == line.rstrip() + "\n"
    assert (tmp_path / "run" / "log.txt").read_text().count("INFO [the wheel] turns") == 1
