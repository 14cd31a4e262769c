"""Whether an agent scores alike in other simulators and with other coefficients.

``python -m benchmarks.agreement RUN_OR_AGENT [lives]`` lives the same lives (worlds and initial weights) in each, and
prints the mean of the paired differences with its interval of 95 %.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

import metahebb
from metahebb.agents import Agent

SIMULATORS = {
    "car-racing": ("jax", "gymnasium"),
    "quadruped": ("mujoco", "mjx"),
    "quadruped-bullet": ("exact", "merged"),
}
"""of each task that has several, the first being the one that counts"""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    parser.add_argument("agent", help="a run's folder or an agent's file")
    parser.add_argument("lives", nargs="?", type=int, default=100)
    arguments = parser.parse_args()
    table = Table("", "score", "difference of the same lives", "95 %")
    first = None
    for name, agent in variants(metahebb.load(arguments.agent)):
        print(f"living: {name}", file=sys.stderr)
        evaluation = metahebb.evaluate(agent, arguments.lives)
        row = [name, f"{evaluation.mean:.1f} ± {evaluation.deviation:.1f}"]
        if first is None:
            first = evaluation
        else:
            differences = evaluation.scores - first.scores
            mean, half = differences.mean(), 1.96 * differences.std(ddof=1) / math.sqrt(len(differences))
            row += [f"{mean:+.1f}", f"{mean - half:+.1f} … {mean + half:+.1f}"]
        table.add_row(*row)
    Console(highlight=False).print(table)


def variants(agent: Agent) -> Iterator[tuple[str, Agent]]:
    """The agent as it counts, then how else it can live."""
    simulators = SIMULATORS.get(agent.configuration.task, ())
    agent = agent.living_in(simulator=next(iter(simulators), None))
    yield "as it counts", agent
    halved = dataclasses.replace(agent.configuration, coefficients="float16")
    yield "--coefficients float16", dataclasses.replace(agent, configuration=halved)
    for simulator in simulators[1:]:
        yield f"--simulator {simulator}", agent.living_in(simulator=simulator)


if __name__ == "__main__":
    main()
