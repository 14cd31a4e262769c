"""Cells: what lives of an experiment have in common, lived side by side.

The lives of all cells share one pool of workers, undisturbed and disturbed ones beside each other, so that no core
waits for a cell to end. Only what has another network needs other compiled code, and so a pool of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metahebb.agents import Agent
from metahebb.api import needs_of_pool
from metahebb.configuration import Configuration
from metahebb.evolution.workers import Workers
from metahebb.lifetimes.lives import Life, Outcome, life_of
from metahebb.perturbations import Perturbations
from metahebb.resources import Need, check_memory, needs_of_lives
from metahebb.seeds import Stream
from metahebb.settings import Group, settings_of

__all__ = ["Cell", "Lived", "live_cells", "simulator_for"]

STEPS = 1000
"""of a life whose task has no limit, for what its rewards may take"""


@dataclass(frozen=True, eq=False)
class Cell:
    """An agent (in its body), what its lives have for a genome, and what disturbs them."""

    agent: Agent
    perturbations: Perturbations = ()
    genome_of: Callable[[int], np.ndarray] | None = None
    """a life's own genome by its number, float32 [parameters]; None for the agent's"""

    def genome(self, number: int) -> np.ndarray:
        """The genome that the life of this number has."""
        return self.agent.genome if self.genome_of is None else self.genome_of(number)


class Lived(NamedTuple):
    """What came of cells."""

    outcomes: list[list[Outcome]]
    """of each cell, by the lives' numbers; with rewards"""
    seconds: float
    """that all lives took, without the start of the workers"""

    @property
    def steps(self) -> int:
        """of all lives"""
        return sum(outcome.steps for outcomes in self.outcomes for outcome in outcomes)


def simulator_for(agent: Agent, simulator: str | None) -> str | None:
    """Where an experiment lives: as asked for, by default where published numbers are measured, else as evolved."""
    return simulator or agent.task.measured_in or agent.configuration.simulator


def live_cells(
    cells: Sequence[Cell],
    lives: int,
    seed: int,
    workers: int | None = None,
    lived: Callable[[Outcome], None] | None = None,
) -> Lived:
    """Live lives 0, 1, … of every cell: those of the same number have the same world and random numbers in all cells.

    They are the lives that ``evaluate`` lives with this seed. Raises UsageError, before any is lived, where the memory
    does not hold them.
    """
    pools = [[cells[at] for at in pool] for pool in _pools(cells)]
    check_memory(max((_needs(pool, lives, workers) for pool in pools), key=lambda needs: sum(n.size for n in needs)))
    outcomes: list[list[Outcome]] = [[] for _ in cells]
    seconds = 0.0
    for pool in _pools(cells):
        for at, its, took in _live(cells, pool, lives, seed, workers, lived):
            outcomes[at] = its
            seconds += took
    return Lived(outcomes, seconds)


def _pools(cells: Sequence[Cell]) -> list[list[int]]:
    """The cells whose lives the same workers can live, each by its place."""
    pools: dict[str, list[int]] = {}
    for at, cell in enumerate(cells):
        pools.setdefault(_kind(cell.agent.configuration), []).append(at)
    return list(pools.values())


def _kind(configuration: Configuration) -> str:
    """What of a configuration decides the workers' network and world; a life's body travels with it."""
    names = settings_of(Configuration, Group.WORLD, Group.NETWORK).keys() - {"morphologies"}
    return repr([(name, getattr(configuration, name)) for name in sorted(names)])


def _needs(cells: Sequence[Cell], lives: int, workers: int | None) -> list[Need]:
    agent, total = cells[0].agent, lives * len(cells)
    rewards = 4 * total * (agent.task.longest or STEPS)
    return [
        *needs_of_lives("lives of all cells", total, total, "lower --lives"),
        Need(f"the rewards of {total:,} lives", rewards, "lower --lives"),
        *needs_of_pool(agent.configuration, agent.task, agent.network, workers),
    ]


def _live(
    cells: Sequence[Cell],
    pool: Sequence[int],
    lives: int,
    seed: int,
    workers: int | None,
    lived: Callable[[Outcome], None] | None,
) -> list[tuple[int, list[Outcome], float]]:
    """The lives of the cells of one pool: for each cell its place, its outcomes, and its share of the seconds."""
    variants = list(dict.fromkeys(cells[at].perturbations for at in pool))

    def life(at: int, number: int) -> Life:
        # Each life is a member of its own: by that its genome is found, and its outcome.
        cell, member = cells[at], at * lives + number
        variant = variants.index(cell.perturbations)
        return life_of(member, number, seed, Stream.EVALUATION, body=cell.agent.body, variant=variant)

    def genome_of(member: int) -> np.ndarray:
        return cells[member // lives].genome(member % lives)

    outcomes: dict[int, list[Outcome]] = {at: [] for at in pool}
    with Workers(cells[pool[0]].agent.configuration, workers, variants=variants, keep_rewards=True) as processes:
        processes.wait()
        began = time.monotonic()
        for outcome in processes.live(([life(at, number)] for number in range(lives) for at in pool), genome_of):
            outcomes[outcome.member // lives].append(outcome)
            if lived is not None:
                lived(outcome)
        seconds = time.monotonic() - began
    return [(at, sorted(its, key=lambda outcome: outcome.number), seconds / len(pool)) for at, its in outcomes.items()]
