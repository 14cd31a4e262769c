"""Signals at any moment end a command with one line and leave nothing half made."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import metahebb
from support import ENVIRONMENTS, PATIENCE, alive, options, tree, wait_for, workers_of

pytestmark = [
    pytest.mark.xdist_group("interrupts"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send these signals"),
]

TASK = "gymnasium:CartPole-v1"
SETTINGS: dict[str, Any] = {"hidden": 8, "population": 16, "generations": 100_000, "workers": 2, "target": 1e9}
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = {"hidden": (8,), "population": 4, "generations": 1, "validation_lives": 1, "lives": 1}
    return metahebb.train(TASK, run=folder, workers=1, **settings).folder / "best.safetensors"


def commands(agent: Path) -> dict[str, Sequence[object]]:
    """Commands that run for half a minute or longer; one that ends sooner ends as if nothing had happened."""
    return {
        "train": ("train", TASK, "--run", "run", *options(**SETTINGS)),
        "evaluate": ("evaluate", agent, "--lives", 100_000, "--workers", 2),
        "watch": ("watch", agent, "--video", "life.mp4"),
        "tasks": ("tasks",),
    }


def catches(process: int, number: int = signal.SIGTERM) -> bool:
    """Whether a process has a handler for a signal: Python alone has one for SIGINT only."""
    status = Path(f"/proc/{process}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


def check_ended(process: subprocess.Popen[str], number: int, word: str) -> str:
    """Its line, if it ended as it should."""
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number, err
    assert err.count("\n") == 1
    assert err.startswith(word)
    return err


@pytest.mark.parametrize("name", ["train", "evaluate", "watch", "tasks"])
def test_ctrl_c_at_any_moment_ends_a_command_with_130_and_one_line(
    name: str, agent: Path, start: Start, tmp_path: Path
) -> None:
    chance = random.Random(name)
    # From the moment when Python itself has started, and nothing is imported yet, to the middle of the work.
    moments = (0, chance.uniform(0, 0.5), chance.uniform(0.5, 3), chance.uniform(3, 8))
    # Once its work is done and said, a command ends without another line.
    for seconds in (0, 0.1, 0.2) if name == "tasks" else moments:
        process = start(*commands(agent)[name])
        if Path("/proc").exists():
            wait_for(lambda process=process: catches(process.pid))
        else:
            time.sleep(1)
        time.sleep(seconds)
        if process.poll() is not None:
            assert name in ("watch", "tasks")
            continue
        process.send_signal(signal.SIGINT)
        line = check_ended(process, signal.SIGINT, "Interrupted")
        if (run := tmp_path / "run").exists():
            assert line.endswith("Continue: metahebb train --resume run\n")
            run.rename(tmp_path / f"run-{seconds}")
        assert not any(".partial" in path for path in tree(tmp_path))


@pytest.mark.parametrize(("number", "word"), [(signal.SIGTERM, "Terminated"), (signal.SIGHUP, "Hung up")])
def test_sigterm_and_sighup_end_a_film_and_leave_none(
    number: int, word: str, agent: Path, start: Start, tmp_path: Path
) -> None:
    # Under nohup it would be ignored, here and by the command.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        process = start("watch", agent, "--video", "life.mp4")
    finally:
        signal.signal(number, before)
    wait_for(lambda: tree(tmp_path))
    workers = workers_of(process.pid)
    process.send_signal(number)
    assert check_ended(process, number, word) == f"{word}.\n"
    assert tree(tmp_path) == {}
    wait_for(lambda: not any(map(alive, workers)))


def test_the_package_run_as_a_module_is_the_command(agent: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "metahebb", *map(str, commands(agent)["train"])]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: workers_of(process.pid))
    process.send_signal(signal.SIGINT)
    assert check_ended(process, signal.SIGINT, "Interrupted").endswith("metahebb train --resume run\n")


def test_ctrl_c_pressed_five_times_is_pressed_once(agent: Path, start: Start) -> None:
    process = start(*commands(agent)["evaluate"])
    wait_for(lambda: workers_of(process.pid))
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    check_ended(process, signal.SIGINT, "Interrupted")


def test_what_is_ignored_stays_ignored(start: Start, tmp_path: Path) -> None:
    """As nohup does it, and a shell for what it starts in the background."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start("train", TASK, "--run", "run", *options(**SETTINGS | {"generations": 1, "target": 0}))
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(lambda: (tmp_path / "run").exists())
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("where", ["a swallowing environment", "compiled code"])
def test_ctrl_c_cannot_be_swallowed(where: str, start: Start, tmp_path: Path) -> None:
    """By code that catches every exception, as JAX's callbacks do, nor held up by code that checks for none."""
    busy = {
        "a swallowing environment": """
while True:
    try:
        time.sleep(1000)
    except BaseException:
        pass
""",
        "compiled code": "import ctypes\nctypes.CDLL(None).sleep(1000)\n",
    }
    (tmp_path / "mine.py").write_text(f"import time\nopen('imported', 'w').close()\n{busy[where]}")
    process = start("tasks", "--import", "mine.py")
    wait_for(lambda: (tmp_path / "imported").exists())
    process.send_signal(signal.SIGINT)
    check_ended(process, signal.SIGINT, "Interrupted")


def test_a_child_that_an_environment_forks_does_not_end_the_command(start: Start, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, signal\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.pause()\n"
        "os.kill(child, signal.SIGTERM)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM\n"
    )
    process = start("tasks", "--import", "mine.py")
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert "car-racing" in out


def read(terminal: int) -> bytes:
    """What there is; nothing once the other side is gone."""
    try:
        return os.read(terminal, 10_000)
    except OSError:
        return b""


def test_a_terminal_has_its_cursor_back(tmp_path: Path) -> None:
    terminal, theirs = os.openpty()
    words = ["train", TASK, "--run", str(tmp_path / "run"), *options(**SETTINGS)]
    process = subprocess.Popen(
        [sys.executable, "-m", "metahebb_command", *words], stdin=theirs, stdout=theirs, stderr=theirs, process_group=0
    )
    os.close(theirs)
    said = b""
    while b"generation 2/" not in said:
        said += read(terminal)
    # What a terminal makes of the key: a signal to all processes in front.
    os.killpg(process.pid, signal.SIGINT)
    while more := read(terminal):
        said += more
    assert process.wait(PATIENCE) == 130
    assert said.count(b"Interrupted; nothing but the lives in flight is lost.") == 1
    assert said.rindex(b"\x1b[?25h") > said.rindex(b"\x1b[?25l")
    assert said.endswith(f"Continue: metahebb train --resume {tmp_path / 'run'}\r\n".encode())


def test_from_python_ctrl_c_is_an_ordinary_exception(tmp_path: Path) -> None:
    script = (
        "import os, signal, metahebb\n"
        "class Pressing(metahebb.Observer):\n"
        "    def lived(self, outcome, lives):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "try:\n"
        f"    metahebb.train({TASK!r}, run='run', workers=1, observer=Pressing())\n"
        "except KeyboardInterrupt:\n"
        "    print('caught')\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "caught\n", "")


@pytest.mark.parametrize("what", ["--import", "--rule", "a task"])
def test_a_keyboard_interrupt_that_is_not_the_users_is_a_sentence(what: str, start: Start, tmp_path: Path) -> None:
    (tmp_path / "import.py").write_text("raise KeyboardInterrupt\n")
    (tmp_path / "rule.py").write_text("def mine(pre, post, weight, A):\n    raise KeyboardInterrupt\n")
    (tmp_path / "task.py").write_text(
        "import metahebb\n\ndef mine(options):\n    raise KeyboardInterrupt\n\nmetahebb.register_task('mine', mine)\n"
    )
    words = {
        "--import": (TASK, "--import", "import.py"),
        "--rule": (TASK, "--rule", "rule.py:mine"),
        "a task": ("mine", "--import", "task.py"),
    }
    _, err = (process := start("train", *words[what])).communicate(timeout=PATIENCE)
    assert (process.returncode, err.count("\n")) == (2, 1)
    assert "raised KeyboardInterrupt" in err


def test_a_time_limit_ends_the_trial_of_an_environment_that_hangs(tmp_path: Path) -> None:
    """Before there is a run, in the command's own process."""
    words = ["metahebb", "train", "gymnasium:Endless-v0", "--import", str(ENVIRONMENTS), "--time-limit", "0.1"]
    script = f"import sys, metahebb.cli as cli\nsys.argv = {words}\ncli.PREPARING = 1\ncli.main()"
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    sentence = "Error: The time limit has passed while the environment was made and tried; nothing was evolved.\n"
    assert (answer.returncode, answer.stdout, answer.stderr) == (1, "", sentence)
    assert tree(tmp_path) == {}


def test_a_command_whose_standard_output_is_closed_ends_well() -> None:
    command = ["sh", "-c", f"'{sys.executable}' -m metahebb_command rules >&-"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
