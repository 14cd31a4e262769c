"""What the tests of whole runs share: what a run leaves behind, and its processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 300
"""Seconds after which a test gives up on another process: no measure of speed, whatever else the machine is doing."""

COMPETING = f"{Path(__file__).with_name('rules_over_neurons.py')}:competing"
"""A rule that reduces over the neurons of a layer, for ``--rule``."""
ENVIRONMENTS = Path(__file__).with_name("environments.py")
"""Environments for ``--import``: one that is well, others that misbehave."""


class Answer(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str


def options(**settings: object) -> list[str]:
    """``population=4`` → ``--population 4``; True stands for a flag."""
    words = []
    for name, value in settings.items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, with what is in them."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def result(folder: Path) -> dict[str, Any]:
    """What two identical runs have in common: all metrics but those of time, and the agents, bit for bit."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    common = [{name: value for name, value in line.items() if "second" not in name} for line in lines]
    agents = {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}
    return {"metrics": common, "agents": agents}


def workers_of(process: int | None = None) -> list[int]:
    """The worker processes of a process, by default of this one."""
    process = os.getpid() if process is None else process
    command = ["ps", "-Aww", "-o", "pid=,ppid=,args="]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = (line.split(maxsplit=2) for line in listing.splitlines())
    return [int(pid) for pid, parent, args in rows if int(parent) == process and "metahebb.evolution.worker" in args]


def alive(process: int) -> bool:
    """Whether a process that is not a child of this one still runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(FileNotFoundError):
        # Whoever adopts orphans may be slow to reap them.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What a condition returns as soon as that is true; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


def kill(processes: Sequence[int]) -> None:
    """SIGKILL, as the kernel does when memory runs out."""
    for process in processes:
        os.kill(process, signal.SIGKILL)
