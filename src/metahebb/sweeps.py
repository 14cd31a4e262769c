"""Many runs as one submission: the same task with other seeds or settings, each in a folder of its own.

All are made, and so checked, before the first begins. Each is evolved in a process of its own (``python -m
metahebb.sweeps``), which ends when this one does; as many at a time as there are workers, who are shared out evenly, so
that none waits at a generation's end while there are runs enough. A run of a sweep is a run like any other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from metahebb import api
from metahebb.configuration import SEED, SETTINGS
from metahebb.errors import MetahebbError, RunError, UsageError, quoted, raised
from metahebb.evolution.messages import Message, receive, send
from metahebb.evolution.runs import Run, open_run
from metahebb.evolution.training import Metrics, Observer
from metahebb.evolution.worker import claim_standard_streams
from metahebb.files import read_file, reason_of, user_path
from metahebb.interrupts import undo, undone
from metahebb.resources import cores

__all__ = [
    "Member", "check_all_done", "evolve_members", "grid_of", "members_at", "members_of", "new_members", "seeds_of",
]  # fmt: skip

MOST = 10_000
"""runs of a sweep: more are a slip of the pen"""


@dataclass(eq=False)
class Member:
    """A run of a sweep, and how it is."""

    name: str
    """that of its folder, and what sets it apart"""
    folder: Path
    generations: int
    state: str = "waits"
    """``waits``, ``runs``, ``done``, ``time`` or ``failed``"""
    metrics: Metrics | None = None
    """of its newest generation"""
    best: float | None = None
    """its best validation score"""
    sentence: str = ""
    """why it failed"""


def seeds_of(text: str) -> list[int]:
    """The seeds that ``1-10`` or ``0,3,7-9`` stand for; raises UsageError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last - first >= MOST:
            raise UsageError(
                f"--seeds is {quoted(text)}; it must be seeds and ranges of them, such as 1-10 or 0,3,7-9."
            )
        seeds += range(first, last + 1)
    return [SEED.read("seeds", seed) for seed in dict.fromkeys(seeds)]


def grid_of(path: str | Path) -> list[dict[str, Any]]:
    """All combinations of the values in a file, which is JSON: lists of values by the names of their settings."""
    file = user_path("--grid", path)
    try:
        lists = json.loads(read_file("The grid", file))
    except (ValueError, RecursionError) as e:
        raise UsageError(f"The grid {quoted(path)} is not JSON: {e}.") from e
    if (
        not isinstance(lists, dict)
        or not lists
        or not all(isinstance(values, list) and values for values in lists.values())
    ):
        raise UsageError(
            f'The grid {quoted(path)} must be lists of values by the names of settings, such as {{"lr": [0.1, 0.2]}}.'
        )
    names = [name.removeprefix("--").replace("-", "_") for name in lists]
    options = {setting.option: name for name, setting in SETTINGS.items() if setting.option is not None}
    names = [options.get(name.replace("_", "-"), name) for name in names]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*lists.values())]


def new_members(
    task: str | None,
    folder: str | Path | None,
    seeds: Sequence[int] | None,
    grid: Sequence[Mapping[str, Any]],
    **given: Any,
) -> list[Member]:
    """Make a run for each seed and each combination of a grid, in a new folder; the arguments are those of ``new_run``.

    Raises UsageError, and leaves nothing behind, if any of them cannot be.
    """
    changes = [
        {**combination, **({} if seed is None else {"seed": seed})}
        for combination in grid or [{}]
        for seed in (seeds if seeds is not None else [None])
    ]
    if seeds is not None and any("seed" in combination for combination in grid):
        raise UsageError("--seeds and the grid both bring seeds; leave one of them out.")
    if len(changes) > MOST:
        raise UsageError(f"These are {len(changes):,} runs; the most is {MOST:,}.")
    names = [",".join(f"{name}={_word(value)}" for name, value in changed.items()) for changed in changes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"Two of the runs would be named {quoted(twice)}: give each value once.")
    base = _new_folder(task, folder)

    def remove() -> None:
        with contextlib.suppress(OSError):
            base.rmdir()

    with undone(remove):
        try:
            wanted = {name: {"task": task, **given, **changed} for name, changed in zip(names, changes, strict=True)}
            return members_at(base, wanted)
        except BaseException:
            remove()
            raise


def members_at(folder: Path, wanted: Mapping[str, Mapping[str, Any]]) -> list[Member]:
    """The runs of these names in a folder; those that are not there are made, with these arguments of ``new_run``.

    Raises UsageError, and leaves nothing behind, if any of them cannot be.
    """
    members: list[Member] = []
    made: list[Run] = []

    def remove() -> None:
        # The first one's folder may have been made for it.
        for run in reversed(made):
            run.remove()

    with undone(remove):
        try:
            for name, how in wanted.items():
                if (folder / name / "config.json").exists():
                    run = open_run(folder / name)
                else:
                    made.append(run := api.new_run(**how, run=folder / name))
                members.append(Member(name, run.folder, run.configuration.generations))
        except BaseException:
            remove()
            raise
    return members


def members_of(folder: Path) -> list[Member]:
    """The runs in a sweep's folder; none if it is no such folder."""
    with contextlib.suppress(OSError):
        if not (folder / "config.json").exists():
            folders = [path.parent for path in folder.glob("*/config.json")]
            # Seed 10 after seed 9.
            key = [(re.sub(r"\d+", lambda number: number[0].zfill(20), path.name), path) for path in folders]
            return [Member(path.name, path, 0) for _, path in sorted(key)]
    return []


def evolve_members(
    members: Sequence[Member],
    *,
    generations: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    time_limit: float | None = None,
    trust_code: bool = False,
    told: Callable[[Member], None] = lambda member: None,
) -> None:
    """Evolve all runs, ``workers`` in all working on them; ``told`` of a run whenever there is news of it.

    A run that fails keeps no other from going on. ``time_limit`` in minutes, for all of them together. On a cluster
    this process belongs to it (``api.on_cluster``).
    """
    deadline = None if time_limit is None else time.monotonic() + 60 * time_limit
    total = workers or cores()
    if cluster is not None:
        from metahebb.evolution.cluster import address_of_this, free_cores

        cluster, total = address_of_this(), min(workers or MOST, max(free_cores(), 1))
    at_once = min(total, len(members))
    waiting, running = list(members), 0
    news: queue.SimpleQueue[tuple[Member, bool]] = queue.SimpleQueue()
    while waiting or running:
        while waiting and running < at_once:
            left = None if deadline is None else (deadline - time.monotonic()) / 60
            if left is not None and left <= 0:
                for member in waiting:
                    member.state = "time"
                waiting = []
                break
            member = waiting.pop(0)
            order = {
                "folder": str(member.folder),
                "generations": generations,
                "workers": total // at_once,
                "cluster": cluster,
                "time_limit": left,
                "trust_code": trust_code,
            }
            threading.Thread(target=_follow, args=(member, order, news.put), daemon=True).start()
            running += 1
        if not running:
            break
        member, over = news.get()
        running -= over
        told(member)


def _follow(member: Member, order: Mapping[str, Any], news: Callable[[tuple[Member, bool]], None]) -> None:
    """Have a run evolved by a process of its own, and pass on what it says."""
    member.state = "runs"
    process = None
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "metahebb.sweeps"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        send(process.stdin, Message("evolve", order))
        while (message := receive(process.stdout)) is not None:
            _note(member, message)
            if member.state == "runs":
                news((member, False))
    except OSError as e:
        member.sentence = f"Its process could not be started: {reason_of(e)}."
    code = None if process is None else process.wait()
    if member.state == "runs":
        member.state = "failed"
        member.sentence = member.sentence or f"Its process ended with code {code}; --resume goes on."
    news((member, True))


def _note(member: Member, message: Message) -> None:
    fields = message.fields
    match message.kind:
        case "started":
            member.generations, member.metrics = fields["generations"], fields["metrics"]
        case "generation":
            member.metrics = dict(fields)
            if (score := fields.get("validation")) is not None:
                member.best = score if member.best is None else max(score, member.best)
        case "ended":
            member.state, member.best = "time" if fields["reason"] == "time" else "done", fields["best"]
        case "failed":
            member.state, member.sentence = "failed", fields["sentence"]


def check_all_done(members: Sequence[Member]) -> None:
    """Raise RunError if runs have failed."""
    failed = [member for member in members if member.state == "failed"]
    if failed:
        named = " ".join(f"{member.name}: {member.sentence}" for member in failed[:3])
        more = f" And {len(failed) - 3} more." if len(failed) > 3 else ""
        raise RunError(f"{len(failed)} of {len(members)} runs failed. {named}{more}")


def _word(value: Any) -> str:
    """A value as a part of a folder's name."""
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^\w.+-]+", "_", text.rpartition("/")[2]).strip("_") or "none"


def _new_folder(task: str | None, folder: str | Path | None) -> Path:
    """A folder that was not there."""
    name = (task or "sweep").rpartition(":")[2].replace("/", "-")
    numbered = (Path("runs", f"{name}-{number}") for number in itertools.count(1))
    for path in numbered if folder is None else [user_path("--run", folder)]:
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as e:
            raise UsageError(
                f"The folder {quoted(path)} cannot be made: {reason_of(e)}; choose another with --run."
            ) from e
        return path
    raise UsageError(f"The folder {quoted(path)} exists. Continue its runs with --resume, or choose another folder.")


class _Teller(Observer):
    """Tells of a run's progress in messages."""

    def __init__(self, outbox: IO[bytes]) -> None:
        self._outbox = outbox

    def generation(self, metrics: Metrics) -> None:
        send(self._outbox, Message("generation", metrics))


def main() -> None:
    """Evolve a run as the first message says; end when the input is closed, whatever is being done."""
    inbox, outbox = claim_standard_streams()
    order = receive(inbox)
    if order is None:
        return
    threading.Thread(target=_end_with, args=(inbox,), daemon=True).start()
    o = order.fields
    try:
        with api.on_cluster(o["cluster"]):
            workers = o["workers"] if o["cluster"] is None else None
            run = api.run_to_continue(o["folder"], o["generations"], workers, trust_code=o["trust_code"])
            newest = next(reversed(run.metrics()), None)
            send(outbox, Message("started", {"generations": run.configuration.generations, "metrics": newest}))
            ending = api.evolve_run(
                run, workers=o["workers"], cluster=o["cluster"], time_limit=o["time_limit"], observer=_Teller(outbox)
            )
        send(outbox, Message("ended", dataclasses.asdict(ending)))
    except MetahebbError as e:
        send(outbox, Message("failed", {"sentence": str(e)}))
    except BaseException as e:
        send(outbox, Message("failed", {"sentence": raised(e)}))


def _end_with(inbox: IO[bytes]) -> None:
    inbox.read()
    undo()
    os._exit(0)


if __name__ == "__main__":
    main()
