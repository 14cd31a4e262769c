"""Observations normalised by what evolution has observed: the sums, the network, and whole runs."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metahebb
from metahebb.assembly import configure
from metahebb.encoders import VectorEncoder
from metahebb.errors import UsageError
from metahebb.evolution.workers import Workers
from metahebb.lifetimes.lives import life_of
from metahebb.networks import Network
from metahebb.observations import Sensed
from metahebb.rules import RULES
from metahebb.seeds import Stream

PENDULUM = "gymnasium:Pendulum-v1"
SMALL = {"population": 6, "hidden": (4,), "generations": 3, "validate_every": 2, "validation_lives": 2}


def test_the_normalisation_is_the_mean_and_the_deviation() -> None:
    rng = np.random.default_rng(0)
    lives = [rng.normal([5, -3000, 0.07, 8], [1, 50, 0.02, 0], (steps, 4)) for steps in (40, 7, 100)]
    sums = [(len(seen), np.stack([seen.sum(axis=0), (seen**2).sum(axis=0)])) for seen in lives]
    broken = (3, np.full((2, 4), np.nan))
    sensed = Sensed.nothing(4).with_lives(sums[:1]).with_lives([broken, *sums[1:]])
    together = np.concatenate(lives)
    assert sensed.steps == 147
    expected = [*together.mean(axis=0)[:3], 0.0, *together.std(axis=0)[:3], 1.0]
    np.testing.assert_allclose(sensed.normalisation, expected, rtol=1e-5)
    assert sensed.normalisation.dtype == np.float32
    again = Sensed.of(sensed.steps, sensed.normalisation)
    np.testing.assert_allclose(again.normalisation[:7], sensed.normalisation[:7], rtol=1e-3)


def test_nothing_observed_changes_nothing() -> None:
    np.testing.assert_array_equal(Sensed.nothing(3).normalisation, [0, 0, 0, 1, 1, 1])


def test_a_network_takes_observations_as_deviations() -> None:
    network = Network(VectorEncoder(3), 2, RULES["ABCD_lr"], hidden=(4,), normalise_observations=True)
    plain = Network(VectorEncoder(3), 2, RULES["ABCD_lr"], hidden=(4,))
    assert network.parameters == plain.parameters + 6
    assert network.evolved_parameters == plain.parameters == network.synaptic_parameters
    evolved = np.random.default_rng(0).standard_normal((1, plain.parameters), np.float32)
    tail = np.array([[10, 0, -1, 2, 1, 0.1]], np.float32)
    genome = network.unflatten(jnp.asarray(np.concatenate([evolved, tail], axis=1)))
    key = jax.random.split(jax.random.key(1), 1)
    seen = np.array([[14, -0.5, 8]], np.float32)
    ours = network.act(network.express(genome), network.init(genome, key), seen)
    other = plain.unflatten(jnp.asarray(evolved))
    theirs = plain.act(plain.express(other), plain.init(other, key), np.array([[2, -0.5, 5]], np.float32))
    for one, another in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, another, rtol=1e-6)


def test_what_lives_observe_is_summed_up() -> None:
    """In a host world, against the observations of the same life recorded step by step."""
    c, _, network = configure(PENDULUM, normalise_observations=True, **SMALL)
    genome = np.random.default_rng(0).standard_normal(network.parameters, np.float32)
    genome[-3:] = 1
    life = life_of(0, 0, 5, Stream.EVALUATION)
    with Workers(c, 1) as workers:
        observed = np.stack([moment.observation for moment in workers.record(genome, life)]).astype(np.float64)
        (outcome,) = workers.live([[life]], genome[None])
    assert outcome.sensed is not None
    assert outcome.steps == len(observed) == 200
    np.testing.assert_allclose(outcome.sensed, [observed.sum(axis=0), (observed**2).sum(axis=0)], rtol=1e-12)


def test_a_run_gathers_it_and_the_agent_has_it(tmp_path: Path) -> None:
    """The same for one and two workers, and for a run that was stopped after each generation."""
    runs = [tmp_path / name for name in ("one", "two", "slices")]
    metahebb.train(PENDULUM, run=runs[0], workers=1, normalise_observations=True, **SMALL)
    metahebb.train(PENDULUM, run=runs[1], workers=2, normalise_observations=True, **SMALL)
    metahebb.train(PENDULUM, run=runs[2], workers=1, normalise_observations=True, **{**SMALL, "generations": 1})
    metahebb.resume(runs[2], generations=2, workers=1)
    metahebb.resume(runs[2], generations=3, workers=1)
    agents = [metahebb.load(run / "latest.safetensors") for run in runs]
    for agent in agents:
        np.testing.assert_array_equal(agent.genome, agents[0].genome)
        assert agent.record["observed_steps"] == 3 * 6 * 200
    fitness = [[json.loads(line)["fitness_mean"] for line in (run / "metrics.jsonl").open()] for run in runs]
    assert fitness[0] == fitness[1] == fitness[2]
    mean, deviation = agents[0].genome[-6:-3], agents[0].genome[-3:]
    # cos, sin and the speed of a pendulum, in [-8, 8]
    assert (np.abs(mean[:2]) < 1).all()
    assert deviation[2] > 1 > deviation[0] > 0.1
    assert metahebb.evaluate(agents[0], 2, random_rules=True, workers=1).lives == 2


def test_a_run_from_an_agent_goes_on_with_what_it_observed(tmp_path: Path) -> None:
    first = metahebb.train(PENDULUM, run=tmp_path / "first", workers=1, normalise_observations=True, **SMALL)
    agent = metahebb.load(first.folder)
    second = metahebb.train(
        PENDULUM, run=tmp_path / "second", start_from=agent, workers=1, **{**SMALL, "generations": 1}
    )
    after = metahebb.load(second.folder / "latest.safetensors")
    assert after.configuration.normalise_observations
    assert after.record["observed_steps"] == agent.record["observed_steps"] + 6 * 200


def test_strategies_of_evosax_search_what_is_evolved_alone(tmp_path: Path) -> None:
    run = metahebb.train(
        PENDULUM, run=tmp_path / "run", workers=1, strategy="SNES", normalise_observations=True, **SMALL
    )
    agent = metahebb.load(run.folder)
    assert len(agent.genome) == agent.network.evolved_parameters + 6
    assert (agent.genome[-3:] != 1).all()


@pytest.mark.parametrize("task", ["car-racing", "gymnasium:FrozenLake-v1"])
def test_only_numbers_are_normalised(task: str) -> None:
    with pytest.raises(UsageError, match="--normalise-observations is for vectors of numbers"):
        configure(task, normalise_observations=True)
