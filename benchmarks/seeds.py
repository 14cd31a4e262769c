"""What the seeds of a task come to: every run's fresh lives, the best and the median, and two kinds of runs compared.

``python -m benchmarks.seeds results/quadruped-hebbian results/quadruped-static`` reads the ``evaluation.json`` of each
run in these folders, which ``metahebb evaluate RUN --morphology … --json`` has written, and prints Markdown. Of two
folders it says for each body how far the first lies above the second.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from metahebb.analysis.intervals import runs_interval

Scores = Mapping[str, Mapping[str, np.ndarray]]
"""run → body, or ``score`` where there is no choice → the scores of its lives"""


def main() -> None:
    """Print a table for each folder, and the differences of two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    folders: list[Path] = parser.parse_args().folders
    kinds = [read(folder) for folder in folders]
    for folder, runs in zip(folders, kinds, strict=True):
        print(f"**{folder.name}**\n\n{table(runs)}\n")
    if len(kinds) == 2:
        print(differences(*kinds))


def read(folder: Path) -> Scores:
    """The scores of the evolved agents in a folder's runs."""
    found = {}
    for path in sorted(folder.glob("*/evaluation.json")):
        rows = json.loads(path.read_text())
        found[path.parent.name] = {
            row["body"] or "score": np.array(row["scores"], float)
            for name, row in rows.items()
            if name.startswith("evolved")
        }
    if not found:
        raise SystemExit(f"{folder} has no run with an evaluation.json.")
    return found


def table(runs: Scores) -> str:
    """A row for each run, then the best and the median of their means."""
    places = list(next(iter(runs.values())))
    lines = [f"| run | {' | '.join(places)} |", "|---" * (1 + len(places)) + "|"]
    for name, scores in runs.items():
        cells = (f"{scores[place].mean():.0f} ± {scores[place].std():.0f}" for place in places)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name, of_means in (("best", np.max), ("median", np.median)):
        cells = (f"{of_means([scores[place].mean() for scores in runs.values()]):.0f}" for place in places)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(first: Scores, second: Scores) -> str:
    """How far the first runs lie above the second in each place that both have."""
    places = [place for place in next(iter(first.values())) if place in next(iter(second.values()))]
    lines = ["| | difference [95%, over runs and lives] |", "|---|---|"]
    for place in places:
        rows = ([scores[place] for scores in runs.values()] for runs in (first, second))
        lines.append(f"| {place} | {runs_interval(*map(np.stack, rows))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
