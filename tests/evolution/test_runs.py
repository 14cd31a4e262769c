"""A run's folder: what it starts from, what is refused rather than overwritten, and what must not stand in the way."""

from __future__ import annotations

import concurrent.futures
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metahebb
from metahebb import Run, UsageError
from metahebb.evolution.checkpoints import load_newest
from metahebb.evolution.runs import create_run, open_run
from metahebb.evolution.training import strategy_of
from support import Answer, result, tree

pytestmark = [
    pytest.mark.xdist_group("runs"),
    # A pipe that is opened waits for its other end, for good.
    pytest.mark.timeout(120),
]

TASK = "gymnasium:CartPole-v1"
SETTINGS: dict[str, Any] = {
    "hidden": (8,),
    "population": 8,
    "generations": 3,
    "validate_every": 1,
    "validation_lives": 2,
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return metahebb.train(TASK, run=tmp_path_factory.mktemp("runs") / "undisturbed", workers=1, **SETTINGS)


@pytest.fixture
def copy(undisturbed: Run, tmp_path: Path) -> Path:
    """A copy of the undisturbed run, to be damaged."""
    return Path(shutil.copytree(undisturbed.folder, tmp_path / "copy"))


def forget_all(run: Path) -> None:
    for path in (run / "checkpoints").iterdir():
        path.unlink()


def without_time(files: dict[str, bytes]) -> dict[str, bytes]:
    """What a refusal must not change: all but the log, which says that the run was opened."""
    return {name: content for name, content in files.items() if name != "log.txt"}


def test_what_a_run_starts_from_is_in_its_folder_when_that_appears(undisturbed: Run, tmp_path: Path) -> None:
    """A process that dies before its first generation has lost nothing: not the agent that it began with either."""
    settings = SETTINGS | {"generations": 2, "start_from": undisturbed.folder}
    prepared = metahebb.api.new_run(TASK, run=tmp_path / "prepared", **settings)
    c = prepared.configuration
    first = load_newest(prepared.checkpoints, strategy_of(c, undisturbed.best.network), c)
    assert first is not None
    assert first.generation == 0
    evolved, observed = np.split(undisturbed.best.genome, [undisturbed.best.network.evolved_parameters])
    np.testing.assert_array_equal(first.state.mean, evolved)
    assert first.sensed is not None
    np.testing.assert_allclose(first.sensed.normalisation, observed, rtol=1e-4)

    metahebb.resume(prepared, workers=1)
    never_died = metahebb.train(TASK, run=tmp_path / "never-died", workers=1, **settings)
    assert result(prepared.folder) == result(never_died.folder)
    # Started from nowhere, it would be another.
    assert result(prepared.folder)["metrics"][0] != result(undisturbed.folder)["metrics"][0]


@pytest.mark.parametrize("kept", ["metrics.jsonl", "best.safetensors", "latest.safetensors"])
def test_a_run_without_checkpoints_does_not_overwrite_what_it_has_come_to(copy: Path, kept: str) -> None:
    forget_all(copy)
    for name in {"metrics.jsonl", "best.safetensors", "latest.safetensors"} - {kept}:
        (copy / name).unlink()
    before = tree(copy)
    with pytest.raises(UsageError, match=rf"has no checkpoint, but '.*copy' has {kept}"):
        metahebb.resume(copy, workers=1)
    assert without_time(tree(copy)) == without_time(before)


@pytest.mark.parametrize("left", [".tmpX7aQ2k", ".metahebb-0123456789abcdef.partial", "note.txt"])
def test_what_a_kill_leaves_in_the_first_checkpoint_is_no_checkpoint(
    undisturbed: Run, tmp_path: Path, left: str
) -> None:
    run = create_run(undisturbed.configuration, tmp_path / "run")
    (run.checkpoints / left).write_bytes(b"half")
    metahebb.resume(run.folder, workers=1)
    assert result(run.folder) == result(undisturbed.folder)
    assert (run.checkpoints / left).exists() == (not left.endswith(".partial"))


def test_files_of_the_users_are_left_alone(copy: Path) -> None:
    (copy / ".x.123").write_text("mine")
    (copy / "checkpoints" / ".notes.2024").write_text("mine, too")
    metahebb.resume(copy, generations=4, workers=1)
    assert (copy / ".x.123").read_text() == "mine"
    assert (copy / "checkpoints" / ".notes.2024").read_text() == "mine, too"


def test_checkpoints_are_not_looked_for_behind_a_link(copy: Path, tmp_path: Path) -> None:
    elsewhere = (copy / "checkpoints").rename(tmp_path / "elsewhere")
    (elsewhere / ".metahebb-0123456789abcdef.partial").write_text("of another run")
    (copy / "checkpoints").symlink_to(elsewhere)
    before = tree(elsewhere)
    with pytest.raises(UsageError, match="checkpoints' is not a folder of the run's own"):
        metahebb.resume(copy, generations=4, workers=1)
    assert tree(elsewhere) == before


def test_a_run_can_be_moved_and_linked_to(undisturbed: Run, copy: Path, tmp_path: Path) -> None:
    moved = copy.rename(tmp_path / "moved")
    (tmp_path / "link").symlink_to(moved)
    metahebb.resume(tmp_path / "link", workers=1)
    assert result(moved) == result(undisturbed.folder)


PIPES = ["config.json", "metrics.jsonl", "latest.safetensors", "best.safetensors", "log.txt", ".lock", "fitness.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("name", PIPES)
def test_a_pipe_in_the_place_of_a_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink(missing_ok=True)
    os.mkfifo(copy / name)
    with pytest.raises(UsageError, match=f"{name}' is not a file"):
        metahebb.resume(copy, workers=1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_an_agent_that_is_a_pipe_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "agent.safetensors")
    with pytest.raises(UsageError, match=r"agent\.safetensors' is not a file"):
        metahebb.load(tmp_path / "agent.safetensors")


HUGE = 400 * b"0"
FOREIGN = {
    "garbage": b"hello\n",
    "bytes": b"\xff\xfe\x00\n",
    "an empty line": b"\n",
    "no generation": b'{"fitness_mean": 1.0}\n',
    "a list": b"[1, 2]\n",
    "text for a number": b'{"generation": 7, "fitness_mean": "high", "fitness_best": 1, "fitness_deviation": 0}\n',
    "a huge number": b'{"generation": 7, "fitness_mean": 1, "fitness_best": 1, "fitness_deviation": 1%s}\n' % HUGE,
    "a number too long to read": b'{"generation": ' + 5000 * b"1" + b"}\n",
    "NaN": b'{"generation": 7, "fitness_mean": NaN, "fitness_best": 1, "fitness_deviation": 0}\n',
    "nested": 100_000 * b"[" + 100_000 * b"]" + b"\n",
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_metrics_that_no_run_wrote_are_set_aside(
    undisturbed: Run, copy: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    lines = (copy / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    damaged = b"".join([lines[0], FOREIGN[what], *lines[1:]])
    (copy / "metrics.jsonl").write_bytes(damaged)
    (copy / "metrics.jsonl.damaged").write_text("of another time")
    assert [line["generation"] for line in Run(copy, undisturbed.configuration).metrics()] == [0, 1, 2]
    with caplog.at_level(logging.WARNING, "metahebb"):
        metahebb.resume(copy, workers=1)
    assert "as it was it is kept as metrics.jsonl.damaged1" in caplog.text
    assert (copy / "metrics.jsonl.damaged1").read_bytes() == damaged
    assert (copy / "metrics.jsonl.damaged").read_text() == "of another time"
    assert result(copy) == result(undisturbed.folder)


@pytest.mark.parametrize("rest", ["", '{"generation": 3, "fitness_me'])
def test_metrics_of_which_the_end_is_missing_are_whole_but_for_that(
    undisturbed: Run, copy: Path, rest: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = copy / "metrics.jsonl"
    path.write_text(path.read_text() + rest if rest else path.read_text().rstrip("\n"))
    with caplog.at_level(logging.WARNING, "metahebb"):
        metahebb.resume(copy, workers=1)
    assert caplog.text == ""
    assert result(copy) == result(undisturbed.folder)


def test_to_fewer_generations_than_are_done_a_run_does_not_go(copy: Path, metahebb: Callable[..., Answer]) -> None:
    before = tree(copy)
    code, _, err = metahebb("train", "--resume", copy, "--generations", 2)
    assert code == 2
    assert err == f"Error: --generations is 2, but 3 generations of '{copy}' are done; give 3 or more.\n"
    assert tree(copy) == before


def test_a_configuration_is_not_extended_before_it_is_known_that_its_task_exists(
    copy: Path, metahebb: Callable[..., Answer]
) -> None:
    path = copy / "config.json"
    path.write_text(path.read_text().replace("CartPole-v1", "CartPole-v9"))
    before = tree(copy)
    code, _, err = metahebb("train", "--resume", copy, "--generations", 5)
    assert code == 2
    assert "CartPole-v9" in err
    assert tree(copy) == before


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 1}, r"seed 0 \(now 1\)"),
    "optimizer": ({"optimizer": "adam"}, r'optimizer "sgd" \(now "adam"\)'),
    "strategy": ({"strategy": "SNES"}, r'strategy "openai-es" \(now "SNES"\)'),
    "task": ({"task": "gymnasium:Acrobot-v1"}, r'task "gymnasium:CartPole-v1" \(now "gymnasium:Acrobot-v1"\)'),
    "rule": ({"rule": "oja"}, r'rule "ABCD_lr" \(now "oja"\)'),
    "static": ({"static": True}, r"static false \(now true\)"),
    "hidden": ({"hidden": [9]}, r"hidden \[8\] \(now \[9\]\)"),
    "several": ({"seed": 1, "lr": 0.1, "sigma": 0.2, "lives": 2, "penalty": 0}, "and 2 more"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_configuration_that_was_changed_is_not_that_of_its_checkpoints(copy: Path, what: str) -> None:
    changes, says = CHANGES[what]
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    before = tree(copy)
    with pytest.raises(UsageError, match=rf"000003\.safetensors' was made with other settings .*{says}"):
        metahebb.resume(copy, workers=1)
    assert without_time(tree(copy)) == without_time(before)


def test_a_setting_that_is_left_out_is_not_the_default(tmp_path: Path) -> None:
    run = metahebb.train(TASK, run=tmp_path / "run", workers=1, **SETTINGS | {"generations": 1, "seed": 5})
    path = run.folder / "config.json"
    written = json.loads(path.read_text())
    del written["seed"]
    path.write_text(json.dumps(written))
    with pytest.raises(UsageError, match=r"seed 5 \(now 0\)"):
        metahebb.resume(run.folder, generations=2, workers=1)


def test_checkpoints_of_another_run_are_refused(copy: Path, tmp_path: Path) -> None:
    other = metahebb.train(TASK, run=tmp_path / "other", workers=1, **SETTINGS | {"seed": 1})
    shutil.rmtree(copy / "checkpoints")
    shutil.copytree(other.checkpoints, copy / "checkpoints")
    with pytest.raises(UsageError, match=r"seed 1 \(now 0\)"):
        metahebb.resume(copy, workers=1)


def test_when_it_ends_may_be_changed_by_hand(copy: Path) -> None:
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"generations": 4, "target": 900}))
    assert [line["generation"] for line in metahebb.resume(copy, workers=1).metrics()] == [0, 1, 2, 3]


def test_runs_that_begin_at_the_same_time_get_a_folder_each(
    undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with concurrent.futures.ThreadPoolExecutor(5) as threads:
        made = list(threads.map(lambda _: create_run(undisturbed.configuration, None).folder, range(20)))
    assert sorted(made) == sorted(Path("runs", f"CartPole-v1-{n}") for n in range(1, 21))
    assert sorted(path.name for path in Path("runs").iterdir()) == sorted(folder.name for folder in made)
    for folder in made:
        assert open_run(folder).configuration == undisturbed.configuration


def test_of_a_run_that_cannot_be_made_no_folder_is_left(
    undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"a/b/run' cannot be made: No space left on device; choose another"):
        create_run(undisturbed.configuration, tmp_path / "a" / "b" / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_record_without_checkpoints_can_be_read(copy: Path, undisturbed: Run) -> None:
    shutil.rmtree(copy / "checkpoints")
    assert open_run(copy).metrics() == undisturbed.metrics()
    with pytest.raises(UsageError, match="checkpoints' is not a folder of the run's own"):
        metahebb.resume(copy, generations=4, workers=1)
