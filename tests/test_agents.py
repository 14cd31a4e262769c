"""Agents as files: what is saved is loaded, and what is no agent is told so."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from metahebb.agents import Agent, load_agent, with_code_copied, with_code_found
from metahebb.assembly import configure
from metahebb.configuration import Configuration
from metahebb.errors import RunError, UsageError

TASK = "gymnasium:CartPole-v1"
Parts = dict[str, np.ndarray]
Facts = dict[str, Any]


def agent_of(**options: Any) -> Agent:
    configuration, _, network = configure(TASK, hidden=(3,), **options)
    genome = np.random.default_rng(0).standard_normal(network.parameters, dtype=np.float32)
    return Agent(configuration, genome, {"generation": 12, "validation": 0.1 + 0.2})


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    """A user's rule."""
    path = tmp_path / "elsewhere" / "mine.py"
    path.parent.mkdir()
    path.write_text("def grow(pre, post, weight, A, B):\n    return A * pre * post + B * weight\n")
    return path


@pytest.mark.parametrize("options", [{}, {"rule": "oja"}, {"static": True}, {"initial_weights": "co-evolved"}], ids=str)
def test_what_is_saved_is_loaded(options: dict[str, Any], tmp_path: Path) -> None:
    agent = agent_of(**options)
    agent.save(tmp_path / "agent.safetensors")
    loaded = load_agent(str(tmp_path / "agent.safetensors"))
    assert loaded.configuration == agent.configuration
    assert loaded.record == agent.record
    assert loaded.genome.tobytes() == agent.genome.tobytes()
    # The same agent is the same file.
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "agent.safetensors").read_bytes()


def test_an_agent_goes_to_other_bodies_and_takes_its_genome_along() -> None:
    configuration, _, network = configure("quadruped", hidden=(3,), morphologies=("front-left-damaged", "standard"))
    agent = Agent(configuration, np.zeros(network.parameters, np.float32))
    for given, body in {
        None: "front-left-damaged",
        "standard": "standard",
        "front-right=1,0.25": "front-right-damaged",
        "back-right=0.8,1 front-left=1.0,.5": "front-left=1.0,0.5 back-right=0.8,1.0",
    }.items():
        there = agent.living_in(given)
        assert (there.body, there.configuration.morphologies) == (body, (body,))
        assert there.genome is agent.genome
        assert there.configuration == dataclasses.replace(configuration, morphologies=(body,))
    assert agent.body == "front-left-damaged"


def test_anybody_can_read_the_file(tmp_path: Path) -> None:
    agent = agent_of(rule="AD", initial_weights="co-evolved")
    agent.save(tmp_path / "agent.safetensors")
    parts = safetensors.numpy.load_file(tmp_path / "agent.safetensors")
    assert {name: part.shape for name, part in parts.items()} == {
        "layers.0.A": (4, 3), "layers.0.D": (4, 3), "layers.1.A": (3, 2), "layers.1.D": (3, 2),
        "initial.0": (4, 3), "initial.1": (3, 2), "observation.mean": (4,), "observation.deviation": (4,),
    }  # fmt: skip
    np.testing.assert_array_equal(parts["layers.0.D"].ravel(), agent.genome[12:24])


def test_a_users_rule_travels_beside_its_agent(rule: Path, tmp_path: Path) -> None:
    agent = agent_of(rule=f"{rule}:grow")
    published = tmp_path / "published"
    published.mkdir()
    agent.save(published / "agent.safetensors")
    rule.unlink()
    moved = published.rename(tmp_path / "moved")
    loaded = load_agent(moved / "agent.safetensors", trust_code=True)
    assert loaded.network.rule is not None
    assert loaded.network.rule(2.0, 3.0, 0.5, 1.0, 10.0) == 11

    (moved / "mine.py").write_text("def grow(pre, post, weight, A, B): return A + B\n")
    with pytest.raises(UsageError, match=r"was made with another '.*moved/mine.py' than lies there now"):
        load_agent(moved / "agent.safetensors", trust_code=True)
    (moved / "mine.py").unlink()
    with pytest.raises(UsageError, match=r"needs the file '.*moved/mine.py', which is not there"):
        load_agent(moved / "agent.safetensors", trust_code=True)


def test_a_file_of_the_users_is_not_overwritten_by_a_rule(rule: Path, tmp_path: Path) -> None:
    agent = agent_of(rule=f"{rule}:grow")
    (tmp_path / "mine.py").write_text("THEIRS = 1\n")
    with pytest.raises(
        UsageError, match=r"mine\.py' is not '.*elsewhere/mine\.py' as it was first read.* another name"
    ):
        agent.save(tmp_path / "agent.safetensors")
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "mine.py"}
    assert (tmp_path / "mine.py").read_text() == "THEIRS = 1\n"
    # The same file may be there already.
    shutil.copy(rule, tmp_path / "mine.py")
    agent.save(tmp_path / "agent.safetensors")
    agent.save(tmp_path / "agent.safetensors")
    assert load_agent(tmp_path / "agent.safetensors", trust_code=True).genome.tobytes() == agent.genome.tobytes()


def test_portable_and_located_are_each_others_reverse(rule: Path, tmp_path: Path) -> None:
    configuration = agent_of(rule=f"{rule}:grow").configuration
    carried = with_code_copied(configuration, tmp_path)
    assert carried.rule == "mine.py:grow"
    assert (tmp_path / "mine.py").read_bytes() == rule.read_bytes()
    found = with_code_found(carried, tmp_path, "The agent", trust_code=True)
    file, _, function = found.rule.rpartition(":")
    assert (Path(file).read_bytes(), function) == (rule.read_bytes(), "grow")
    # Written down again it is the same.
    (tmp_path / "again").mkdir()
    assert with_code_copied(found, tmp_path / "again") == carried
    builtin = Configuration(TASK)
    assert with_code_copied(builtin, tmp_path) == builtin == with_code_found(builtin, tmp_path, "The agent")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agents") / "agent.safetensors"
    agent_of().save(path)
    return path


def test_flipped_bits_are_noticed(whole: Path, tmp_path: Path) -> None:
    """Whichever of a file's bits flips, what comes of it is one sentence, or the same agent (a number's e for E)."""
    content, agent = whole.read_bytes(), load_agent(whole)
    path = tmp_path / "agent.safetensors"
    same, sentences = 0, []
    for bit in range(0, 8 * len(content), 7):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            loaded = load_agent(path)
        except UsageError as e:
            sentences.append(str(e))
            continue
        assert loaded.genome.tobytes() == agent.genome.tobytes()
        assert (loaded.configuration, loaded.record) == (agent.configuration, agent.record)
        same += 1
    assert same < 10
    assert not any("\n" in sentence for sentence in sentences)


@pytest.mark.parametrize("size", [0, 4, 8, 200, -200, -1])
def test_an_agent_that_is_cut_off_is_told(size: int, whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "agent.safetensors"
    path.write_bytes(whole.read_bytes()[:size])
    with pytest.raises(UsageError, match="is not an agent, or it is cut off"):
        load_agent(path)


def changed(change: Callable[[Parts, Facts], None], whole: Path, tmp_path: Path) -> Path:
    """A copy of the agent with something changed, without a checksum, as earlier versions wrote it."""
    with safetensors.safe_open(whole, framework="numpy") as file:
        parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(file.metadata()["metahebb"])
    change(parts, facts)
    facts.pop("sha256")
    path = tmp_path / "agent.safetensors"
    safetensors.numpy.save_file(parts, path, {"metahebb": json.dumps(facts)})
    return path


def settings(**values: Any) -> Callable[[Parts, Facts], None]:
    return lambda parts, facts: facts["configuration"].update(values)


def part(array: np.ndarray) -> Callable[[Parts, Facts], None]:
    return lambda parts, facts: parts.update({"layers.0.A": array})


CHANGES: dict[str, tuple[Callable[[Parts, Facts], None], str]] = {
    "another format": (lambda parts, facts: facts.update(format=2), "has format 2; .* up to 1: use a newer"),
    "a configuration of another format": (settings(format=0), "has format 0"),
    "no format": (lambda parts, facts: facts.pop("format"), "not an agent of metahebb"),
    "no record": (lambda parts, facts: facts.pop("record"), "not an agent of metahebb"),
    "no settings": (lambda parts, facts: facts.update(configuration=[]), "is not a configuration"),
    "an unknown setting": (settings(colour="red"), "The agent .* Unknown setting 'colour'"),
    "an impossible setting": (settings(population=-2), "The agent .* --population is -2"),
    "an unknown rule": (settings(rule="ABCD_rl"), "Unknown rule 'ABCD_rl'"),
    "another task": (settings(task="gymnasium:Pendulum-v1"), "its own network: task 'gymnasium:Pendulum-v1'"),
    "other layers": (settings(hidden=[4]), "does not fit its own network"),
    "a part too many": (lambda parts, facts: parts.update(extra=np.zeros(1)), "does not fit its own network"),
    "a part too few": (lambda parts, facts: parts.pop("layers.1.lr"), "does not fit its own network"),
    "a part of another shape": (part(np.zeros((3, 4), np.float32)), "does not fit its own network"),
    "NaN": (part(np.full((4, 3), np.nan, np.float32)), "contains numbers that are not finite"),
    "infinity": (part(np.full((4, 3), -np.inf, np.float32)), "contains numbers that are not finite"),
    "more than float32 holds": (part(np.full((4, 3), 1e39)), "contains numbers that are not finite"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("what", CHANGES)
def test_what_does_not_fit_is_told(what: str, whole: Path, tmp_path: Path) -> None:
    change, complaint = CHANGES[what]
    path = changed(change, whole, tmp_path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=complaint):
        load_agent(path)
    assert path.read_bytes() == before


def test_a_copy_with_nothing_changed_is_an_agent(whole: Path, tmp_path: Path) -> None:
    """So what the cases above change is what they are refused for."""
    copy = changed(lambda parts, facts: None, whole, tmp_path)
    assert load_agent(copy).genome.tobytes() == load_agent(whole).genome.tobytes()


def test_somebody_elses_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    safetensors.numpy.save_file({"w": np.zeros(3)}, path)
    with pytest.raises(UsageError, match="is a safetensors file, but not an agent of metahebb"):
        load_agent(path)
    safetensors.numpy.save_file({"w": np.zeros(3)}, path, {"metahebb": "[1, 2]"})
    with pytest.raises(UsageError, match="is a safetensors file, but not an agent of metahebb"):
        load_agent(path)
    path.write_text("hello")
    with pytest.raises(UsageError, match="is not an agent, or it is cut off"):
        load_agent(path)
    with pytest.raises(UsageError, match=r"There is no agent or run at '.*nobody'"):
        load_agent(tmp_path / "nobody")


def test_of_a_folder_the_best_agent_is_loaded(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no agent yet"):
        load_agent(tmp_path)
    shutil.copy(whole, tmp_path / "latest.safetensors")
    assert load_agent(tmp_path).record["generation"] == 12
    agent = agent_of()
    Agent(agent.configuration, agent.genome, {"generation": 3}).save(tmp_path / "best.safetensors")
    assert load_agent(tmp_path).record["generation"] == 3


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"The agent .* could not be written: make '.*nowhere' first"):
        agent_of().save(tmp_path / "nowhere" / "agent.safetensors")
