"""Bad input gets one sentence and an exit code, and nothing is written; each case names what its sentence must say."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import metahebb as package
from metahebb import UsageError
from metahebb.evolution.runs import create_run
from support import ENVIRONMENTS, Answer, tree

pytestmark = pytest.mark.xdist_group("bad input")

TASK = "gymnasium:Target-v0"
SMALL = {"hidden": (4,), "population": 2, "generations": 1, "validation_lives": 1}
OURS = ["--import", str(ENVIRONMENTS)]

TRAIN: dict[str, tuple[list[str], list[str]]] = {
    # what is given: (arguments of `train`, what the sentence says)
    "no task": ([], ["No task", "metahebb tasks"]),
    "a task": (["cra-racing"], ["'cra-racing'", "Did you mean 'car-racing'"]),
    "a task without its prefix": (["CartPole-v1"], ["Did you mean 'gymnasium:CartPole-v1'"]),
    "an environment": (["gymnasium:CartPoll-v1"], ["'CartPoll-v1'", "Did you mean 'CartPole-v"]),
    "an environment's version": (["gymnasium:CartPole-v7"], ["'CartPole-v7'", "CartPole-v1"]),
    "an environment like no other": (["gymnasium:zzzzzz"], ["'zzzzzz'", "metahebb tasks"]),
    "an environment with a bad name": (["gymnasium:"], ["''"]),
    "a rule": ([TASK, "--rule", "ABCD_rl"], ["'ABCD_rl'", "Did you mean 'ABCD_lr'", "my_rules.py:my_rule"]),
    "a strategy": ([TASK, "--strategy", "SNESS"], ["'SNESS'", "Did you mean 'SNES'"]),
    "a strategy that needs more": (
        [TASK, "--strategy", "RandomSearch"],
        ["'RandomSearch'", "it also needs sampling_fn"],
    ),
    "a population that a strategy refuses": (
        [TASK, "--strategy", "PGPE", "--population", "7"],
        ["'PGPE' of evosax refuses --population 7", "must be even"],
    ),
    "an option of a strategy": (
        [TASK, "--strategy", "SNES", "--strategy-option", "std_initt=1"],
        ["'std_initt'", "Did you mean 'std_init'"],
    ),
    "an option of a strategy that is no number": (
        [TASK, "--strategy", "SNES", "--strategy-option", "std_init=big"],
        ["std_init", "'big'"],
    ),
    "a fraction for a strategy's whole number": (
        [TASK, "--strategy", "Rm_ES", "--strategy-option", "m=1.9"],
        ["m is 1.9", "whole number"],
    ),
    "a deviation that no number holds": (
        [TASK, "--strategy", "SNES", "--strategy-option", "std_init=1e400"],
        ["std_init is inf", "finite"],
    ),
    "a deviation of thousands of digits": (
        [TASK, "--strategy", "SNES", "--strategy-option", f"std_init=1{5000 * '0'}"],
        ["std_init is '1000", "finite"],
    ),
    "no subspace": ([TASK, "--strategy", "GuidedES", "--strategy-option", "subspace_dims=0"], ["subspace_dims is 0"]),
    "a subspace larger than the space": (
        [TASK, "--strategy", "GuidedES", "--population", "4", "--strategy-option", "subspace_dims=1000000"],
        ["'GuidedES' of evosax refuses", "subspace_dims=1000000"],
    ),
    "a strategy's option for another": ([TASK, "--strategy-option", "std_init=1"], ["--strategy-option", "openai-es"]),
    "sigma for another strategy": ([TASK, "--strategy", "SNES", "--sigma", "0.2"], ["--sigma", "std_init"]),
    "initial weights": ([TASK, "--initial-weights", "unifrom"], ["'unifrom'", "Did you mean 'uniform'", "co-evolved"]),
    "a normaliser": ([TASK, "--normaliser", "maxabs"], ["'maxabs'", "Did you mean 'max-abs'"]),
    "an activation": ([TASK, "--activation", "tan"], ["'tan'", "Did you mean 'tanh'"]),
    "a storage of coefficients": ([TASK, "--coefficients", "float61"], ["'float61'", "Did you mean 'float16'"]),
    "an optimizer": ([TASK, "--optimizer", "Adam2"], ["'Adam2'", "Did you mean 'adam'"]),
    "a start": ([TASK, "--start", "gauss"], ["'gauss'", "normal, uniform"]),
    "a preset": ([TASK, "--preset", "papper"], ["'papper'", "Did you mean 'paper'"]),
    "an option": ([TASK, "--popluation", "4"], ["--popluation", "--population"]),
    "an option without its value": ([TASK, "--population"], ["--population"]),
    "a number that is none": ([TASK, "--population", "many"], ["--population is 'many'; it must be a whole number."]),
    "a fraction that is none": ([TASK, "--sigma=much"], ["--sigma is 'much'; it must be a number."]),
    "two tasks": ([TASK, TASK], ["extra argument"]),
    "an odd population": ([TASK, "--population", "7"], ["--population is 7", "even", "8 would do"]),
    "no population": ([TASK, "--population", "0"], ["--population is 0", "1 or more"]),
    "negative generations": ([TASK, "--generations", "-1"], ["--generations is -1", "1 or more"]),
    "no lives": ([TASK, "--lives", "0"], ["--lives is 0", "1 or more"]),
    "no sigma": ([TASK, "--sigma", "0"], ["--sigma is 0", "above 0"]),
    "a sigma that is no number": ([TASK, "--sigma", "nan"], ["--sigma is nan", "finite"]),
    "an infinite learning rate": ([TASK, "--lr", "inf"], ["--lr is inf", "finite"]),
    "a negative learning rate": ([TASK, "--lr", "-0.1"], ["--lr is -0.1", "above 0"]),
    "no decay": ([TASK, "--lr-decay", "0"], ["--lr-decay is 0", "above 0"]),
    "a negative penalty": ([TASK, "--penalty", "-1"], ["--penalty is -1", "0 or more"]),
    "an infinite target": ([TASK, "--target", "inf"], ["--target is inf", "finite"]),
    "a negative seed": ([TASK, "--seed", "-1"], ["--seed is -1"]),
    "a seed too large": ([TASK, "--seed", str(2**63)], ["--seed"]),
    "a hidden layer of nobody": ([TASK, "--hidden", "8,0"], ["--hidden", "1 or more"]),
    "a hidden layer that is no number": ([TASK, "--hidden", "8,x"], ["--hidden is '8,x'", "128,64"]),
    "no validation": ([TASK, "--validate-every", "0"], ["--validate-every is 0", "1 or more"]),
    "no workers": ([TASK, "--workers", "0"], ["--workers is 0", "1 or more"]),
    "a time limit that has passed": ([TASK, "--time-limit", "-1"], ["--time-limit is -1", "minutes"]),
    "a time limit that is no number": ([TASK, "--time-limit", "nan"], ["--time-limit is nan"]),
    "an environment's argument without a value": ([TASK, "--env-arg", "speed"], ["--env-arg 'speed'", "key=value"]),
    "an environment's argument that it refuses": ([TASK, "--env-arg", "wings=2"], ["'Target-v0'", "wings"]),
    "frames of numbers": (["gymnasium:FrozenLake-v1", "--frame-stack", "2"], ["--frame-stack", "Box"]),
    "no frames": ([TASK, "--frame-stack", "0"], ["--frame-stack is 0"]),
    "grey numbers": ([TASK, "--greyscale"], ["--greyscale", "coloured images"]),
    "a body": ([TASK, "--morphology", "undamaged"], ["--morphology", "has no bodies"]),
    "a body of the quadruped": (
        ["quadruped", "--morphology", "three-legged"],
        ["'three-legged'", "front-left-damaged"],
    ),
    "a leg of the quadruped": (["quadruped", "--morphology", "middle-left=1,1"], ["'middle-left'", "back-right"]),
    **{
        f"a leg {factor} times as long": (
            ["quadruped", "--morphology", f"front-left=1.0,{factor}"],
            ["lower segment of the front-left leg", "between 0.1 and 4"],
        )
        for factor in ("0", "-1", "nan", "inf", "1e9")
    },
    "a leg with one factor": (["quadruped", "--morphology", "front-left=1.0"], ["'front-left=1.0'", "two factors"]),
    "a simulator": ([TASK, "--simulator", "bullet"], ["--simulator", "leave it out"]),
    "a static network's rule": ([TASK, "--static", "--rule", "oja"], ["--static", "rule", "leave it out"]),
    "observations of text": (
        ["gymnasium:TextObservation-v0"],
        ["Text(", "not supported", "Box", "TransformObservation"],
    ),
    "actions in a tuple": (["gymnasium:Tupled-v0"], ["Tuple(", "not supported", "Discrete", "TransformAction"]),
    "a life of no steps": ([TASK, "--max-steps", "0"], ["--max-steps is 0", "1 or more"]),
    "steps of a task of its own": (["car-racing", "--max-steps", "9"], ["--max-steps", "gymnasium:<id>"]),
    "environments of a task of its own": (["quadruped", "--fresh-environments"], ["--fresh-env", "gymnasium:<id>"]),
    "a module": ([TASK, "--import", "no_such_module"], ["--import 'no_such_module'", "No module named"]),
    "a module's file": ([TASK, "--import", "no_such_file.py"], ["no_such_file.py': there is", "no such file"]),
    "a module that fails": ([TASK, "--import", "failing.py"], ["failing.py' raised", "ValueError: not today"]),
    "a module that says several lines": ([TASK, "--import", "lines.py"], ["lines.py' raised ValueError: two lines\n"]),
    "a rule's file that says several lines": ([TASK, "--rule", "lines.py:grow"], ["ValueError: two lines\n"]),
    "a rule that says several lines": ([TASK, "--rule", "rules.py:lines"], ["ValueError: two lines\n"]),
    **{
        f"an environment that says several lines in its {where}": (
            ["gymnasium:Lines-v0", "--import", "line_env.py", "--env-arg", f"where={where}"],
            ["'Lines-v0'", "raised ValueError: two lines"],
        )
        for where in ("init", "reset", "step")
    },
    "a task that says several lines": (["lines", "--import", "line_env.py"], ["raised ValueError: two lines\n"]),
    "a model that is none": (
        ["gymnasium:Ant-v5", "--env-arg", "xml_file=./bad.xml"],
        ["'Ant-v5'", "nonsense", "line 1"],
    ),
    "a module that exits": ([TASK, "--import", "exiting.py"], ["exiting.py' raised", "SystemExit: 3"]),
    "a rule's file": ([TASK, "--rule", "nowhere.py:grow"], ["'nowhere.py:grow'", "there is no file"]),
    "a rule's name": ([TASK, "--rule", "rules.py:silennt"], ["'silennt'", "Did you mean 'silent'"]),
    "a rule's name left out": ([TASK, "--rule", "rules.py"], ["'rules.py'", "my_rules.py:my_rule"]),
    "a rule's file that fails": ([TASK, "--rule", "failing.py:grow"], ["failing.py", "ValueError: not today"]),
    "a rule's file that exits": ([TASK, "--rule", "exiting.py:grow"], ["exiting.py", "SystemExit: 3"]),
    "a rule that exits": ([TASK, "--rule", "rules.py:exits"], ["SystemExit", "small layer"]),
    "a rule without coefficients": ([TASK, "--rule", "rules.py:bare"], ["(pre, post, weight)", "coefficients"]),
    "a rule with an option": ([TASK, "--rule", "rules.py:keyed"], ["positional"]),
    "a rule that raises": ([TASK, "--rule", "rules.py:raises"], ["ZeroDivisionError", "small layer"]),
    "a rule that branches": ([TASK, "--rule", "rules.py:branches"], ["TracerBoolConversionError", "small layer"]),
    "a rule of the wrong shape": ([TASK, "--rule", "rules.py:tall"], ["shape (4, 3)", "(3, 4)"]),
    "a rule of nothing": ([TASK, "--rule", "rules.py:silent"], ["rules.py:silent", "returned None"]),
    "a rule of NaN": ([TASK, "--rule", "rules.py:nowhere"], ["NaN or infinity"]),
    "a run that exists": ([TASK, "--run", "run"], ["'run' exists", "--resume"]),
    "a folder that exists": ([TASK, "--run", "folder"], ["'folder' exists"]),
    "a file for a run": ([TASK, "--run", "rules.py"], ["'rules.py' exists"]),
    "a configuration that is not there": (
        ["--config", "nothing.json"],
        ["'nothing.json' is not there"],
    ),
    "a configuration that is none": (["--config", "rules.py"], ["'rules.py'", "not a configuration"]),
    "a configuration of another kind": (["--config", "other.json"], ["'other.json'", "not a configuration"]),
    "a configuration of another format": (
        ["--config", "future.json"],
        ["'future.json'", "format 99", "up to 1"],
    ),
    "a configuration with a typo": (["--config", "typo.json"], ["'popluation'", "Did you mean 'population'"]),
    "a configuration with a wrong type": (["--config", "type.json"], ["type.json", "--hidden is 4"]),
    "a configuration and a preset": (
        ["--config", "run/config.json", "--preset", "paper"],
        ["--config", "--preset paper", "leave one of them out"],
    ),
    "a rule for a static configuration": (
        ["--config", "static.json", "--rule", "oja"],
        ["--static networks have no rule", "do without that --config"],
    ),
    "an agent that is not there": ([TASK, "--from", "nobody"], ["no agent or run at 'nobody'"]),
    "an agent that is cut off": ([TASK, "--from", "cut.safetensors"], ["'cut.safetensors'", "cut off"]),
    "an agent that is none": ([TASK, "--from", "rules.py"], ["'rules.py'", "not an agent"]),
    "somebody else's agent": (
        [TASK, "--from", "foreign.safetensors"],
        ["'foreign.safetensors'", "not an agent of metahebb"],
    ),
    "an agent for another task": (
        ["gymnasium:CartPole-v1", "--from", "agent.safetensors"],
        ["'gymnasium:Target-v0'", "'gymnasium:CartPole-v1'", "does not fit"],
    ),
    "an agent of another format": ([TASK, "--from", "future.safetensors"], ["format 99", "formats up to 1"]),
    "an agent with NaN": ([TASK, "--from", "nan.safetensors"], ["'nan.safetensors'", "not finite"]),
    "a run to resume that is not there": (["--resume", "nowhere"], ["no run folder 'nowhere'"]),
    "a run to resume that is none": (["--resume", "folder"], ["'folder' is not a run", "config.json"]),
    "a run to resume of another format": (["--resume", "future"], ["format 99", "formats up to 1"]),
    "a run to resume with other settings": (
        [TASK, "--resume", "run", "--sigma", "0.2"],
        ["--resume", "leave out", "--sigma", "TASK"],
    ),
    "a run to resume to no generations": (["--resume", "run", "--generations", "0"], ["--generations is 0"]),
    "a folder that no user can make": ([TASK, "--run", "rules.py/run"], ["rules.py/run", "Not a directory"]),
    "a folder on a disk that refuses": ([TASK, "--run", "/proc/run"], ["/proc/run", "No such file"]),
}

LONG = {"a name": 300 * "x", "a path": 1500 * "abc/" + "x"}
"""What no system takes: a name of more than 255 characters, a path of 6,000."""

LINES = """
import gymnasium, metahebb, numpy
from gymnasium import spaces

class Lines(gymnasium.Env):
    observation_space, action_space = spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (1,))

    def __init__(self, where):
        self.where = where
        self.say("init")

    def say(self, where):
        if where == self.where:
            raise ValueError("two\\n  lines")

    def reset(self, *, seed=None, options=None):
        self.say("reset")
        return numpy.zeros(2, numpy.float32), {}

    def step(self, action):
        self.say("step")

def make(options):
    raise ValueError("two\\nlines")

gymnasium.register("Lines-v0", entry_point=Lines, max_episode_steps=9)
metahebb.register_task("lines", make)
"""
"""An environment and a task whose errors have two lines."""

PATHS: dict[str, list[str]] = {
    # what is given: the arguments before the path; {} stands for it within a word
    "a run": ["train", TASK, *OURS, "--run", "{}"],
    "a run to resume": ["train", "--resume", "{}"],
    "a configuration": ["train", "--config", "{}.json"],
    "an agent to begin with": ["train", TASK, *OURS, "--from", "{}"],
    "a rule": ["train", TASK, *OURS, "--rule", "{}.py:grow"],
    "a module's file": ["train", TASK, "--import", "{}.py"],
    "a module": ["train", TASK, "--import", "{}"],
    "an agent to evaluate": ["evaluate", "{}"],
    "an agent to watch": ["watch", "{}"],
    "a film": ["watch", "agent.safetensors", "--video", "{}.mp4"],
    "an agent to write": ["import-reference", "nothing.dat", "--out", "{}.safetensors"],
    "a reference's file": [
        *("import-reference", "{}.dat", "--out", "new.safetensors"),
        *("--rule", "A", "--task", "quadruped-bullet", "--initial-weights", "zeros"),
    ],
    "a rule of a configuration": ["train", "--config", "long-rule.json"],
    "a module of a configuration": ["train", "--config", "long-import.json"],
    "a run with such a rule": ["train", "--resume", "long-rule"],
}

OTHERS: dict[str, tuple[list[str], list[str]]] = {
    "a command": (["trian"], ["trian"]),
    "an agent to evaluate": (["evaluate", "nobody"], ["no agent or run at 'nobody'"]),
    "an agent to evaluate that is cut off": (["evaluate", "cut.safetensors"], ["cut off"]),
    "a run without an agent": (["evaluate", "run"], ["'run' has no agent yet"]),
    "a folder that is no run": (["evaluate", "folder"], ["'folder'"]),
    "an evaluation of no lives": (["evaluate", "agent.safetensors", "--lives", "0"], ["--lives is 0"]),
    "an evaluation's seed": (["evaluate", "agent.safetensors", "--seed", "-1"], ["--seed is -1"]),
    "a film's seed": (["watch", "agent.safetensors", "--seed", "-1"], ["--seed is -1"]),
    "an evaluation's body": (["evaluate", "agent.safetensors", "--morphology", "x"], ["--morphology"]),
    "a film's body": (["watch", "agent.safetensors", "--morphology", "standard"], ["--morphology", "has no bodies"]),
    "an evaluation by nobody": (["evaluate", "agent.safetensors", "--workers", "-2"], ["--workers is -2"]),
    "a film's simulator": (["watch", "agent.safetensors", "--simulator", "x"], ["--simulator", "leave it out"]),
    "an agent to watch": (["watch", "nobody"], ["no agent or run at 'nobody'"]),
    "an agent that would replace another": (
        ["import-reference", "nothing.dat", "--out", "agent.safetensors"],
        ["'agent.safetensors' exists", "--overwrite"],
    ),
    "an agent in no folder": (
        ["import-reference", "nothing.dat", "--out", "nowhere/agent.safetensors"],
        ["has no folder to lie in: make 'nowhere' first"],
    ),
    "a film of a strange kind": (["watch", "agent.safetensors", "--video", "life.docx"], ["life.docx", ".mp4"]),
    "a module of tasks": (["tasks", "--import", "no_such_module"], ["no_such_module"]),
}


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with things that are not what they should be."""
    folder = tmp_path_factory.mktemp("things")
    (folder / "folder").mkdir()
    (folder / "folder" / "note.txt").write_text("mine")
    (folder / "failing.py").write_text("raise ValueError('not today')\n")
    (folder / "exiting.py").write_text("raise SystemExit(3)\n")
    (folder / "rules.py").write_text(
        "def bare(pre, post, weight): return weight\n"
        "def keyed(pre, post, weight, *, A): return A * weight\n"
        "def raises(pre, post, weight, A): return 1 // 0\n"
        "def exits(pre, post, weight, A): raise SystemExit(3)\n"
        "def branches(pre, post, weight, A): return A if (A > 0).all() else -A\n"
        "def tall(pre, post, weight, A): return (A * weight).T\n"
        "def lines(pre, post, weight, A): raise ValueError('two\\nlines')\n"
        "def silent(pre, post, weight, A): pass\n"
        "def nowhere(pre, post, weight, A): return A * (pre - pre) / (post - post)\n"
    )
    (folder / "lines.py").write_text("raise ValueError('two\\nlines')\n")
    (folder / "line_env.py").write_text(LINES)
    (folder / "bad.xml").write_text("<mujoco><worldbody><nonsense/></worldbody></mujoco>")
    configuration, _, network = package.assembly.configure(TASK, imports=(str(ENVIRONMENTS),), **SMALL)
    create_run(configuration, folder / "run")
    written = configuration.to_json()
    for name, content in {
        "future": written | {"format": 99},
        "typo": written | {"popluation": 4},
        "type": written | {"hidden": 4},
        "other": [1, 2],
        "static": written | {"static": True, "normaliser": "none"},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    shutil.copytree(folder / "run", folder / "future")
    shutil.copy(folder / "future.json", folder / "future" / "config.json")

    agent = package.Agent(configuration, np.ones(network.parameters, np.float32))
    agent.save(folder / "agent.safetensors")
    whole = (folder / "agent.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    package.Agent(configuration, agent.genome * np.nan).save(folder / "nan.safetensors")
    safetensors.numpy.save_file({"x": np.ones(3)}, folder / "foreign.safetensors")
    parts = safetensors.numpy.load_file(folder / "agent.safetensors")
    facts = {"format": 99, "configuration": written, "record": {}}
    safetensors.numpy.save_file(parts, folder / "future.safetensors", {"metahebb": json.dumps(facts)})
    return folder


@pytest.fixture
def here(things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of these things, as the working directory."""
    folder = Path(shutil.copytree(things, tmp_path / "here"))
    monkeypatch.chdir(folder)
    return folder


def assert_one_sentence(err: str, says: list[str]) -> None:
    assert err.startswith("Error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    for part in says:
        assert part in err


@pytest.mark.parametrize("case", TRAIN)
def test_train_refuses(case: str, here: Path, metahebb: Callable[..., Answer]) -> None:
    arguments, says = TRAIN[case]
    before = tree(here)
    imports = [] if "--resume" in arguments else OURS
    code, out, err = metahebb("train", *arguments, *imports)
    assert_one_sentence(err, says)
    assert code == 2
    assert out == ""
    assert tree(here) == before


def fill_in(folder: Path, name: str) -> None:
    """Configurations that name what the system refuses."""
    written = json.loads((folder / "run" / "config.json").read_text())
    (folder / "long-rule.json").write_text(json.dumps(written | {"rule": f"{name}.py:grow", "rule_digest": 64 * "0"}))
    (folder / "long-import.json").write_text(json.dumps(written | {"imports": [f"{name}.py"]}))
    shutil.copytree(folder / "run", folder / "long-rule")
    shutil.copy(folder / "long-rule.json", folder / "long-rule" / "config.json")


@pytest.mark.parametrize("length", LONG)
@pytest.mark.parametrize("case", PATHS)
def test_a_name_that_the_system_refuses_is_told(
    case: str, length: str, here: Path, metahebb: Callable[..., Answer]
) -> None:
    fill_in(here, LONG[length])
    before = tree(here)
    code, out, err = metahebb(*(word.replace("{}", LONG[length]) for word in PATHS[case]))
    # What a file names lies beside it, whatever the system makes of a path.
    by_path = case in ("a rule of a configuration", "a module of a configuration", "a run with such a rule")
    assert_one_sentence(err, ["by its bare name" if by_path and length == "a path" else "File name too long"])
    assert len(err) < 600
    assert (code, out) == (2, "")
    assert tree(here) == before


@pytest.mark.parametrize("name", ["a\0b", "\ud800"], ids=["NUL", "half a character"])
def test_a_character_that_no_path_has_is_told(name: str, here: Path) -> None:
    fill_in(here, name)
    before = tree(here)
    agent = package.load("agent.safetensors")
    calls: list[Callable[[], object]] = [
        lambda: package.train(TASK, run=name, imports=OURS[1:], **SMALL),
        lambda: package.train(TASK, run="new", start_from=name, imports=OURS[1:], **SMALL),
        lambda: package.train(TASK, run="new", rule=f"{name}.py:grow", imports=OURS[1:], **SMALL),
        lambda: package.train(TASK, run="new", imports=(f"{name}.py",), **SMALL),
        lambda: package.train(run="new", config=name),
        lambda: package.train(run="new", config="long-rule.json"),
        lambda: package.train(run="new", config="long-import.json"),
        lambda: package.resume(name),
        lambda: package.open_run(name),
        lambda: package.load(name),
        lambda: agent.save(name),
        lambda: package.film(agent, f"{name}.mp4"),
        lambda: package.import_reference([Path(f"{name}.dat")], task=TASK, rule="A", initial_weights="zeros"),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(UsageError, match="it has a character that no path can have") as error:
            call()
        assert "\n" not in str(error.value), number
    assert tree(here) == before


def test_folders_that_may_not_be_opened_are_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's refusal is simulated: whoever may do everything is refused nothing."""
    look = Path.stat

    def refused(path: Path, **options: Any) -> os.stat_result:
        if "locked" in path.parts:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **options)

    monkeypatch.setattr(Path, "stat", refused)
    agent = package.load("agent.safetensors")
    calls: list[Callable[[], object]] = [
        lambda: package.train(TASK, run="locked/run", imports=OURS[1:], **SMALL),
        lambda: package.train(TASK, run="new", start_from="locked/agent", imports=OURS[1:], **SMALL),
        lambda: package.train(TASK, run="new", rule="locked/rules.py:grow", imports=OURS[1:], **SMALL),
        lambda: package.train(TASK, run="new", imports=("locked/env.py",), **SMALL),
        lambda: package.train(run="new", config="locked/config.json"),
        lambda: package.resume("locked/run"),
        lambda: package.load("locked/agent.safetensors"),
        lambda: agent.save("locked/agent.safetensors"),
        lambda: package.film(agent, "locked/life.mp4"),
        lambda: package.import_reference([Path("locked/a.dat")], task=TASK, rule="A", initial_weights="zeros"),
    ]
    for call in calls:
        with pytest.raises(UsageError, match=r"'.*locked.*' cannot be used: Permission denied\."):
            call()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_no_configuration(here: Path) -> None:
    os.mkfifo("pipe.json")
    with pytest.raises(UsageError, match=r"'pipe\.json' is not a file"):
        package.train(config="pipe.json", run="new")


@pytest.mark.parametrize(
    "content",
    ['{"task": ' + 100_000 * "[" + 100_000 * "]" + "}", '{"seed": ' + 5000 * "1" + "}"],
    ids=["deeply nested", "a huge number"],
)
def test_json_beyond_all_bounds_is_no_configuration(content: str, here: Path, metahebb: Callable[..., Answer]) -> None:
    (here / "odd.json").write_text(content)
    code, out, err = metahebb("train", "--config", "odd.json")
    assert_one_sentence(err, ["'odd.json' is not a configuration of metahebb"])
    assert (code, out) == (2, "")


@pytest.mark.parametrize("setting", ["sigma", "target", "seed", "penalty"])
def test_a_number_that_no_float_holds_is_refused(setting: str, here: Path, metahebb: Callable[..., Answer]) -> None:
    written = json.loads((here / "run" / "config.json").read_text())
    (here / "huge.json").write_text(json.dumps(written | {setting: 10**400}))
    code, out, err = metahebb("train", "--config", "huge.json")
    assert_one_sentence(err, ["huge.json", setting])
    assert (code, out) == (2, "")


@pytest.mark.parametrize("case", OTHERS)
def test_other_commands_refuse(case: str, here: Path, metahebb: Callable[..., Answer]) -> None:
    arguments, says = OTHERS[case]
    before = tree(here)
    code, out, err = metahebb(*arguments)
    assert_one_sentence(err, says)
    assert code == 2
    assert out == ""
    assert tree(here) == before
