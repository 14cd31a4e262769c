"""Code that travels: a stranger's is not run unasked, one's own is found again, and neither is another than it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import metahebb as package
from metahebb import RunError, UsageError, trust
from metahebb.assembly import configure
from metahebb.configuration import Configuration
from metahebb.evolution.runs import create_run
from metahebb.evolution.workers import Workers
from support import Answer, result, tree

pytestmark = pytest.mark.xdist_group("trust")

SMALL: dict[str, Any] = {"hidden": (4,), "population": 4, "generations": 1, "validation_lives": 2}

ENVIRONMENT = """
import gymnasium, numpy as np
from gymnasium import spaces

class Counting(gymnasium.Env):
    observation_space, action_space = spaces.Box(-1, 1, (3,)), spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), {}

    def step(self, action):
        self.age += 1
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), REWARD, self.age == 9, False, {}

gymnasium.register("NAME-v0", entry_point=Counting)
"""
RULE = "def grow(pre, post, weight, A):\n    return A * pre * post\n"


@pytest.fixture(autouse=True)
def nothing_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A user, and a process, that have never trained; call it for the same user in a process of their own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def forget() -> None:
        monkeypatch.setattr(trust, "_here", {})

    forget()
    return forget


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with nothing in it; what was imported from it is forgotten."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name == "this" or str(getattr(sys.modules[name], "__file__", None) or "").startswith(
            (str(tmp_path), "/tmp/metahebb-")
        ):
            del sys.modules[name]


def environment(path: Path, name: str, reward: float = 1, more: str = "") -> Path:
    """A file that registers an environment whose lives of nine steps have this reward at each."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(more + ENVIRONMENT.replace("NAME", name).replace("REWARD", repr(float(reward))))
    return path


def agent_file(path: Path, **settings: Any) -> Path:
    """An agent of CartPole's, whose file says these settings besides."""
    configuration, _, network = configure("gymnasium:CartPole-v1", hidden=(4,), rule="A")
    package.Agent(configuration, np.ones(network.parameters, np.float32)).save(path)
    parts = safetensors.numpy.load_file(path)
    facts = {"format": 1, "configuration": configuration.to_json() | settings, "record": {}}
    safetensors.numpy.save_file(parts, path, {"metahebb": json.dumps(facts)})
    return path


def refused(answer: Answer, *says: str) -> None:
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    for part in says:
        assert part in answer.err


# What a stranger's agent may say, given the path of a file that leaves a trace when it runs.
STRANGE: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "an import by its path": lambda file, digest: {"imports": [str(file)]},
    "an import by its path with a digest": lambda file, digest: {"imports": [str(file)], "import_digests": [digest]},
    "an import beside it without a digest": lambda file, digest: {"imports": [file.name]},
    "an import elsewhere": lambda file, digest: {"imports": [f"../here/{file.name}"], "import_digests": [digest]},
    "a module of the working directory": lambda file, digest: {"imports": [file.stem]},
    "a module with a digest": lambda file, digest: {"imports": [file.stem], "import_digests": [digest]},
    "an installed module": lambda file, digest: {"imports": ["this"]},
    "a module in the task's id": lambda file, digest: {"task": "gymnasium:this:CartPole-v1"},
    "a module of the folder in the task's id": lambda file, digest: {"task": f"gymnasium:{file.stem}:CartPole-v1"},
    "a rule by its path": lambda file, digest: {"rule": f"{file}:grow"},
    "a rule by its path with a digest": lambda file, digest: {"rule": f"{file}:grow", "rule_digest": digest},
    "a rule elsewhere": lambda file, digest: {"rule": f"../here/{file.name}:grow", "rule_digest": digest},
    "a rule beside it without a digest": lambda file, digest: {"rule": f"{file.name}:grow"},
    "a name that no file can have": lambda file, digest: {"imports": [f"{'a' * 5000}.py"], "import_digests": [digest]},
    "a name with a NUL": lambda file, digest: {"rule": "a\0.py:grow", "rule_digest": digest},
    "a module of a long name": lambda file, digest: {"imports": ["a" * 200_000]},
    "a module of no name": lambda file, digest: {"imports": [""]},
    "digests without imports": lambda file, digest: {
        "imports": [],
        "import_digests": [digest],
        "task": "gymnasium:a:b:c",
    },
    "a rule of no file": lambda file, digest: {"rule": "os:system", "rule_digest": digest},
    "an import as it should be": lambda file, digest: {"imports": [file.name], "import_digests": [digest]},
    "a rule as it should be": lambda file, digest: {"rule": f"{file.name}:grow", "rule_digest": digest},
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_strangers_code_is_not_run(case: str, here: Path, metahebb: Callable[..., Answer]) -> None:
    trace = here / "trace"
    file = here / "strange.py"
    file.write_text(f"open({str(trace)!r}, 'w')\n" + RULE)
    agent = agent_file(here / "agent.safetensors", **STRANGE[case](file, hashlib.sha256(file.read_bytes()).hexdigest()))
    facts = json.loads(safetensors.safe_open(agent, "numpy").metadata()["metahebb"])
    (here / "config.json").write_text(json.dumps(facts["configuration"]))
    before = tree(here)
    for arguments in (["evaluate", agent], ["watch", agent], ["train", "--from", agent, "gymnasium:CartPole-v1"]):
        refused(metahebb(*arguments))
    refused(metahebb("train", "--config", here / "config.json"))
    with pytest.raises(UsageError):
        package.resume(here)
    with pytest.raises(UsageError):
        package.load(agent)
    assert tree(here) == before
    assert not {"this", "strange"} & {*sys.modules}


def test_a_refusal_says_what_would_run_and_how_to_run_it(here: Path, metahebb: Callable[..., Answer]) -> None:
    (here / "strange.py").write_text(RULE + "print('I was here')\n")
    digest = hashlib.sha256((here / "strange.py").read_bytes()).hexdigest()
    agent = agent_file(here / "agent.safetensors", rule="strange.py:grow", rule_digest=digest)
    says = ["'agent.safetensors' would run", "'strange.py'", "read it", "--trust-code"]
    refused(metahebb("evaluate", "agent.safetensors"), *says)
    answer = metahebb("evaluate", agent, "--trust-code", "--lives", 1, "--workers", 1)
    assert answer.code == 0
    assert "I was here" in answer.out + answer.err


def test_with_consent_it_is_still_only_what_was_named(here: Path) -> None:
    for case in ("an import elsewhere", "a rule by its path", "a rule elsewhere", "a rule beside it without a digest"):
        (here / "strange.py").write_text(RULE)
        settings = STRANGE[case](here / "strange.py", hashlib.sha256(RULE.encode()).hexdigest())
        with pytest.raises(UsageError, match=r"names the code .* by its bare name and its SHA-256"):
            package.load(agent_file(here / "agent.safetensors", **settings), trust_code=True)
    with pytest.raises(UsageError, match=r"names the module 'strange', which is not installed"):
        package.load(agent_file(here / "agent.safetensors", imports=["strange"]), trust_code=True)
    assert package.load(agent_file(here / "agent.safetensors", imports=["this"]), trust_code=True).body == ""


def test_ones_own_code_travels_with_the_run_and_needs_no_consent(here: Path, nothing_known: Callable[[], None]) -> None:
    file = environment(here / "mine" / "travelling.py", "Travelling", reward=2)
    (here / "mine" / "growing.py").write_text(RULE)
    run = package.train(
        "gymnasium:Travelling-v0", imports=[str(file)], rule=f"{here / 'mine' / 'growing.py'}:grow", run="run",
        workers=1, **SMALL,
    )  # fmt: skip
    said = json.loads((here / "run" / "config.json").read_text())
    assert (said["imports"], said["rule"]) == (["travelling.py"], "growing.py:grow")
    assert said["import_digests"] == [hashlib.sha256(file.read_bytes()).hexdigest()]
    assert (here / "run" / "travelling.py").read_bytes() == file.read_bytes()
    assert run.configuration.imports == (str(file),)
    moved = (here / "run").rename(here / "moved")
    nothing_known()
    for path in (here / "mine").iterdir():
        path.unlink()
    assert package.evaluate(moved, 2, workers=1).scores.tolist() == [18, 18]
    agent = package.load(moved)
    (here / "published").mkdir()
    agent.save(here / "published" / "agent.safetensors")
    assert sorted(tree(here / "published")) == ["agent.safetensors", "growing.py", "travelling.py"]
    assert package.resume(moved, generations=2, workers=1).metrics()[1]["fitness_best"] == 18


def test_another_user_is_asked(here: Path, nothing_known: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    file = environment(here / "asked.py", "Asked")
    package.train("gymnasium:Asked-v0", imports=["asked"], run="run", workers=1, **SMALL)
    monkeypatch.setenv("XDG_DATA_HOME", str(here / "another"))
    nothing_known()
    for refuses in (package.load, package.open_run, package.resume, package.evaluate):
        with pytest.raises(UsageError, match=r"would run Python code that you have not trained with: 'run/asked.py'"):
            refuses("run")
    # Told once, it holds for what else the process does; a file that they give themselves needs no word.
    assert package.open_run(here / "run", trust_code=True).best.body == ""
    nothing_known()
    assert package.evaluate("run", 1, imports=[str(file)], workers=1).mean == 9
    with pytest.raises(UsageError, match="would run"):
        package.load("run")
    # Who goes on with a run trains with its code.
    package.resume("run", trust_code=True, workers=1)
    nothing_known()
    package.load("run")


def test_a_file_runs_where_it_was_given_so_that_it_finds_what_lies_beside_it(
    here: Path, nothing_known: Callable[[], None]
) -> None:
    reads = "from pathlib import Path\nassert (Path(__file__).parent / 'model.xml').read_text() == 'legs'\n"
    file = environment(here / "mine" / "reading.py", "Reading", more=reads)
    (here / "mine" / "model.xml").write_text("legs")
    package.train("gymnasium:Reading-v0", imports=[str(file)], run="run", workers=1, **SMALL)
    nothing_known()
    assert package.load("run").configuration.imports == (str(file),)


def test_a_file_that_has_changed_since_does_not_change_an_agent(
    here: Path, nothing_known: Callable[[], None], metahebb: Callable[..., Answer]
) -> None:
    file = environment(here / "changing.py", "Changing", reward=1)
    arguments = ["--hidden", 4, "--population", 4, "--generations", 1, "--validation-lives", 2, "--workers", 1]
    assert metahebb("train", "gymnasium:Changing-v0", "--import", file, "--run", "run", *arguments).code == 0
    environment(file, "Changing", reward=1000)
    nothing_known()
    evaluate = ("evaluate", "run", "--json", "--lives", 1, "--workers", 1)
    answer = metahebb(*evaluate)
    assert (answer.code, json.loads(answer.out)["scores"]) == (0, [9])
    # Given by the user, it is used as it is now, and they are told.
    answer = metahebb(*evaluate, "--import", file)
    assert (answer.code, json.loads(answer.out)["scores"]) == (0, [9000])
    assert answer.err.endswith(
        "Warning: The agent 'run/best.safetensors' was made with another changing.py; yours is used.\n"
    )
    # The copy in the run is not to be changed.
    environment(here / "run" / "changing.py", "Changing", reward=1000)
    refused(metahebb(*evaluate), "was made with another", "run/changing.py'", "put it back", "--import")
    (here / "run" / "changing.py").unlink()
    refused(metahebb(*evaluate), "needs the file", "run/changing.py'", "--import")
    assert metahebb(*evaluate, "--import", "changing").code == 0
    refused(metahebb("watch", "run", "--import", "nowhere.py"), "nowhere.py' is not there.")


def test_what_lies_beside_an_agent_is_not_imported_by_code_that_is_known(
    here: Path, nothing_known: Callable[[], None]
) -> None:
    """A stranger can have the very file that one trained with, and another in the place of what it imports."""
    imports = "try:\n    import neighbour_of_known\nexcept ImportError:\n    pass\n"
    file = environment(here / "mine" / "known_file.py", "Known", more=imports)
    package.train("gymnasium:Known-v0", imports=[str(file)], run="run", workers=1, **SMALL)
    (here / "run" / "neighbour_of_known.py").write_text(f"open({str(here / 'trace')!r}, 'w')\n")
    file.unlink()
    nothing_known()
    del sys.modules["known_file"]
    assert package.evaluate("run", 1, workers=1).mean == 9
    assert not (here / "trace").exists()


def test_files_that_belong_together_travel_together(here: Path, nothing_known: Callable[[], None]) -> None:
    helper = here / "mine" / "helper_of_two.py"
    file = environment(here / "mine" / "two.py", "Two", more="from helper_of_two import VALUE\n")
    helper.write_text("VALUE = 3\n")
    package.train("gymnasium:Two-v0", imports=[str(helper), str(file)], run="run", workers=1, **SMALL)
    # One has changed: neither is run from there.
    helper.write_text("raise ValueError\n")
    nothing_known()
    for name in ("two", "helper_of_two"):
        del sys.modules[name]
    agent = package.load("run")
    assert {Path(name).name for name in agent.configuration.imports} == {"two.py", "helper_of_two.py"}
    assert not {str(file), str(helper)} & set(agent.configuration.imports)
    assert package.evaluate(agent, 1, workers=1).mean == 9


def test_code_that_changes_while_it_is_in_use_is_noticed(here: Path) -> None:
    file = environment(here / "moving.py", "Moving")
    c, _, _ = configure("gymnasium:Moving-v0", imports=(str(file),), **SMALL)
    run = create_run(c, here / "run")
    file.write_text(file.read_text() + "\n")
    with pytest.raises(RunError, match=r"'.*moving.py' has changed while it was in use"):
        Workers(run.configuration, 1)
    # What is in the run is as it was: the agents of the run can still be written.
    agent = package.Agent(run.configuration, np.ones(12, np.float32))
    assert dataclasses.replace(agent).configuration.imports == (str(file),)
    trust.copy_code(trust.code_of(run.configuration), run.folder)
    with pytest.raises(UsageError, match="as it was first read"):
        trust.copy_code(trust.code_of(run.configuration), here / "data")


def test_two_files_of_one_name_cannot_travel(here: Path) -> None:
    files = [environment(here / folder / "same.py", f"Same{folder}") for folder in ("one", "two")]
    with pytest.raises(UsageError, match=r"Two different files are named 'same.py'"):
        package.train("gymnasium:CartPole-v1", imports=list(map(str, files)), run="run", workers=1, **SMALL)
    assert not (here / "run").exists()


def test_a_module_of_the_working_directory_cannot_travel(here: Path) -> None:
    environment(here / "a_package" / "envs.py", "Packaged")
    with pytest.raises(UsageError, match=r"--import names the module 'a_package.envs', which is not installed"):
        package.train("gymnasium:Packaged-v0", imports=["a_package.envs"], run="run", workers=1, **SMALL)
    assert not (here / "run").exists()


def test_a_module_of_the_working_directory_does_not_stand_in_for_an_installed_one(
    here: Path, nothing_known: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has trained with a package; a stranger's folder, in which one is, has a file of its name."""
    run = package.train("gymnasium:CartPole-v1", imports=["this"], run="run", workers=1, **SMALL)
    nothing_known()
    assert package.load(run.folder).configuration.imports == ("this",)
    (here / "this.py").write_text(f"open({str(here / 'trace')!r}, 'w')\n")
    del sys.modules["this"]
    package.load(run.folder)
    assert "this" in sys.modules
    assert not (here / "trace").exists()
    # Where that folder goes before Python's own, as with `python -m`, it is told.
    del sys.modules["this"]
    monkeypatch.syspath_prepend(here)
    with pytest.raises(UsageError, match=r"'this', which is installed as .*, but another would be imported"):
        package.load(run.folder)
    assert not (here / "trace").exists()


def test_a_module_in_a_tasks_id_is_written_down_as_an_import(here: Path) -> None:
    environment(here / "in_the_id.py", "Identified")
    run = package.train("gymnasium:in_the_id:Identified-v0", run="run", workers=1, **SMALL)
    said = json.loads((here / "run" / "config.json").read_text())
    assert (said["task"], said["imports"]) == ("gymnasium:Identified-v0", ["in_the_id.py"])
    assert package.evaluate(run, 1, workers=1).mean == 9
    # Nothing but the command line may name one: not even by way of the package's own functions.
    with pytest.raises(UsageError, match=r"'this:CartPole-v1' names a module in its id; .*--import"):
        configure("gymnasium:this:CartPole-v1")


def test_a_run_of_an_earlier_version_with_imports_by_path_goes_on(
    here: Path, nothing_known: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = environment(here / "earlier.py", "Earlier")
    settings = SMALL | {"generations": 3}
    whole = package.train("gymnasium:Earlier-v0", imports=[str(file)], run="whole", workers=1, **settings)
    run = package.train("gymnasium:Earlier-v0", imports=[str(file)], run="run", workers=1, **SMALL)
    said = json.loads((run.folder / "config.json").read_text())
    del said["import_digests"]
    (run.folder / "config.json").write_text(json.dumps(said | {"imports": [str(file)], "generations": 3}))
    (run.folder / "earlier.py").unlink()
    with monkeypatch.context() as another:
        another.setenv("XDG_DATA_HOME", str(here / "another"))
        nothing_known()
        with pytest.raises(UsageError, match=r"would run Python code that you have not trained with: '.*/earlier.py'"):
            package.resume(run.folder)
        assert package.open_run(run.folder, trust_code=True).configuration.imports == (str(file),)
    # Its file is one that they have trained with since.
    nothing_known()
    package.resume(run.folder, workers=1)
    ours, theirs = result(run.folder), result(whole.folder)
    assert [line["fitness_mean"] for line in ours["metrics"]] == [line["fitness_mean"] for line in theirs["metrics"]]
    assert ours["agents"]["latest.safetensors"] == theirs["agents"]["latest.safetensors"]


def test_a_path_of_an_earlier_version_is_not_run_from_a_strangers_folder(
    here: Path, nothing_known: Callable[[], None]
) -> None:
    file = environment(
        here / "mine" / "pathed.py", "Pathed", more="try:\n    import by_path\nexcept ImportError: pass\n"
    )
    package.train("gymnasium:Pathed-v0", imports=[str(file)], run="run", workers=1, **SMALL)
    (here / "theirs").mkdir()
    file.rename(here / "theirs" / "pathed.py")
    (here / "theirs" / "by_path.py").write_text(f"open({str(here / 'trace')!r}, 'w')\n")
    said = json.loads((here / "run" / "config.json").read_text()) | {"imports": [str(here / "theirs" / "pathed.py")]}
    (here / "run" / "config.json").write_text(json.dumps(said))
    nothing_known()
    (copy,) = package.open_run("run").configuration.imports
    assert Path(copy).parent not in (here / "theirs", here / "run")
    package.resume("run", generations=2, workers=1)
    assert not (here / "trace").exists()


def test_without_a_place_to_remember_training_is_as_ever(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/proc/nowhere")
    file = environment(here / "forgotten.py", "Forgotten")
    run = package.train("gymnasium:Forgotten-v0", imports=[str(file)], run="run", workers=1, **SMALL)
    assert package.evaluate(run, 1, workers=1).mean == 9
    # No home at all: nothing appears in the working directory.
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    again = package.train("gymnasium:Forgotten-v0", imports=[str(file)], run="again", workers=1, **SMALL)
    assert result(again.folder) == result(run.folder)
    assert not (here / "~").exists()


def test_all_that_is_remembered_at_one_time_is_kept(here: Path, nothing_known: Callable[[], None]) -> None:
    names = [f"module_{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: trust.remember(Configuration("", imports=(name, "shared"))), names))
    nothing_known()
    assert [trust._origin(trust.Code(name)) for name in (*names, "shared", "unheard_of")] == [""] * 41 + [None]
