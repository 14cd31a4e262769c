"""Terminals, variables and limits of users' own: the command ends in a sentence, or does without what is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metahebb as package
from metahebb import RunError, UsageError, api, trust
from metahebb.errors import raised
from metahebb.printing import Stream
from support import ENVIRONMENTS, PATIENCE, Answer, options, tree

pytestmark = [
    pytest.mark.xdist_group("odd environments"),
    pytest.mark.skipif(sys.platform == "win32", reason="it has no such devices and limits"),
]

TASK = "gymnasium:Target-v0"
SMALL: dict[str, Any] = {"population": 2, "generations": 1, "validation_lives": 1, "hidden": (4,)}
WORDS = ["train", TASK, "--import", ENVIRONMENTS, *options(**SMALL | {"hidden": 4, "workers": 1})]


def command(*arguments: object, shell: str = "", folder: Path | None = None, **variables: str) -> Answer:
    """The command as a process of its own, begun by a shell that can change what it begins with."""
    script = shell or 'exec "$@"'
    words = ["bash", "-c", script, "bash", sys.executable, "-m", "metahebb.cli", *map(str, arguments)]
    process = subprocess.run(words, capture_output=True, cwd=folder, env=os.environ | variables, timeout=PATIENCE)
    return Answer(process.returncode, process.stdout.decode(errors="replace"), process.stderr.decode())


def assert_one_sentence(answer: Answer, code: int, *says: str) -> None:
    assert re.fullmatch(r"Error: [^\n]+[.?]\n", answer.err), answer.err
    assert all(part in answer.err for part in says), answer.err
    assert answer.code == code


# --- Output


def test_a_full_disk_under_standard_output_is_told() -> None:
    assert_one_sentence(command("--help", shell='"$@" >/dev/full'), 1, "Standard output could not be written: No space")


@pytest.mark.parametrize(
    "shell",
    ['set -o pipefail; "$@" | true', '"$@" >&-', '"$@" >&- 2>&- <&-'],
    ids=["nobody reads", "closed", "all closed"],
)
def test_nobody_has_to_read_what_is_printed(shell: str) -> None:
    assert command("--help", shell=shell) == Answer(0, "", "")


def test_an_error_that_nobody_reads_has_its_code() -> None:
    assert command("trian", shell='"$@" 2>&-').code == 2
    assert command("trian", shell='"$@" 2>/dev/full').code == 2


def test_a_run_goes_on_when_its_output_cannot_be_written(tmp_path: Path) -> None:
    answer = command(*WORDS, "--run", "run", shell='"$@" >/dev/full', folder=tmp_path)
    assert_one_sentence(answer, 1, "Standard output")
    assert len(package.open_run(tmp_path / "run").metrics()) == 1


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", r"dw 1 +/- 2 -> 3... * caf\xe9 \u4e16 \udcff"),
        ("latin-1", r"dw 1 ± 2 -> 3... · café \u4e16 \udcff"),
        ("utf-8", r"Δw 1 ± 2 → 3… · café 世 \udcff"),
    ],
)
def test_what_a_terminal_has_not_is_written_in_what_it_has(encoding: str, written: str) -> None:
    reader, writer = os.pipe()
    with open(os.devnull, "w", encoding=encoding) as like, Stream(writer, like) as stream:
        stream.write("Δw 1 ± 2 → 3… · café 世 \udcff")
    os.close(writer)
    with open(reader, encoding=encoding) as said:
        assert said.read() == written


def test_help_and_errors_are_printed_on_an_ascii_terminal() -> None:
    code, out, err = command("--help", PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert out.isascii()
    assert "+----" in out
    assert_one_sentence(command("évaluate", PYTHONIOENCODING="ascii"), 2, r"'\xe9valuate'", "Did you mean")


# --- What nobody has thought of


def test_no_command_ends_in_a_traceback(
    metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("in a\nmanner of speaking")

    monkeypatch.setattr(api, "load", fail)
    for variable in ("XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    answer = metahebb("evaluate", "agent")
    assert_one_sentence(answer, 1, "LookupError: in a manner of speaking.", "please report it")
    where = re.search(r"the traceback is in '(.+)'\.\n", answer.err)
    assert where is not None
    assert Path(where[1]).is_relative_to(tmp_path)
    text = Path(where[1]).read_text()
    assert text.endswith("LookupError: in a\nmanner of speaking\n")
    assert "'metahebb evaluate agent'" in text
    # Where no file can be written there is the sentence still.
    monkeypatch.setattr(tempfile, "mkstemp", fail)
    assert_one_sentence(metahebb("evaluate", "agent"), 1, "LookupError", "please report it.")


def test_errors_are_one_line_whatever_was_raised() -> None:
    class Speechless(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise ValueError("no")

    assert raised(ValueError("one\r\n  two\u2028three ")) == "ValueError: one two three"
    assert raised(ValueError()) == "ValueError"
    assert raised(Speechless()) == "Speechless"
    assert len(raised(ValueError("x" * 10_000))) < 400
    assert str(RunError("one\ntwo  three")) == str(UsageError("one \n two  three")) == "one two  three"


# --- Variables and limits


@pytest.mark.parametrize(("platforms", "says"), [("nonsense", "'nonsense'"), ("cuda", "no such device")])
def test_a_platform_that_jax_has_not_is_told(platforms: str, says: str, tmp_path: Path) -> None:
    nowhere = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": platforms}
    answer = command(*WORDS, "--run", "run", folder=tmp_path, **nowhere)
    if platforms == "cuda" and "no such device" not in answer.err:
        says = "JAX does not start"
    assert_one_sentence(answer, 2, f"JAX_PLATFORMS={platforms!r}", says, "with cpu it would")
    assert not any(tmp_path.iterdir())


def test_a_drawing_backend_that_is_not_there_is_not_needed() -> None:
    assert_one_sentence(command("watch", "nobody", MPLBACKEND="bogus"), 2, "no agent or run at 'nobody'")


def test_a_working_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    answer = command("rules", shell='cd gone && rmdir ../gone && "$@"', folder=tmp_path)
    assert_one_sentence(answer, 2, "working directory is gone")


def test_too_few_open_files_for_the_workers_are_told_and_nothing_is_left(tmp_path: Path) -> None:
    words = [*WORDS, "--run", "runs/mine", "--workers", 30]
    answer = command(*words, shell='ulimit -n 64; "$@"', folder=tmp_path)
    assert_one_sentence(answer, 2, "30 worker processes cannot be started: Too many open files; lower --workers")
    assert not any(tmp_path.iterdir())


def test_nobodys_home_is_told(metahebb: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry."""
    import pwd

    def nobody(*_: object) -> None:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    imports = ["--import", ENVIRONMENTS]
    assert_one_sentence(metahebb("train", TASK, *imports, "--rule", "~/r.py:grow"), 2, "no file", "~/r.py")
    assert_one_sentence(metahebb("train", TASK, "--import", "~/e.py"), 2, "no such file", "~/e.py")
    assert not any(tmp_path.iterdir())


def test_no_folder_for_temporary_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"no folder for temporary files \(No such file or directory\); let TMPDIR"):
        trust.new_folder()


# --- Python


def test_numpys_numbers_are_numbers(tmp_path: Path) -> None:
    assert [*map(type, api.check_resources(np.int8(3), np.float32(5)))] == [int, float]  # type: ignore[arg-type]
    run = package.train(
        TASK,
        run=tmp_path / "run",
        imports=[ENVIRONMENTS],
        hidden=np.array([4]),
        population=np.int64(2),
        generations=np.int32(1),
        validation_lives=np.uint8(1),
        sigma=np.float64(0.1),
        static=np.bool_(False),
        seed=np.uint64(3),
        workers=np.int8(1),
        time_limit=np.float32(5),
    )
    assert package.open_run(run.folder).configuration == run.configuration
    given = {"goal": np.float32(0.5), "sizes": np.arange(2), "on": np.bool_(True), "where": Path("a/b")}
    read = package.configuration.SETTINGS["env_args"].read(given)
    assert read == {"goal": 0.5, "sizes": [0, 1], "on": True, "where": "a/b"}
    assert [*map(type, read.values())] == [float, list, bool, str]
    lived = package.evaluate(run, np.int64(2), seed=np.int16(1), workers=np.int8(1))
    assert lived.scores.tolist() == package.evaluate(run, 2, seed=1, workers=1).scores.tolist()


def test_values_of_another_kind_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ours: dict[str, Any] = {"imports": [ENVIRONMENTS], **SMALL}
    calls: dict[str, Callable[[], object]] = {
        "--time-limit is '5'": lambda: package.train(TASK, time_limit="5", **ours),  # type: ignore[arg-type]
        "--task is 3; it must be text": lambda: package.train(3, **ours),  # type: ignore[arg-type]
        "--preset is 3; it must be text": lambda: package.train(TASK, preset=3, **ours),  # type: ignore[arg-type]
        "--config is 3; it must be a path": lambda: package.train(config=3),  # type: ignore[arg-type]
        "--run is 3; it must be a path": lambda: package.train(TASK, run=3, **ours),  # type: ignore[arg-type]
        "agent is 3; it must be a path": lambda: package.train(TASK, start_from=3, **ours),  # type: ignore[arg-type]
        "--imports? is '.+'; it must be a list": lambda: package.train(TASK, imports=str(ENVIRONMENTS)),
        "--env-arg there is object, which no file": lambda: package.train(TASK, env_args={"there": object()}, **ours),
        "The agent is None; it must be": lambda: package.evaluate(None),  # type: ignore[arg-type]
        "The run is None; it must be": lambda: package.resume(None),  # type: ignore[arg-type]
        "--lives is 3.0": lambda: package.evaluate("nobody", 3.0),  # type: ignore[arg-type]
        "--files is 'x.dat'; it must be a list": lambda: package.import_reference("x.dat"),  # type: ignore[arg-type]
    }
    for sentence, call in calls.items():
        with pytest.raises(UsageError, match=sentence):
            call()
    assert tree(tmp_path) == {}


def test_runs_that_begin_at_the_same_time_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made: list[Path] = []
    together = threading.Barrier(5)

    def begin() -> None:
        together.wait()
        made.append(api.new_run("gymnasium:CartPole-v1", **SMALL).folder)

    threads = [threading.Thread(target=begin) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, made)) == [f"runs/CartPole-v1-{n}" for n in range(1, 6)]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == sorted(path.name for path in made)
