"""What it costs an evaluation to be recorded: the same lives of an evolved agent, lived by one worker."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Row
from metahebb import seeds
from metahebb.agents import load_agent
from metahebb.evolution.workers import Workers
from metahebb.lifetimes.lives import life_of
from metahebb.lifetimes.recorder import To

__all__ = ["rows"]

AGENT = "car-racing"
LIVES = 8


def rows() -> Iterator[Row]:
    """CarRacing's lives with everything of them recorded, the weights every ten steps."""
    agent = load_agent(AGENT)
    with tempfile.TemporaryDirectory() as folder:
        to = To(folder, 10, False, agent.task.longest)
        with Workers(agent.configuration, 1) as plain, Workers(agent.configuration, 1, record=to) as recording:
            recording.wait()

            def lived(pool: Workers) -> float:
                for name in pool.recorded:
                    shutil.rmtree(Path(folder, name), ignore_errors=True)
                    Path(folder, name).mkdir()
                groups = [[life_of(0, number, 0, seeds.Stream.EVALUATION)] for number in range(LIVES)]
                start = time.perf_counter()
                steps = sum(outcome.steps for outcome in pool.live(groups, agent.genome[None]))
                return (time.perf_counter() - start) * 1e6 / steps

            name = "CarRacing, a step of an evaluation, recorded with the weights every 10 steps, one worker"
            yield Row(name, "µs", "not recorded", lambda: lived(plain), lambda: lived(recording), limit_ratio=1 / 0.75)
