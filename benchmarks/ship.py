"""Puts the best agent of a run into the package, where ``metahebb agents`` finds it by a name.

``python -m benchmarks.ship RUN NAME --command … --hardware …`` takes the place of what is there under that name: the
agent, its configuration, its metrics, and ``record.json`` with what the last of these cannot tell. It lives the agent's
lives as it will be shipped, and with ``--float16`` those of the unrounded one too, for the difference between them.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import metahebb
from metahebb.agents import Agent
from metahebb.analysis.intervals import bootstrap_interval
from metahebb.errors import UsageError
from metahebb.experiments.cells import simulator_for
from metahebb.shipped import FOLDER, RECORD, shipped_agents

MOST = 6e6
"""bytes of all agents together"""


def main() -> None:
    """Ship an agent, and print what all of them take."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ship", description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("name", help="such as car-racing, or car-racing-static for the same with static weights")
    parser.add_argument("--command", required=True, help="the command that the run was made by")
    parser.add_argument("--hardware", required=True, help='what it ran on, such as "2 cores of an AMD EPYC (Zen 4)"')
    parser.add_argument("--versions", help='such as "python 3.11, jax 0.10.2"; default those in the log of the run')
    parser.add_argument("--float16", action="store_true", help="round the genome, so that the file is half as large")
    parser.add_argument("--lives", type=int, default=100, help="fresh lives that are the agent's score")
    arguments = parser.parse_args()
    ship(**vars(arguments))
    size = sum(agent.size for agent in shipped_agents())
    print(f"{size / 1e6:.2f} MB in all, of {MOST / 1e6:g}")


def ship(
    run: str, name: str, command: str, hardware: str, versions: str | None, float16: bool = False, lives: int = 100
) -> None:
    """Make the folder of a shipped agent; it appears whole, in place of one of the same name."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UsageError(f"The name is {name!r}; it must be lower-case words with hyphens between them.")
    opened = metahebb.open_run(run)
    metrics = opened.metrics()
    made = versions or _logged_versions(opened.folder / "log.txt")
    best = opened.best
    with tempfile.TemporaryDirectory(dir=FOLDER) as building:
        folder = Path(building, name)
        folder.mkdir()
        best.save(folder / "best.safetensors", float16=float16)
        for file in ("config.json", "metrics.jsonl"):
            shutil.copy(opened.folder / file, folder / file)
        agent = metahebb.load(folder)
        score, scores = _scored(agent, lives)
        record: dict[str, Any] = {
            "command": command,
            "hardware": hardware,
            "versions": made,
            "generations": len(metrics),
            "steps": sum(line["steps"] for line in metrics),
            "minutes": round(sum(line["seconds"] for line in metrics) / 60, 1),
            "evaluation": score,
        }
        if float16:
            record["without_rounding"], unrounded = _scored(best, lives)
            print(f"rounded − unrounded, in the same lives: {bootstrap_interval(scores - unrounded)}")
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")
        shutil.rmtree(FOLDER / name, ignore_errors=True)
        folder.rename(FOLDER / name)
    print(json.dumps(record, indent=2))


def _scored(agent: Agent, lives: int, seed: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    """What an agent's fresh lives come to where its scores count, and the scores [lives]."""
    simulator = simulator_for(agent, None)
    there = agent.living_in(simulator=simulator)
    evaluation = metahebb.evaluate(there, lives, seed=seed)
    _, low, high = bootstrap_interval(evaluation.scores)
    names = ("mean", "deviation", "median", "min", "max", "diverged")
    numbers = {name: getattr(evaluation, name) for name in names}
    facts = {"lives": lives, "seed": seed, "body": there.body or None, "simulator": simulator}
    return {**facts, **numbers, "low": low, "high": high}, evaluation.scores


def _logged_versions(log: Path) -> str:
    opened = re.findall(r"opened with (.+)", log.read_text(encoding="utf-8")) if log.exists() else []
    if not opened:
        raise UsageError(f"{str(log)!r} does not tell the versions that the run was made with; give --versions.")
    return ", then ".join(dict.fromkeys(opened))


if __name__ == "__main__":
    main()
