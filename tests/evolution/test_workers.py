"""Worker processes: what they answer does not depend on how many there are, nor on their deaths."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import traced_worlds
from metahebb.assembly import configure
from metahebb.configuration import Configuration
from metahebb.errors import RunError
from metahebb.evolution import supervision, workers
from metahebb.evolution.messages import receive, send
from metahebb.evolution.populations import MirroredPopulation
from metahebb.evolution.protocol import AHEAD, Start, live_message, start_message
from metahebb.evolution.sites import Channel
from metahebb.evolution.training import lives_of, strategy_of
from metahebb.evolution.workers import OutOfTimeError, Workers
from metahebb.lifetimes.lives import Outcome, life_of
from metahebb.seeds import Stream
from support import ENVIRONMENTS, PATIENCE, kill, workers_of

pytestmark = pytest.mark.xdist_group("workers")

GENERATIONS: dict[str, dict[str, Any]] = {
    "vectors": {
        "task": "gymnasium:HalfCheetah-v5",
        "env_args": {"max_episode_steps": 40},
        "population": 36,
        "lives": 2,
        "normalise_observations": False,
    },
    "images": {
        "task": "gymnasium:CarRacing-v3",
        "env_args": {"max_episode_steps": 20},
        "population": 4,
        "paired_lives": False,
    },
}


def generation(settings: dict[str, Any], count: int | None) -> tuple[list[Outcome], np.ndarray]:
    """What comes of all lives of a generation, in the order of the lives, and an update's sum of noise."""
    c, _, network = configure(**settings)
    population = strategy_of(c, network).ask(strategy_of(c, network).init(), 0)[0]
    with Workers(c, count) as pool:
        pool.set_population(population)
        outcomes = sorted(pool.live(lives_of(c, 0)))
        return outcomes, pool.weighted_noise(np.linspace(-1, 1, c.population // 2))


@pytest.mark.parametrize("kind", GENERATIONS)
def test_a_generation_has_the_same_bits_for_any_number_of_workers(kind: str) -> None:
    pytest.importorskip({"vectors": "mujoco", "images": "Box2D"}[kind])
    outcomes, noise = generation(GENERATIONS[kind], 1)
    assert len({outcome.fitness for outcome in outcomes}) > len(outcomes) / 2
    for count in (2, 3):
        others, other_noise = generation(GENERATIONS[kind], count)
        assert others == outcomes
        assert other_noise.tobytes() == noise.tobytes()


def test_a_generation_on_accelerators_comes_to_that_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker has all its lives and all of its noise, and makes genomes where JAX computes; here that is a CPU."""
    settings = {"task": traced_worlds.NAME, "imports": (traced_worlds.__file__,), "hidden": (8,), "population": 20}
    settings |= {"lives": 3, "noise_rank": 1}
    expected, noise = generation(settings, 1)
    monkeypatch.setattr(workers, "on_accelerator", lambda configuration: True)
    outcomes, other_noise = generation(settings, None)
    np.testing.assert_allclose(other_noise, noise, atol=1e-4)
    for outcome, its in zip(outcomes, expected, strict=True):
        assert outcome[:2] == its[:2]
        assert outcome.steps == its.steps
        assert outcome.fitness == pytest.approx(its.fitness, rel=1e-3, abs=1e-3)
        assert outcome.mean_square == pytest.approx(its.mean_square, rel=1e-5)
    again, noise_again = generation(settings, None)
    assert again == outcomes
    assert noise_again.tobytes() == other_noise.tobytes()


def test_workers_make_the_members_that_the_population_says() -> None:
    """Scaled filters among them: the same lives from genomes that were made here and sent."""
    pytest.importorskip("Box2D")
    c, _, network = configure(**GENERATIONS["images"])
    population = strategy_of(c, network).ask(strategy_of(c, network).init(), 0)[0]
    assert isinstance(population, MirroredPopulation)
    assert population.filter_scale.factor == 0.3
    with Workers(c, 1) as pool:
        pool.set_population(population)
        made_there = sorted(pool.live(lives_of(c, 0)))
        genomes = np.stack([population.genome(member) for member in range(c.population)])
        assert sorted(pool.live(lives_of(c, 0), genomes)) == made_there


@pytest.fixture(scope="module")
def target() -> Configuration:
    return configure(
        "gymnasium:Target-v0", imports=(str(ENVIRONMENTS),), hidden=(4,), normalise_observations=False, population=6
    )[0]


PARAMETERS = 5 * (3 * 4 + 4 * 3)
"""Five coefficients for each synapse of the networks 3→4→3 below."""


def lived(pool: Workers, c: Configuration) -> Sequence[Outcome]:
    return sorted(pool.live(lives_of(c, 0), np.zeros((c.population, PARAMETERS), np.float32)))


def test_a_worker_that_is_killed_while_it_starts_is_replaced(target: Configuration) -> None:
    with Workers(target, 1) as pool:
        kill(pool.processes)
        assert [outcome.steps for outcome in lived(pool, target)] == 6 * [10]
        assert pool.restarts == 1


def test_a_worker_that_is_killed_while_it_waits_is_replaced(target: Configuration) -> None:
    with Workers(target, 1) as pool:
        pool.wait()
        population = MirroredPopulation(np.zeros(PARAMETERS, np.float32), 1.0, 0, 0)
        pool.set_population(population)
        before = sorted(pool.live(lives_of(target, 0)))
        kill(pool.processes)
        # The new worker is told the population, too.
        assert sorted(pool.live(lives_of(target, 0))) == before
        assert pool.restarts == 1


def test_workers_that_are_killed_all_at_once_are_replaced(target: Configuration) -> None:
    with Workers(target, 3) as pool:
        pool.wait()
        for process in pool.processes:
            kill([process])
            # One death after the other is noticed, and lives pass from a dead worker to the next.
            time.sleep(0.2)
        assert [outcome.steps for outcome in lived(pool, target)] == 6 * [10]
        assert pool.restarts == 3


def test_workers_that_never_start_are_given_up(target: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    # XLA ends a process that has flags it does not know.
    monkeypatch.setenv("XLA_FLAGS", "--xla_no_such_flag")
    with (
        pytest.raises(RunError, match=r"^3 workers in a row did not start; the last one .*xla_no_such_flag") as error,
        Workers(target, 1) as pool,
    ):
        pool.wait()
    assert "\n" not in str(error.value)


def test_workers_end_with_their_pool(target: Configuration) -> None:
    with Workers(target, 2) as pool:
        processes = pool.processes
        assert sorted(workers_of()) == sorted(processes)
    assert workers_of() == []


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_worker_ends_when_its_parent_is_gone(busy: bool) -> None:
    c, _, network = configure(
        "gymnasium:Endless-v0", imports=(str(ENVIRONMENTS),), hidden=(4,), normalise_observations=False, population=2
    )
    worker = subprocess.Popen(
        [sys.executable, "-m", "metahebb.evolution.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert worker.stdin is not None
        assert worker.stdout is not None
        send(worker.stdin, start_message(Start(c, render=False, slots=None)))
        while (ready := receive(worker.stdout)) is not None and ready.kind == "beat":
            pass
        assert ready is not None
        assert ready.kind == "ready"
        if busy:
            genomes = np.zeros((1, network.parameters), np.float32)
            send(worker.stdin, live_message([life_of(0, 0, 0, Stream.TRAINING)], genomes))
            time.sleep(0.5)
        assert worker.poll() is None
        # What a killed parent's pipe does.
        worker.stdin.close()
        assert worker.wait(PATIENCE) == 0
    finally:
        worker.kill()
        worker.wait()


def test_what_an_environment_raises_is_the_run_s_error() -> None:
    c = configure(
        "gymnasium:Faulty-v0", imports=(str(ENVIRONMENTS),), hidden=(4,), normalise_observations=False, population=2
    )[0]
    with (
        Workers(c, 1) as pool,
        pytest.raises(RunError, match=r"^Environment 'Faulty-v0' raised Zero.*: the wheel.*step 5"),
    ):
        lived(pool, c)


def of(name: str, **arguments: Any) -> Configuration:
    return configure(
        f"gymnasium:{name}-v0",
        imports=(str(ENVIRONMENTS),),
        hidden=(4,),
        normalise_observations=False,
        population=6,
        env_args=arguments,
    )[0]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("constructor", "while making its environments"),
        ("reset", r"while beginning the life with seed \d+"),
        ("step", r"while in a step of the lives with seeds \d+, \d+"),
    ],
)
def test_a_worker_whose_environment_hangs_is_told_of_and_left_alone(
    where: str, told: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "WARN", 6.0)
    monkeypatch.setattr(supervision, "GIVE_UP", 20.0)
    c = of("Hanging", where=where)
    with Workers(c, 1) as pool, caplog.at_level(logging.WARNING, "metahebb"):
        (process,) = pool.processes
        pool.deadline = time.monotonic() + 28
        with pytest.raises(OutOfTimeError):
            pool.wait() if where == "constructor" else lived(pool, c)
        assert pool.restarts == 0
    # It may have been slow to start, too.
    message = caplog.records[-1].getMessage()
    assert re.fullmatch(rf"Worker 1 of 1 \(process {process}\) has got no further for \d seconds, {told}.*\.", message)


def test_a_stopped_worker_is_told_of_and_replaced(
    target: Configuration, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Workers(target, 1) as pool:
        pool.wait()
        before = lived(pool, target)
        monkeypatch.setattr(supervision, "WARN", 3.0)
        monkeypatch.setattr(supervision, "GIVE_UP", 6.0)
        (stopped,) = pool.processes
        os.kill(stopped, signal.SIGSTOP)
        # One that is to start may well be slower than that.
        with caplog.at_level(logging.WARNING, "metahebb"):
            outcomes = pool.live(lives_of(target, 0), np.zeros((target.population, PARAMETERS), np.float32))
            monkeypatch.setattr(pool, "_welcome", replaced_with(pool, monkeypatch))
            assert sorted(outcomes) == before
    assert pool.restarts == 1
    told, given_up, killed = (record.getMessage() for record in caplog.records)
    assert told.startswith(f"Worker 1 of 1 (process {stopped}) has said nothing for 3 seconds; the last it said was")
    assert given_up == f"Worker 1 of 1 (process {stopped}) is given up; another takes its place."
    assert killed == "A worker was killed by signal 9; its lives are lived again."


def replaced_with(pool: Workers, patch: pytest.MonkeyPatch) -> Any:
    welcome = pool._welcome

    def replace(channel: Channel) -> Any:
        patch.setattr(supervision, "WARN", PATIENCE)
        patch.setattr(supervision, "GIVE_UP", PATIENCE)
        return welcome(channel)

    return replace


def test_no_time_passes_for_workers_while_their_parent_is_stopped() -> None:
    """Silence is counted in looks, so that a parent that wakes up after an hour has not missed an hour of it."""
    pulse = supervision.Pulse()
    for _ in range(round(supervision.GIVE_UP / supervision.LOOK) - 1):
        pulse.look()
        assert not pulse.given_up
    pulse.look()
    assert pulse.given_up
    pulse.beat(supervision.Work().message())
    assert not pulse.given_up


def test_a_worker_is_told_of_once_until_it_gets_on() -> None:
    pulse = supervision.Pulse()
    work = supervision.Work("adding up noise", lambda: 1)

    def told(seconds: float) -> list[str]:
        said = []
        for _ in range(int(seconds)):
            pulse.beat(work.message())
            said += [how] if (how := pulse.look()) else []
        return said

    assert told(supervision.WARN - 1) == []
    assert told(3 * supervision.WARN) == ["has got no further for 2 minutes, while adding up noise"]
    work.steps = lambda: 2
    assert told(supervision.WARN - 1) == []
    assert len(told(2)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_death_of_a_worker_whose_child_holds_its_pipes_is_noticed(tmp_path: Path) -> None:
    c = of("Forking", folder=str(tmp_path))
    try:
        with Workers(c, 1) as pool:
            pool.deadline = time.monotonic() + 100
            assert [outcome.steps for outcome in lived(pool, c)] == 6 * [10]
            assert pool.restarts == 1
            os.kill(int((tmp_path / "child").read_text()), 0)
    finally:
        kill([int((tmp_path / "child").read_text())])


def test_a_worker_that_does_not_read_keeps_nobody_waiting(target: Configuration) -> None:
    with Workers(target, 1) as pool:
        pool.wait()
        kill_later = pool.processes
        os.kill(kill_later[0], signal.SIGSTOP)
        pool.deadline = time.monotonic() + 1
        # Far more than a pipe holds.
        with pytest.raises(OutOfTimeError):
            list(pool.live(lives_of(target, 0), np.zeros((target.population, 10**6), np.float32)))
    assert workers_of() == []


TOO_SMALL = """
import gymnasium
from metahebb.encoders import VectorEncoder
from metahebb.readouts import readout_for
from metahebb.tasks import Task, register_task
from metahebb.worlds import TracedWorld


class Large(TracedWorld):
    observation_space = action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, seeds):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.")

    def step(self, state, action):
        raise NotImplementedError


def make(options):
    return Task("large", VectorEncoder(1), readout_for(Large.action_space), lambda slots, render: Large())


register_task("large", make)
"""


def test_a_device_that_is_too_small_is_told_with_the_remedy(tmp_path: Path) -> None:
    """What XLA says is raised by a world here."""
    (tmp_path / "large.py").write_text(TOO_SMALL)
    c, _, _ = configure("large", population=2, hidden=(4,), imports=(str(tmp_path / "large.py"),))
    with (
        pytest.raises(RunError, match=r"does not hold a worker's lives: .* 9 bytes.; lower --population"),
        Workers(c, 1) as pool,
    ):
        pool.wait()


def test_a_recorded_life_waits_for_who_takes_it() -> None:
    c, _, network = configure("gymnasium:Pendulum-v1", hidden=[4])
    with Workers(c, 1) as pool:
        moments = pool.record(np.zeros(network.parameters, np.float32), life_of(0, 0, 0, Stream.EVALUATION))
        taken = [next(moments)]
        # All 200 would have come by now.
        time.sleep(1.5)
        held = pool._inbox.qsize()
        taken += moments
    assert [moment.step for moment in taken] == list(range(200))
    assert held < AHEAD
