"""Strategies of the evosax library, by name, with their own options."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from metahebb import seeds
from metahebb.configuration import Configuration
from metahebb.errors import UsageError, unknown
from metahebb.evolution.strategies import WeightedNoise
from metahebb.jax_defaults import jax_defaults

__all__ = ["EvosaxStrategy", "strategy_names"]

OPTIMIZERS = {"sgd": optax.sgd, "adam": optax.adam}


def _algorithms() -> Mapping[str, type]:
    from evosax.algorithms import algorithms

    return algorithms


def _arguments(algorithm: type) -> dict[str, inspect.Parameter]:
    return dict(list(inspect.signature(algorithm.__init__).parameters.items())[1:])  # type: ignore[misc]


def _refusal(name: str) -> str | None:
    """Why a strategy cannot be used, or None: it needs more than a population size and a solution."""
    needs = [p.name for p in _arguments(_algorithms()[name]).values() if p.default is p.empty]
    more = sorted(set(needs) - {"population_size", "solution"})
    return f"it also needs {', '.join(more)}" if more else None


def strategy_names() -> list[str]:
    """The evosax strategies that can be used, by name."""
    return [name for name in _algorithms() if _refusal(name) is None]


def check_strategy(name: str) -> None:
    """Raise UsageError for a strategy that evosax does not have, or that needs more than it is given here."""
    if name not in _algorithms():
        raise unknown("strategy", name, ["openai-es", *strategy_names()])
    if reason := _refusal(name):
        raise UsageError(f"Strategy {name!r} of evosax cannot be used here: {reason}.")


def _number(option: str, value: object) -> float:
    if not isinstance(value, bool | int | float) or not math.isfinite(value):
        raise UsageError(f"--strategy-option {option} is {value!r}; it must be a finite number.")
    return float(value)


@dataclass(frozen=True)
class EvosaxStrategy:
    """An evosax strategy over genomes of ``parameters`` numbers. evosax minimises, so it is told −fitness."""

    configuration: Configuration
    parameters: int

    @cached_property
    def _algorithm(self) -> Any:
        algorithm = _algorithms()[self.configuration.strategy]
        arguments, options = _arguments(algorithm), dict(self.configuration.strategy_options)
        chosen: dict[str, Any] = {}
        if "optimizer" in arguments and {"learning_rate", "optimizer"} & set(options):
            optimizer = str(options.pop("optimizer", "sgd"))
            if optimizer not in OPTIMIZERS:
                raise unknown("optimizer", optimizer, OPTIMIZERS)
            chosen["optimizer"] = OPTIMIZERS[optimizer](_number("learning_rate", options.pop("learning_rate", 0.05)))
        for name in list(options):
            if name in arguments and isinstance(arguments[name].default, bool | int | float):
                chosen[name] = type(arguments[name].default)(_number(name, options.pop(name)))
        try:
            made = algorithm(
                population_size=self.configuration.population,
                solution=np.zeros(self.parameters, np.float32),
                **chosen,
            )
        except (AssertionError, ArithmeticError) as e:
            given = "".join(f", {name}={value!r}" for name, value in self.configuration.strategy_options.items())
            raise UsageError(
                f"Strategy {self.configuration.strategy!r} of evosax refuses "
                f"--population {self.configuration.population}{given}: {e or 'it gives no reason'}"
            ) from e
        # Some have the parameters of whole networks among theirs.
        parameters = {f.name: getattr(made.default_params, f.name) for f in dataclasses.fields(made.default_params)}
        numbers = [name for name, value in parameters.items() if np.isscalar(value) or getattr(value, "ndim", 1) == 0]
        for name in options:
            if name not in numbers:
                accepted = [n for n, p in arguments.items() if isinstance(p.default, bool | int | float)] + numbers
                if "optimizer" in arguments:
                    accepted += ["learning_rate", "optimizer"]
                raise unknown(f"option of strategy {self.configuration.strategy}", name, accepted)
        return made, made.default_params.replace(**{name: _number(name, value) for name, value in options.items()})

    @property
    def _by_distribution(self) -> bool:
        return "mean" in inspect.signature(self._algorithm[0].init).parameters

    def check_memory(self, available: int) -> None:
        """Raise UsageError if the strategy's state would not fit ``available`` bytes; nothing is allocated."""
        leaves = jax.tree.leaves(self.template())
        size = sum(int(np.prod(leaf.shape, dtype=object)) * leaf.dtype.itemsize for leaf in leaves)
        # An update makes a copy of the state.
        if 2 * size > available:
            raise UsageError(
                f"Strategy {self.configuration.strategy!r} keeps {size / 2**30:,.1f} GiB of state for this genome of "
                f"{self.parameters:,} parameters and twice that while it updates; {available / 2**30:,.1f} GiB are "
                "available. openai-es, SNES or PGPE keep a few copies of the genome."
            )

    @jax_defaults()
    def template(self) -> Any:
        """The shapes of a state after the first generation."""
        algorithm, params = self._algorithm
        key = jax.random.key(0)
        genome = jax.ShapeDtypeStruct((self.parameters,), jnp.float32)
        if self._by_distribution:
            return jax.eval_shape(lambda k, m: algorithm.init(k, m, params), key, genome)
        size = self.configuration.population
        population = jax.ShapeDtypeStruct((size, self.parameters), jnp.float32)
        fitness = jax.ShapeDtypeStruct((size,), jnp.float32)
        return jax.eval_shape(lambda k, p, f: algorithm.init(k, p, f, params), key, population, fitness)

    @jax_defaults()
    def init(self, mean: np.ndarray | None = None) -> Any:
        """The state before the first generation; None for a strategy that begins with an evaluated population.

        Raises UsageError for a mean that such a strategy is given.
        """
        algorithm, params = self._algorithm
        if not self._by_distribution:
            if mean is not None:
                raise UsageError(
                    f"Strategy {self.configuration.strategy!r} begins with a random population, not with an agent: "
                    "leave out --from, or use a strategy with a mean, such as openai-es, SNES or CMA_ES."
                )
            return None
        if mean is None:
            c = self.configuration
            mean = seeds.start(c.seed, self.parameters, c.start, [0], c.start_scale)[0]
        return algorithm.init(self._key(0, 0), jnp.asarray(mean), params)

    @jax_defaults()
    def ask(self, state: Any, generation: int) -> tuple[np.ndarray, Any]:
        """(genomes float32 [population, parameters], state)."""
        algorithm, params = self._algorithm
        if state is None:
            c = self.configuration
            return seeds.start(c.seed, self.parameters, c.start, range(c.population), c.start_scale), None
        population, state = algorithm.ask(self._key(generation, 1), state, params)
        return np.asarray(population, np.float32), state

    @jax_defaults()
    def tell(
        self,
        state: Any,
        population: np.ndarray,
        fitness: np.ndarray,
        generation: int,
        weighted_noise: WeightedNoise,
    ) -> Any:
        """The state after a generation; ``fitness`` float64 [population], finite."""
        algorithm, params = self._algorithm
        key, told = self._key(generation, 2), jnp.asarray(-fitness, jnp.float32)
        if state is None:
            return algorithm.init(key, jnp.asarray(population), told, params)
        return algorithm.tell(key, jnp.asarray(population), told, state, params)[0]

    @jax_defaults()
    def mean(self, state: Any) -> np.ndarray:
        """The centre of the search; for strategies that keep a population, the mean of that population."""
        centre = state.mean if self._by_distribution else state.population.mean(axis=0)
        return np.asarray(centre, np.float32)

    def _key(self, generation: int, use: int) -> jax.Array:
        words = seeds.words(self.configuration.seed, seeds.Stream.STRATEGY, generation, use, count=2)
        return jax.random.wrap_key_data(jnp.asarray(words))
