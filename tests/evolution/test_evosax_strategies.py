"""evosax's strategies: which there are, that they climb, what they remember."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metahebb.configuration import Configuration
from metahebb.errors import UsageError
from metahebb.evolution.checkpoints import Checkpoint, load_newest, save
from metahebb.evolution.evosax_strategies import EvosaxStrategy, _arguments, check_strategy, strategy_names
from metahebb.evolution.populations import StartingPopulation
from metahebb.resources import check_memory, needs_of_state

PARAMETERS = 6
SUMMIT = np.linspace(-1, 1, PARAMETERS)


def strategy_of(
    name: str, population: int = 16, parameters: int = PARAMETERS, around: np.ndarray | None = None, **options: Any
) -> EvosaxStrategy:
    start = StartingPopulation(parameters, seed=3, around=around)
    return EvosaxStrategy(name, options, parameters, population, 3, start.genome)


SETTINGS = Configuration("gymnasium:CartPole-v1", strategy="SNES")


def height(genomes: np.ndarray) -> np.ndarray:
    """Higher is better; 0 is the summit."""
    return -((genomes.astype(np.float64) - SUMMIT) ** 2).sum(axis=-1)


def no_noise(weights: np.ndarray) -> np.ndarray:
    raise AssertionError("a library's strategy makes its own noise")


def generation(strategy: EvosaxStrategy, state: Any, number: int) -> tuple[np.ndarray, Any]:
    """(genomes asked for, state after they were told their height)."""
    genomes, asked = strategy.ask(state, number)
    return genomes, strategy.tell(asked, genomes, height(genomes), 1, number, no_noise)


CLIMBERS: Mapping[str, Mapping[str, float | str]] = {
    "SNES": {"std_init": 1.0},
    "PGPE": {"learning_rate": 0.1, "optimizer": "adam", "std_init": 0.5},
    "CMA_ES": {},
    "SimpleGA": {},
    "DifferentialEvolution": {},
}
"""Two with a distribution, one with a full covariance, two with a population."""


def newest(folder: Path, strategy: EvosaxStrategy) -> Any:
    """The state in the newest checkpoint."""
    checkpoint = load_newest(folder, strategy, SETTINGS)
    assert checkpoint is not None
    return checkpoint.state


@pytest.mark.parametrize("name", CLIMBERS)
def test_a_strategy_climbs_and_goes_on_from_a_checkpoint(name: str, tmp_path: Path) -> None:
    strategy = strategy_of(name, **CLIMBERS[name])
    state = strategy.init()
    first, state = generation(strategy, state, 0)
    assert first.shape == (16, PARAMETERS)
    assert first.dtype == np.float32
    for number in range(1, 40):
        _, state = generation(strategy, state, number)
    assert height(strategy.mean(state)) > 0.2 * height(first).mean()

    save(tmp_path, Checkpoint(40, state), SETTINGS)
    restored = newest(tmp_path, strategy_of(name, **CLIMBERS[name]))
    for number in (40, 41):
        genomes, state = generation(strategy, state, number)
        others, restored = generation(strategy, restored, number)
        assert genomes.tobytes() == others.tobytes()
    assert strategy.mean(state).tobytes() == strategy.mean(restored).tobytes()


@pytest.mark.parametrize("name", strategy_names())
def test_any_strategys_state_survives_a_checkpoint(name: str, tmp_path: Path) -> None:
    strategy = strategy_of(name, population=4, parameters=3)
    template = strategy.template()
    rng = np.random.default_rng(0)
    state = jax.tree.map(lambda leaf: jnp.asarray(rng.integers(0, 2**20, leaf.shape)).astype(leaf.dtype), template)
    save(tmp_path, Checkpoint(1, state), SETTINGS)
    restored = newest(tmp_path, strategy)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    for leaf, other in zip(jax.tree.leaves(state), jax.tree.leaves(restored), strict=True):
        assert (other.dtype, other.shape) == (leaf.dtype, leaf.shape)
        assert np.asarray(leaf).tobytes() == np.asarray(other).tobytes()

    # The template is that of every generation: told, a state has the leaves that it had.
    algorithm, params = strategy._algorithm
    key, fitness = jax.random.key(0), jnp.zeros(4)

    def told(state: Any) -> Any:
        population, state = algorithm.ask(key, state, params)
        return algorithm.tell(key, population, fitness, state, params)[0]

    later = jax.eval_shape(told, template)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), later) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), template
    )


def test_a_strategy_with_a_distribution_starts_where_it_is_told() -> None:
    mean = np.arange(PARAMETERS, dtype=np.float32)
    strategy = strategy_of("SNES", around=mean, std_init=1e-3)
    state = strategy.init()
    np.testing.assert_array_equal(strategy.mean(state), mean)
    genomes, _ = strategy.ask(state, 0)
    assert 0 < np.abs(genomes - mean).max() < 0.01


def test_a_strategy_with_a_population_begins_with_genomes_of_its_own(tmp_path: Path) -> None:
    strategy = strategy_of("SimpleGA")
    genomes, state = strategy.ask(strategy.init(), 0)
    assert 0.7 < genomes.std() < 1.3
    told = strategy.tell(state, genomes, height(genomes), 1, 0, no_noise)
    np.testing.assert_allclose(strategy.mean(told), genomes.mean(axis=0), atol=1e-6)
    assert (strategy.ask(told, 1)[0] != genomes).any()
    # A generation that nothing was told of is asked for again, after a checkpoint too, of another strategy's start.
    save(tmp_path, Checkpoint(1, state), SETTINGS)
    other = strategy_of("SimpleGA", around=np.zeros(PARAMETERS, np.float32))
    np.testing.assert_array_equal(other.ask(load_newest(tmp_path, other, SETTINGS).state, 1)[0], genomes)
    # Checkpoints of earlier versions hold nothing until a population is evaluated.
    np.testing.assert_array_equal(strategy.ask(None, 0)[0], genomes)
    earlier = strategy.tell(None, genomes, height(genomes), 1, 0, no_noise)
    assert [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(earlier)] == [
        np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(told)
    ]


@pytest.mark.parametrize("name", [name for name in strategy_names() if not strategy_of(name)._by_distribution])
def test_what_was_not_told_any_fitness_is_unevaluated(name: str) -> None:
    strategy = strategy_of(name)
    genomes, state = strategy.ask(strategy.init(), 0)
    np.testing.assert_array_equal(genomes, strategy.ask(state, 1)[0])
    assert not strategy._is_unevaluated(strategy.tell(state, genomes, height(genomes), 1, 1, no_noise))


def test_what_is_drawn_depends_on_the_generation() -> None:
    strategy = strategy_of("SNES")
    state = strategy.init()
    one, again, later = (strategy.ask(state, number)[0] for number in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != later).all()


def test_strategies_that_need_more_are_refused() -> None:
    names = strategy_names()
    assert {"Open_ES", "PGPE", "SNES", "CMA_ES", "PSO", "SimpleGA"} <= set(names)
    assert not {"RandomSearch", "SV_CMA_ES", "SV_Open_ES"} & set(names)
    with pytest.raises(UsageError, match="'SV_Open_ES' of evosax cannot be used here: it also needs "):
        check_strategy("SV_Open_ES")
    with pytest.raises(UsageError, match=r"Unknown strategy 'cmaes'\. Did you mean 'CMA_ES'\?.*openai-es, "):
        check_strategy("cmaes")


@pytest.mark.parametrize(
    ("name", "population", "reason"),
    [
        ("PGPE", 7, "Population size must be even"),
        ("DifferentialEvolution", 2, "population_size >= 4"),
        ("iAMaLGaM_Full", 1, "division by zero"),
    ],
)
def test_a_population_that_a_strategy_refuses_is_told(name: str, population: int, reason: str) -> None:
    with pytest.raises(UsageError, match=f"Strategy '{name}' of evosax refuses --population {population} .*{reason}"):
        strategy_of(name, population).check()


def test_a_covariance_that_no_memory_holds_is_told_with_its_size() -> None:
    # 458,002² float32 are 781 GiB; nothing of them is allocated, or this test would not end.
    strategy = strategy_of("CMA_ES", parameters=458_002)
    strategy.check()
    needs = needs_of_state("CMA_ES", strategy.template())
    assert 2 * 4 * 458_002**2 < needs[0].size < 2 * 3.1 * 4 * 458_002**2
    with pytest.raises(
        UsageError, match=r"^The state of CMA_ES and its update would take .*; 24.0 GiB are available: "
    ):
        check_memory(needs, 24 * 2**30)
    check_memory(needs_of_state("SNES", strategy_of("SNES", parameters=458_002).template()), 24 * 2**30)


def test_a_state_must_fit_twice() -> None:
    strategy = strategy_of("xNES", parameters=100)
    size = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(strategy.init()))
    needs = needs_of_state("xNES", strategy.template())
    check_memory(needs, 2 * size)
    with pytest.raises(UsageError, match="and its update"):
        check_memory(needs, 2 * size - 1)


def test_options_reach_the_strategy() -> None:
    deviations = [strategy_of("SNES", std_init=std).init().std for std in (0.5, 2.0)]
    np.testing.assert_array_equal(deviations, [[0.5] * PARAMETERS, [2.0] * PARAMETERS])
    # An argument of the algorithm itself, and those that make its optimizer.
    assert strategy_of("GuidedES", subspace_dims=3.0).init().grad_subspace.shape == (PARAMETERS, 3)
    zeros = np.zeros(PARAMETERS, np.float32)
    slow, fast = (strategy_of("PGPE", around=zeros, learning_rate=rate, optimizer="sgd") for rate in (1e-3, 1e-1))
    moved = []
    for strategy in (slow, fast):
        state = strategy.init()
        moved.append(strategy.mean(generation(strategy, state, 0)[1]))
    np.testing.assert_allclose(moved[1], 100 * moved[0], rtol=1e-3)


def test_the_networks_of_a_learned_strategy_are_no_option() -> None:
    with pytest.raises(UsageError, match=r"Unknown option of strategy LES 'params'\. Accepted: std_init\.$"):
        strategy_of("LES", params=1.0).check()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"std_initt": 1.0}, "Unknown option of strategy PGPE 'std_initt'. Did you mean 'std_init'?"),
        ({"std_init": "big"}, "--strategy-option std_init is 'big'; it must be a finite number, 1e-18 or more and"),
        ({"std_init": float("nan")}, "--strategy-option std_init is nan; it must be a finite number, 1e-18 or more"),
        ({"std_init": 10**400}, "--strategy-option std_init is 1000"),
        (
            {"std_lr": True},
            "--strategy-option std_lr is True; it must be a finite number, 0 or more and at most 1e+18.",
        ),
        ({"learning_rate": "fast"}, "--strategy-option learning_rate is 'fast'; it must be a finite number"),
        ({"learning_rate": 0}, "--strategy-option learning_rate is 0; it must be a finite number, 1e-18 or more"),
        ({"optimizer": "adan"}, "Unknown optimizer 'adan'. Did you mean 'adam'? Accepted: sgd, adam."),
    ],
)
def test_an_option_that_it_does_not_have_is_told(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError) as error:
        strategy_of("PGPE", **options).check()
    assert str(error.value).startswith(complaint)


@pytest.mark.parametrize("name", strategy_names())
def test_options_out_of_their_range_are_told_by_every_strategy(name: str) -> None:
    """With its name and value in the sentence; what is in its range is not refused."""
    algorithm, parameters = strategy_of(name)._algorithm
    options = {"std_init", "subspace_dims", "m", "num_groups", "max_context_len", "num_diff", "num_generations", "T"}
    its = options & (_arguments(type(algorithm)).keys() | {f.name for f in dataclasses.fields(parameters)})
    for option in its:
        whole = option != "std_init"
        for value in (-1, 0, 1e400, 1e30, "x", *([1.9, 2_000_000_000] if whole else [-0.5, 1e-320])):
            with pytest.raises(UsageError, match=rf"^[^\n]*{option}[ =]") as error:
                strategy_of(name, **{option: value}).check()
            assert str(value) in str(error.value)
        strategy_of(name, **{option: 3}).check()


def test_what_a_strategy_raises_when_it_is_asked_is_told_with_its_option() -> None:
    """More dimensions than the genome has, more groups than members."""
    for name, option in (("GuidedES", "subspace_dims"), ("GESMR_GA", "num_groups")):
        with pytest.raises(UsageError, match=rf"'{name}' of evosax refuses --population 16.*{option}=1000 for 6 param"):
            strategy_of(name, **{option: 1000}).check()


@pytest.mark.parametrize("name", strategy_names())
def test_every_strategy_starts_at_the_genome_it_is_given(name: str) -> None:
    genome = np.full(PARAMETERS, 1e6, np.float32)
    strategy = strategy_of(name, around=genome)
    first, _ = strategy.ask(strategy.init(), 0)
    assert np.abs(first - genome).max() < 1e4
    assert len(np.unique(first, axis=0)) > 1
