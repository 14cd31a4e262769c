"""Runs on a Ray cluster: two workers' efficiency there beside here, and what the driver and the network cost.

For the second, nodes are simulated: the run, Ray and the nodes' actors are real, but the workers in them sleep instead
of living, for as long as lives take, and answer with sums of the right size. Costs are the driver's CPU time, so that
what else the machine does, the simulated nodes among it, counts little.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchmarks.harness import Row
from benchmarks.training import Training
from metahebb.assembly import configure
from metahebb.evolution import cluster, nodes
from metahebb.evolution.messages import Message
from metahebb.evolution.protocol import lived_message, read_live, read_sum, ready_message, summed_message
from metahebb.evolution.training import Observer, live, strategy_of
from metahebb.evolution.workers import Workers
from metahebb.lifetimes.lives import Outcome

WORKERS = (8, 64, 512, 4096)
LIVES = {"car-racing": 0.226, "quadruped": 0.073}
"""Seconds of a core for a life of full length: steps of a life times a core's step in training, as README.md has it"""
PER_NODE = 64
SLOTS = 8


def rows() -> Iterator[Row]:
    """The rows."""
    # Ray's actors find this module where this process does.
    os.environ["PYTHONPATH"] = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {"validate_every": 10**6, "generations": 10**6}
    with cluster.connected(cluster.LOCAL):
        for workers in (1, 2):
            with (
                Training("quadruped", workers, **settings) as here,
                Training("quadruped", workers, cluster=cluster.LOCAL, **settings) as there,
            ):
                yield Row(
                    f"quadruped, a core's step in training on a cluster, workers: {workers}",
                    "µs", "the same without a cluster", here.step, there.step, limit_ratio=1 / 0.95,
                )  # fmt: skip
        for task in LIVES:
            for workers in WORKERS:
                with Simulation(task, workers) as simulation:
                    yield Row(
                        f"{task}: the driver's time for a generation, population {2 * workers:,}, "
                        f"{workers:,} simulated workers", "s", "", None, simulation.generation,
                    )  # fmt: skip
                    simulation.report()


class Simulation:
    """Generations of two lives for each of so many simulated workers; a context manager that ends them."""

    def __init__(self, task: str, workers: int) -> None:
        self._workers, self._life = workers, LIVES[task]
        self._stack = contextlib.ExitStack()
        self._c, _, network = configure(task, population=2 * workers)
        self._strategy = strategy_of(self._c, network)
        self._state = self._strategy.init()
        self._size = network.evolved_parameters
        self._walls: list[tuple[float, float]] = []

    def __enter__(self) -> Simulation:
        self._stack.enter_context(simulated(self._workers, self._size, self._life))
        self._pool = self._stack.enter_context(Workers(self._c, self._workers, cluster=cluster.LOCAL))
        self._pool.wait()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def generation(self) -> float:
        """The driver's CPU seconds for a generation's lives and its sum of noise."""
        population, _ = self._strategy.ask(self._state, 0)
        cpu, began = time.process_time(), time.perf_counter()
        lived = sum(1 for _ in live(self._pool, self._c, population, 0, Observer()))
        assert lived == self._c.population * self._c.lives_per_member
        living = time.perf_counter() - began
        self._pool.weighted_noise(np.linspace(-1, 1, self._workers))
        self._walls.append((living, time.perf_counter() - began - living))
        return time.process_time() - cpu

    def report(self) -> None:
        """Say how long a generation took, in all."""
        living, adding = np.median(self._walls, axis=0)
        groups, lives = -(-self._workers // 8), 2 * self._c.lives_per_member
        print(
            f"    {self._workers:,} workers: {living:.2f} s for {lives} lives of {self._life} s each, "
            f"{adding:.2f} s for sums of noise, {groups * self._size * 4 / 1e6:,.0f} MB of them"
        )


@contextlib.contextmanager
def simulated(workers: int, size: int, life: float) -> Iterator[None]:
    """Within, clusters have so many sleeping workers, in an actor for each node's."""

    def look(site: Any, must: bool) -> list[Any]:
        if site._machines:
            return []
        (node,) = {node["NodeID"] for node in ray.nodes()}
        per_node = min(max(PER_NODE, workers // 16), workers)
        machines = [Machine(site, node, f"node-{n}", per_node, (size, life)) for n in range(workers // per_node)]
        ray.get([machine.actor.facts.remote([]) for machine in machines])
        site._machines += machines
        return machines

    before, cluster.RayCluster._look = cluster.RayCluster._look, look  # type: ignore[method-assign]
    try:
        yield
    finally:
        cluster.RayCluster._look = before  # type: ignore[method-assign]


class Machine(cluster._Machine):
    """A simulated node."""

    def _new_actor(self, files: Any) -> Any:
        return (
            ray.remote(concurrency_groups={"tell": 1, "hear": 1, "add": 2})(SleepingNode)
            .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(self.identifier, soft=False))
            .remote(files)
        )

    def __init__(self, site: Any, identifier: str, name: str, cores: int, simulated: tuple[int, float]) -> None:
        super().__init__(site, identifier, name, cores, simulated)  # type: ignore[arg-type]


class SleepingNode(nodes.Node):
    """A node whose workers sleep."""

    def __init__(self, simulated: tuple[int, float]) -> None:
        super().__init__({}, False)
        self._simulated = simulated
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._changed = threading.Condition()
        self._order = itertools.count()
        threading.Thread(target=self._wake, daemon=True).start()

    def at(self, moment: float, do: Callable[[], None]) -> None:
        """Do something at a moment of the monotonic clock."""
        with self._changed:
            heapq.heappush(self._due, (moment, next(self._order), do))
            self._changed.notify()

    def _start(self, number: int) -> None:
        self._processes[number] = Sleeper(self, number, *self._simulated)  # type: ignore[assignment]
        self._said.put(nodes.Said(number, "started", number))

    def _wake(self) -> None:
        while True:
            with self._changed:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
                _, _, do = heapq.heappop(self._due)
            do()


class Sleeper:
    """A worker that sleeps through one life after the other, as long as a core is at it."""

    def __init__(self, node: SleepingNode, number: int, size: int, life: float) -> None:
        self._node, self._number, self._size, self._life = node, number, size, life
        self._free = 0.0
        self._dropped = 0

    def say(self, message: Message) -> None:
        self._node._answered(self._number, message)

    def _lived(self, answer: Message, dropped: int) -> None:
        if dropped == self._dropped:
            self.say(answer)

    def send(self, message: Message) -> bool:
        if message.kind == "start":
            self.say(ready_message(SLOTS, {}))
        elif message.kind == "live":
            for life, _ in read_live(message):
                self._free = max(self._free, time.monotonic()) + self._life
                answer = lived_message([Outcome(life.member, life.number, float(life.world), 1000, 1.0)])
                self._node.at(self._free, functools.partial(self._lived, answer, self._dropped))
        elif message.kind == "sum":
            wanted = read_sum(message)
            self.say(summed_message(wanted.unit, np.ones(self._size, np.float32)))
        elif message.kind == "drop":
            self._dropped, self._free = self._dropped + 1, 0.0
            self.say(Message("dropped"))
        return True

    def begin_to_close(self) -> None: ...

    def close(self) -> None: ...
