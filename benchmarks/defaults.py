"""What the defaults come to: environments of Gymnasium evolved with no option but a seed and a time limit.

``python -m benchmarks.defaults`` goes on where it was stopped: runs are kept in ``runs/defaults``, what came of each
in ``results/defaults.json``, and the table is written into ``docs/defaults.md``. Seeds take turns: the first seed of
every environment comes before the second of any.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import metahebb
from metahebb.evolution.runs import open_run

ENVIRONMENTS: Mapping[str, Sequence[str]] = {
    "Classic control": ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"),
    "Toy text": ("FrozenLake-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1"),
    "Box2D": ("LunarLander-v3", "LunarLanderContinuous-v3", "BipedalWalker-v3"),
    "MuJoCo": (
        "InvertedPendulum-v5", "InvertedDoublePendulum-v5", "Reacher-v5", "Swimmer-v5", "HalfCheetah-v5", "Hopper-v5",
        "Walker2d-v5", "Ant-v5", "Humanoid-v5", "HumanoidStandup-v5", "Pusher-v5",
    ),
}  # fmt: skip
SEEDS = (0, 1, 2)
LIVES = 100
ROOT = Path(__file__).resolve().parent.parent
RUNS, RESULTS, TABLE = ROOT / "runs" / "defaults", ROOT / "results" / "defaults.json", ROOT / "docs" / "defaults.md"

BEGIN, END = "<!-- the table -->", "<!-- its end -->"


def main() -> None:
    """Evolve and score what is still to be, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of a run, at most")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--only", nargs="*", default=[], help="environments, such as Acrobot-v1")
    given = parser.parse_args()
    names = [name for group in ENVIRONMENTS.values() for name in group if not given.only or name in given.only]
    for seed in SEEDS:
        for name in names:
            if str(seed) not in read_results().get(name, {}):
                print(f"{name}, seed {seed}", flush=True)
                result = measure(name, seed, given.minutes, given.workers)
                print(f"  {result}", flush=True)
                # Another process may have measured other environments (--only) meanwhile.
                results = read_results()
                results.setdefault(name, {})[str(seed)] = result
                write(RESULTS, json.dumps(results, indent=1) + "\n")
                before, _, rest = TABLE.read_text().partition(BEGIN)
                write(TABLE, f"{before}{BEGIN}\n\n{table(results)}\n{END}{rest.partition(END)[2]}")


def measure(name: str, seed: int, minutes: float, workers: int | None) -> dict[str, Any]:
    """Evolve an environment, or go on with it, for so long in all, and score its best agent."""
    folder = RUNS / f"{name}-{seed}"
    spent = seconds_of(folder)
    if not folder.exists():
        metahebb.train(
            f"gymnasium:{name}", run=folder, seed=seed, generations=100_000, time_limit=minutes, workers=workers
        )
    elif spent < 60 * minutes:
        metahebb.resume(folder, time_limit=minutes - spent / 60, workers=workers)
    lines = metrics_of(folder)
    agent = metahebb.load(folder)
    score = metahebb.evaluate(agent, LIVES, workers=workers)
    by_chance = metahebb.evaluate(agent, LIVES, random_rules=True, workers=workers)
    return {
        "score": round(score.mean, 2),
        "deviation": round(score.deviation, 2),
        "random": round(by_chance.mean, 2),
        "target": agent.configuration.target,
        "minutes": round(seconds_of(folder) / 60, 2),
        "steps": sum(line["steps"] for line in lines),
        "generations": len(lines),
        "version": metahebb.__version__,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
    }


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    """The metrics of a run's generations; none of a folder that is none yet."""
    with contextlib.suppress(metahebb.UsageError):
        return list(open_run(folder).metrics())
    return []


def seconds_of(folder: Path) -> float:
    """How long a run has evolved."""
    return sum(line["seconds"] for line in metrics_of(folder))


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The results as Markdown; a row for each environment, a number for each seed."""
    lines = [
        "| environment | threshold | score | random rules | minutes | million steps |",
        "|---|---|---|---|---|---|",
    ]
    for group, names in ENVIRONMENTS.items():
        lines.append(f"| **{group}** | | | | | |")
        for name in names:
            of_seeds = [results.get(name, {}).get(str(seed)) for seed in SEEDS]
            done = [result for result in of_seeds if result is not None]
            if not done:
                continue
            target = done[0]["target"]
            columns = [
                "none" if target is None else f"{target:g}",
                ", ".join(_score(result) for result in done),
                f"{sum(result['random'] for result in done) / len(done):.4g}",
                ", ".join(f"{result['minutes']:.1f}" for result in done),
                ", ".join(f"{result['steps'] / 1e6:.2f}" for result in done),
            ]
            lines.append(f"| {name} | {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def _score(result: Mapping[str, Any]) -> str:
    """In bold where the threshold was reached by the fresh lives too."""
    text = f"{result['score']:.4g}"
    return f"**{text}**" if result["target"] is not None and result["score"] >= result["target"] else text


def read_results() -> dict[str, dict[str, Any]]:
    """What has been measured so far, by environment and seed."""
    return dict(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}


def write(path: Path, text: str) -> None:
    """Write a file whole."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


if __name__ == "__main__":
    main()
