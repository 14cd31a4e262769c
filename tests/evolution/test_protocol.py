"""What is written into a message is what is read from it, on the other side of a pipe."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from metahebb.assembly import configure
from metahebb.evolution import protocol
from metahebb.evolution.messages import Message, receive, send
from metahebb.evolution.noise import NoiseShape
from metahebb.evolution.populations import FilterScale, MirroredPopulation
from metahebb.lifetimes.lives import Life, Outcome
from metahebb.lifetimes.slots import Moment


def sent(message: Message) -> Message:
    """The message as the other side of a pipe has it."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as inbox, os.fdopen(writing, "wb") as outbox:
        sender = threading.Thread(target=send, args=(outbox, message))
        sender.start()
        received = receive(inbox)
        sender.join()
    assert received is not None
    assert received.kind == message.kind
    return received


LIVES = [Life(3, 0, 2**31 - 1, (2**32 - 1, 0)), Life(2, 1, 0, (1, 2), "front-left=1.0,0.5"), Life(5, 1, 7, (3, 4))]


def test_a_start() -> None:
    configuration = configure("gymnasium:CartPole-v1", hidden=(4,))[0]
    start = protocol.Start(configuration, True, None)
    assert protocol.read_start(sent(protocol.start_message(start))) == start


def test_a_population() -> None:
    mean = np.random.default_rng(0).standard_normal(12, np.float32)
    population = MirroredPopulation(mean, 0.1, 3, 7, FilterScale(2, 5, 0.3), NoiseShape(2, ((2, 3), (1, 2))))
    read = protocol.read_population(sent(protocol.population_message(population)))
    assert (read.sigma, read.seed, read.generation, read.filter_scale) == (0.1, 3, 7, FilterScale(2, 5, 0.3))
    assert read.shape == population.shape
    for member in range(4):
        np.testing.assert_array_equal(read.genome(member), population.genome(member))


def test_lives_of_the_population() -> None:
    assert protocol.read_live(sent(protocol.live_message(LIVES))) == [(life, None) for life in LIVES]


def test_lives_with_their_genomes() -> None:
    genomes = np.random.default_rng(0).standard_normal((6, 4), np.float32)
    message = protocol.live_message(LIVES, genomes)
    # Members 2 to 5 are all that travels.
    assert message.arrays["genomes"].shape == (4, 4)
    for read, life in zip(protocol.read_live(sent(message)), LIVES, strict=True):
        assert read[0] == life
        np.testing.assert_array_equal(read[1], genomes[life.member])


@pytest.mark.parametrize("genomes", [None, np.arange(24, dtype=np.float32).reshape(6, 4)])
def test_lives_that_are_left_of_a_dead_workers(genomes: np.ndarray | None) -> None:
    message = protocol.unanswered_message(protocol.live_message(LIVES, genomes), {(2, 1), (5, 1)})
    read = protocol.read_live(sent(message))
    assert [life for life, _ in read] == LIVES[1:]
    if genomes is not None:
        assert [genome.tolist() for _, genome in read if genome is not None] == genomes[[2, 5]].tolist()


def test_outcomes() -> None:
    outcomes = [Outcome(3, 0, 0.1 + 0.2, 1000, 1.5), Outcome(4, 1, -np.inf, 1, 0.0)]
    assert protocol.read_lived(sent(protocol.lived_message(outcomes))) == outcomes
    (diverged,) = protocol.read_lived(sent(protocol.lived_message([Outcome(0, 0, np.nan, 5, 1.0)])))
    assert diverged.diverged


def test_sums() -> None:
    wanted = protocol.Sum(2, range(16, 19), np.array([1.5, -0.5, np.pi], np.float32))
    read = protocol.read_sum(sent(protocol.sum_message(wanted)))
    assert read[:2] == wanted[:2]
    np.testing.assert_array_equal(read.weights, wanted.weights)
    unit, total = protocol.read_summed(sent(protocol.summed_message(2, np.arange(5, dtype=np.float32))))
    assert (unit, total.tolist()) == (2, [0, 1, 2, 3, 4])


@pytest.mark.parametrize("layers", [1, 11])
@pytest.mark.parametrize("picture", [False, True])
def test_a_recorded_life(layers: int, picture: bool) -> None:
    genome = np.arange(3, dtype=np.float32)
    read_genome, life = protocol.read_record(sent(protocol.record_message(genome, LIVES[1])))
    assert (read_genome.tolist(), life) == ([0, 1, 2], LIVES[1])
    activities = tuple(np.full(i + 1, i, np.float32) for i in range(layers + 1))
    weights = tuple(np.full((i + 1, i + 2), i, np.float32) for i in range(layers))
    frame = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) if picture else None
    observation, action = np.arange(6, dtype=np.uint8), np.ones(2, np.float32)
    moment = Moment(7, -0.1, observation, action, activities, weights, frame)
    read = protocol.read_moment(sent(protocol.moment_message(moment)))
    assert (read.step, read.reward) == (7, -0.1)
    ours_all = (read.observation, read.action, *read.activities, *read.weights)
    for ours, theirs in zip(ours_all, (observation, action, *activities, *weights), strict=True):
        assert (ours.dtype, ours.tolist()) == (theirs.dtype, theirs.tolist())
    assert (None if read.frame is None else read.frame.tolist()) == (None if frame is None else frame.tolist())
