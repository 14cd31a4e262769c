"""evosax's strategies: which there are, that they climb, what they remember."""

from __future__ import annotations

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
from metahebb.evolution.evosax_strategies import EvosaxStrategy, check_strategy, strategy_names

PARAMETERS = 6
SUMMIT = np.linspace(-1, 1, PARAMETERS)


def strategy_of(
    name: str, population: int = 16, parameters: int = PARAMETERS, **options: float | str
) -> EvosaxStrategy:
    c = Configuration("gymnasium:CartPole-v1", strategy=name, population=population, strategy_options=options, seed=3)
    return EvosaxStrategy(c, parameters)


def height(genomes: np.ndarray) -> np.ndarray:
    """Higher is better; 0 is the summit."""
    return -((genomes.astype(np.float64) - SUMMIT) ** 2).sum(axis=-1)


def no_noise(weights: np.ndarray) -> np.ndarray:
    raise AssertionError("a library's strategy makes its own noise")


def generation(strategy: EvosaxStrategy, state: Any, number: int) -> tuple[np.ndarray, Any]:
    """(genomes asked for, state after they were told their height)."""
    genomes, asked = strategy.ask(state, number)
    return genomes, strategy.tell(asked, genomes, height(genomes), number, no_noise)


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
    checkpoint = load_newest(folder, strategy, strategy.configuration)
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

    save(tmp_path, Checkpoint(40, state), strategy.configuration)
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
    save(tmp_path, Checkpoint(1, state), strategy.configuration)
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
    strategy = strategy_of("SNES", std_init=1e-3)
    mean = np.arange(PARAMETERS, dtype=np.float32)
    state = strategy.init(mean)
    np.testing.assert_array_equal(strategy.mean(state), mean)
    genomes, _ = strategy.ask(state, 0)
    assert 0 < np.abs(genomes - mean).max() < 0.01


def test_a_strategy_with_a_population_begins_with_genomes_of_its_own() -> None:
    strategy = strategy_of("SimpleGA")
    assert strategy.init() is None
    genomes, state = strategy.ask(None, 0)
    assert state is None
    assert 0.7 < genomes.std() < 1.3
    state = strategy.tell(None, genomes, height(genomes), 0, no_noise)
    np.testing.assert_allclose(strategy.mean(state), genomes.mean(axis=0), atol=1e-6)


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
    with pytest.raises(UsageError, match=f"Strategy '{name}' of evosax refuses --population {population}: .*{reason}"):
        strategy_of(name, population).check_memory(2**63)


def test_a_covariance_that_no_memory_holds_is_told_with_its_size() -> None:
    # 458,002² float32 are 781 GiB; nothing of them is allocated, or this test would not end.
    strategy = strategy_of("CMA_ES", parameters=458_002)
    with pytest.raises(UsageError, match=r"'CMA_ES' keeps ([\d,]+)\.\d GiB of state .* 458,002 parameters") as error:
        strategy.check_memory(24 * 2**30)
    size = float(str(error.value).split(" keeps ")[1].split(" GiB")[0].replace(",", "")) * 2**30
    assert 4 * 458_002**2 < size < 3.1 * 4 * 458_002**2
    strategy_of("SNES", parameters=458_002).check_memory(24 * 2**30)


def test_a_state_must_fit_twice() -> None:
    strategy = strategy_of("xNES", parameters=100)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(strategy.template()))
    strategy.check_memory(2 * size)
    with pytest.raises(UsageError, match="twice that while it updates"):
        strategy.check_memory(2 * size - 1)


def test_options_reach_the_strategy() -> None:
    deviations = [strategy_of("SNES", std_init=std).init().std for std in (0.5, 2.0)]
    np.testing.assert_array_equal(deviations, [[0.5] * PARAMETERS, [2.0] * PARAMETERS])
    # An argument of the algorithm itself, and those that make its optimizer.
    assert strategy_of("GuidedES", subspace_dims=3.0).init().grad_subspace.shape == (PARAMETERS, 3)
    slow, fast = (strategy_of("PGPE", learning_rate=rate, optimizer="sgd") for rate in (1e-3, 1e-1))
    moved = []
    for strategy in (slow, fast):
        state = strategy.init(np.zeros(PARAMETERS, np.float32))
        moved.append(strategy.mean(generation(strategy, state, 0)[1]))
    np.testing.assert_allclose(moved[1], 100 * moved[0], rtol=1e-3)


def test_the_networks_of_a_learned_strategy_are_no_option() -> None:
    with pytest.raises(UsageError, match=r"Unknown option of strategy LES 'params'\. Accepted: std_init\.$"):
        strategy_of("LES", params=1.0).check_memory(2**63)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"std_initt": 1.0}, "Unknown option of strategy PGPE 'std_initt'. Did you mean 'std_init'?"),
        ({"std_init": "big"}, "--strategy-option std_init is 'big'; it must be a finite number."),
        ({"std_init": float("nan")}, "--strategy-option std_init is nan; it must be a finite number."),
        ({"learning_rate": "fast"}, "--strategy-option learning_rate is 'fast'; it must be a finite number."),
        ({"optimizer": "adan"}, "Unknown optimizer 'adan'. Did you mean 'adam'? Accepted: sgd, adam."),
    ],
)
def test_an_option_that_it_does_not_have_is_told(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError) as error:
        strategy_of("PGPE", **options).check_memory(2**63)
    assert str(error.value).startswith(complaint)
