"""The search against the formulas of Salimans et al. (2017) and the paper's schedule, in NumPy."""

from __future__ import annotations

import dataclasses

import numpy as np
import optax
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metahebb.evolution.openai_es import OPTIMIZERS, SHAPINGS, Decay, OpenAIES, shaped_ranks, standardised
from metahebb.evolution.populations import UNSCALED, FilterScale, MirroredPopulation, StartingPopulation
from metahebb.evolution.strategies import WeightedNoise
from metahebb.seeds import Stream, noise, start

PARAMETERS, SYNAPTIC = 50, 35


LR, SIGMA = Decay(0.2, 0.5, 0.04), Decay(0.1, 0.6, 0.05)


def strategy_of(
    optimizer: str = "sgd",
    lr: Decay = LR,
    sigma: Decay = SIGMA,
    synaptic: int = SYNAPTIC,
    filter_scale: FilterScale = UNSCALED,
) -> OpenAIES:
    start = StartingPopulation(PARAMETERS, seed=7, filter_scale=filter_scale).genome
    return OpenAIES(PARAMETERS, synaptic, 20, 7, OPTIMIZERS[optimizer](), lr, sigma, start, filter_scale)


def fitness_of(genomes: np.ndarray) -> np.ndarray:
    """Something to climb, with ties."""
    return np.round(-np.abs(genomes - 1).sum(axis=1))


def summed(population: MirroredPopulation) -> WeightedNoise:
    """What adds up the population's noise, as workers do."""
    return lambda weights: population.weighted_noise(range(len(weights)), weights)


def average_ranks(fitness: np.ndarray) -> np.ndarray:
    """Half of how many are below and how many are not above, one pair of members at a time."""
    return np.array([sum(int(g < f) + int(g <= f) for g in fitness) - 1 for f in fitness]) / 2


def test_generations_follow_the_published_formulas() -> None:
    strategy = strategy_of()
    state = strategy.init()
    mean, lr, sigma = state.mean.astype(np.float64), 0.2, 0.1
    for generation in range(5):
        # Ours, with the noise made by member.
        population, state = strategy.ask(state, generation)
        genomes = np.stack([population.genome(member) for member in range(20)])
        fitness = fitness_of(genomes)
        state = strategy.tell(state, population, fitness, 1, generation, summed(population))
        # Theirs.
        eps = np.stack([noise(7, generation, pair, PARAMETERS) for pair in range(10)]).astype(np.float64)
        np.testing.assert_allclose(genomes[0::2], mean + sigma * eps, atol=1e-5)
        np.testing.assert_allclose(genomes[1::2], mean - sigma * eps, atol=1e-5)
        ranks = average_ranks(fitness) / 19 - 0.5
        ranks /= ranks.std()
        gradient = sum(ranks[2 * k] * eps[k] - ranks[2 * k + 1] * eps[k] for k in range(10))
        mean[:SYNAPTIC] += lr / (20 * sigma) * gradient[:SYNAPTIC]
        if lr > 0.04:
            lr *= 0.5
        if sigma > 0.05:
            sigma *= 0.6
        mean[SYNAPTIC:] += lr / (20 * sigma) * gradient[SYNAPTIC:]
        np.testing.assert_allclose(state.mean, mean, atol=2e-5)
        assert (state.lr, state.sigma) == pytest.approx((lr, sigma))
    assert lr == pytest.approx(0.025)
    assert sigma == pytest.approx(0.036)


@pytest.mark.parametrize(
    ("name", "transformation"), [("adam", optax.scale_by_adam()), ("momentum", optax.trace(decay=0.9))]
)
def test_other_optimizers_transform_the_same_gradient(name: str, transformation: optax.GradientTransformation) -> None:
    strategy = strategy_of(name, Decay(0.2), Decay(0.1), synaptic=PARAMETERS)
    state = strategy.init()
    memory, mean = transformation.init(state.mean), state.mean
    for generation in range(3):
        population, state = strategy.ask(state, generation)
        fitness = fitness_of(np.stack([population.genome(member) for member in range(20)]))
        ranks = shaped_ranks(fitness)
        total = population.weighted_noise(range(10), ranks[0::2] - ranks[1::2])
        state = strategy.tell(state, population, fitness, 1, generation, lambda weights, total=total: total)
        step, memory = transformation.update(total / np.float32(20 * 0.1), memory)
        mean = mean + np.float32(0.2) * np.asarray(step)
        np.testing.assert_allclose(state.mean, mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_scaled_search_is_the_same_search_in_other_units(optimizer: str) -> None:
    """Filters are measured in units of the scale from their start on; all else is left as it is."""
    filters = slice(SYNAPTIC, PARAMETERS - 1)
    means, genomes = [], []
    for scale in (1.0, 0.25):
        strategy = strategy_of(optimizer, filter_scale=FilterScale(SYNAPTIC, PARAMETERS - 1, scale))
        state = strategy.init()
        for generation in range(3):
            population, state = strategy.ask(state, generation)
            fitness = np.random.default_rng(generation).normal(size=20)
            state = strategy.tell(state, population, fitness, 1, generation, summed(population))
        units = np.ones(PARAMETERS, np.float32)
        units[filters] = scale
        means.append(state.mean / units)
        genomes.append(population.genome(3) / units)
    np.testing.assert_allclose(means[1], means[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(genomes[1], genomes[0], rtol=1e-5, atol=1e-6)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40))
def test_ranks_are_centred_and_ties_share_theirs(values: list[int]) -> None:
    fitness = np.array(values, float)
    ranks = shaped_ranks(fitness)
    if len(set(values)) == 1:
        assert (ranks == 0).all()
        return
    expected = average_ranks(fitness) / (len(values) - 1) - 0.5
    np.testing.assert_allclose(ranks, expected / expected.std())


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=40))
def test_scores_keep_their_distances(values: list[float]) -> None:
    fitness = np.array(values)
    shaped = standardised(fitness)
    if len(set(values)) == 1:
        assert (shaped == 0).all()
        return
    assume(fitness.std() > 1e-6 * np.abs(fitness).max())
    assert (shaped.mean(), shaped.std()) == pytest.approx((0, 1), abs=1e-6)
    np.testing.assert_allclose((shaped - shaped[0]) * fitness.std(), fitness - fitness[0], atol=1e-6 * fitness.std())


def test_scores_weigh_the_samples() -> None:
    strategy = dataclasses.replace(strategy_of(), shaping=standardised)
    population, state = strategy.ask(strategy.init(), 0)
    fitness = np.arange(20.0) ** 3
    weights = (fitness[0::2] - fitness[1::2]) / fitness.std()
    total = population.weighted_noise(range(10), weights.astype(np.float32))
    told = strategy.tell(state, population, fitness, 1, 0, summed(population))
    moved = (told.mean - state.mean)[:SYNAPTIC]
    np.testing.assert_allclose(moved, (LR.initial / (20 * SIGMA.initial) * total)[:SYNAPTIC], atol=1e-6)


def test_schedules_may_count_the_steps_of_lives() -> None:
    """Half of ``decay_steps`` is half of a generation, however many generations they are."""
    strategy = dataclasses.replace(strategy_of(), decay_steps=400)
    state = strategy.init()
    lrs = []
    for generation, steps in enumerate([200, 100, 100, 800, 400]):
        population, state = strategy.ask(state, generation)
        state = strategy.tell(state, population, np.arange(20.0), steps, generation, summed(population))
        lrs.append(state.lr)
    # It halves for each 400 steps while it is above 0.04.
    np.testing.assert_allclose(lrs, [0.2 * 0.5**0.5, 0.2 * 0.5**0.75, 0.1, 0.025, 0.025])


@pytest.mark.parametrize("shaping", SHAPINGS)
def test_equal_fitness_moves_nothing(shaping: str) -> None:
    strategy = dataclasses.replace(strategy_of(), shaping=SHAPINGS[shaping])
    population, state = strategy.ask(strategy.init(), 0)
    told = strategy.tell(state, population, np.full(20, 0.1), 1, 0, summed(population))
    np.testing.assert_array_equal(told.mean, state.mean)


def test_noise_is_a_function_of_seed_generation_and_pair() -> None:
    one = noise(1, 2, 3, 1000)
    documented = np.random.SFC64(np.random.SeedSequence(entropy=1, spawn_key=(int(Stream.NOISE), 2, 3)))
    np.testing.assert_array_equal(one, np.random.Generator(documented).standard_normal(1000, dtype=np.float32))
    for other in (noise(2, 2, 3, 1000), noise(1, 3, 3, 1000), noise(1, 2, 4, 1000)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.15
    assert abs(one.mean()) < 0.15
    assert 0.9 < one.std() < 1.1


def test_members_of_a_pair_mirror_each_other() -> None:
    mean = np.arange(4, dtype=np.float32)
    population = MirroredPopulation(mean, 0.5, 0, 0)
    np.testing.assert_allclose(population.genome(6) + population.genome(7), 2 * mean, rtol=1e-6)
    assert (population.genome(6) != population.genome(8)).all()


def test_starts() -> None:
    normal, uniform = start(0, 10_000, "normal", [0])[0], start(0, 10_000, "uniform", [0, 1])
    np.testing.assert_allclose(start(0, 10_000, "normal", [0], 0.3)[0], 0.3 * normal, rtol=1e-6)
    assert 0.97 < normal.std() < 1.03
    assert np.abs(uniform).max() <= 1
    assert 0.56 < uniform[0].std() < 0.6
    assert (uniform[0] != uniform[1]).all()


def test_a_population_around_a_genome_holds_it_and_stays_near() -> None:
    """Filters nearer, by their own scale."""
    genome = np.full(10_000, 5, np.float32)
    population = StartingPopulation(10_000, 3, scale=2.0, filter_scale=FilterScale(5_000, 10_000, 0.25), around=genome)
    np.testing.assert_array_equal(population.genome(0), genome)
    for member in (1, 2):
        synapses, filters = np.split(population.genome(member) - genome, 2)
        assert 0.19 < synapses.std() < 0.21
        assert 0.0475 < filters.std() < 0.0525
    assert (population.genome(1) != population.genome(2)).all()
    assert population.genome(1).dtype == np.float32
