"""Strategies of the evosax library, by name, with their own options."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from metahebb import seeds
from metahebb.errors import UsageError, unknown
from metahebb.evolution.strategies import WeightedNoise
from metahebb.jax_defaults import jax_defaults

__all__ = ["EvosaxStrategy", "strategy_names"]

SMALLEST, LARGEST = 1e-18, 1e18
"""Of options: float32 holds their squares."""
LARGEST_WHOLE = 1_000_000
"""Of options that are sizes and numbers of generations: the squares of larger ones end a process in XLA."""

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


def _option(name: str, value: Any, like: object) -> bool | int | float:
    """An option's value as a number of the kind of ``like``, its default.

    Raises UsageError for what is no number, negative or, of a deviation or a learning rate, zero: nothing would move.
    """
    if isinstance(like, bool):
        if value not in (True, False):
            raise UsageError(f"--strategy-option {name} is {value!r}; it must be true or false.")
        return bool(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(like, int):
        if not number or value != value // 1 or not 1 <= value <= LARGEST_WHOLE:
            raise UsageError(
                f"--strategy-option {name} is {value!r}; it must be a whole number from 1 to {LARGEST_WHOLE:,}."
            )
        return int(value)
    positive = name in ("std_init", "learning_rate")
    if not number or not (SMALLEST if positive else 0) <= value <= LARGEST:
        accepted = f"{SMALLEST:g} or more" if positive else "0 or more"
        raise UsageError(
            f"--strategy-option {name} is {value!r}; it must be a finite number, {accepted} and at most {LARGEST:g}."
        )
    return float(value)


@dataclass(frozen=True)
class EvosaxStrategy:
    """An evosax strategy over genomes of ``parameters`` numbers. evosax minimises, so it is told −fitness.

    Strategies with a distribution start around the genome of member 0; those that keep a population start with the
    genomes of all members.
    """

    name: str
    options: Mapping[str, float | str]
    """arguments of the algorithm, numbers among its parameters, or ``optimizer`` and ``learning_rate``"""
    parameters: int
    population: int
    seed: int
    """of its own keys"""
    start: Callable[[int], np.ndarray]
    """member → a genome to start from, float32 [parameters]"""

    @cached_property
    @jax_defaults()
    def _algorithm(self) -> Any:
        """(the algorithm, its parameters)."""
        algorithm = _algorithms()[self.name]
        arguments, options = _arguments(algorithm), dict(self.options)
        chosen: dict[str, Any] = {}
        if "optimizer" in arguments and {"learning_rate", "optimizer"} & set(options):
            optimizer = str(options.pop("optimizer", "sgd"))
            if optimizer not in OPTIMIZERS:
                raise unknown("optimizer", optimizer, OPTIMIZERS)
            chosen["optimizer"] = OPTIMIZERS[optimizer](
                _option("learning_rate", options.pop("learning_rate", 0.05), like=0.05)
            )
        for name in list(options):
            if name in arguments and isinstance(arguments[name].default, bool | int | float):
                chosen[name] = _option(name, options.pop(name), arguments[name].default)
        with self._refusals():
            made = algorithm(population_size=self.population, solution=np.zeros(self.parameters, np.float32), **chosen)
            defaults = made.default_params
        # Some have the parameters of whole networks among theirs.
        parameters = {f.name: getattr(defaults, f.name) for f in dataclasses.fields(defaults)}
        numbers = [name for name, value in parameters.items() if np.isscalar(value) or getattr(value, "ndim", 1) == 0]
        for name in options:
            if name not in numbers:
                accepted = [n for n, p in arguments.items() if isinstance(p.default, bool | int | float)] + numbers
                if "optimizer" in arguments:
                    accepted += ["learning_rate", "optimizer"]
                raise unknown(f"option of strategy {self.name}", name, accepted)
        given = {name: _option(name, value, parameters[name]) for name, value in options.items()}
        return made, defaults.replace(**given)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Whatever evosax raises is one sentence with what it was given."""
        try:
            yield
        except Exception as e:
            given = "".join(f", --strategy-option {name}={value}" for name, value in self.options.items())
            said = " ".join(str(e).split()) or type(e).__name__
            raise UsageError(
                f"Strategy {self.name!r} of evosax refuses --population {self.population}{given} "
                f"for {self.parameters:,} parameters: {said[:200].rstrip('.')}."
            ) from e

    @jax_defaults()
    def check(self) -> None:
        """Raise UsageError for a population or options that the strategy refuses; nothing is allocated."""
        algorithm, params = self._algorithm
        key = jax.random.key(0)

        def generation(state: Any) -> Any:
            population, state = algorithm.ask(key, state, params)
            return algorithm.tell(key, population, jnp.zeros(self.population), state, params)

        template = self.template()
        with self._refusals():
            jax.eval_shape(generation, template)

    @property
    def context(self) -> int | None:
        """Over how many generations a strategy that is a transformer attends; None for all others."""
        return getattr(self._algorithm[0], "max_context_len", None)

    @property
    def _by_distribution(self) -> bool:
        return "mean" in inspect.signature(self._algorithm[0].init).parameters

    @jax_defaults()
    def template(self) -> Any:
        """The shapes of a state."""
        algorithm, params = self._algorithm
        key = jax.random.key(0)
        genome = jax.ShapeDtypeStruct((self.parameters,), jnp.float32)
        population = jax.ShapeDtypeStruct((self.population, self.parameters), jnp.float32)
        fitness = jax.ShapeDtypeStruct((self.population,), jnp.float32)
        with self._refusals():
            if self._by_distribution:
                return jax.eval_shape(lambda k, m: algorithm.init(k, m, params), key, genome)
            return jax.eval_shape(lambda k, p, f: algorithm.init(k, p, f, params), key, population, fitness)

    @jax_defaults()
    def init(self) -> Any:
        """The state before the first generation: where its first population is kept, that is not yet evaluated."""
        algorithm, params = self._algorithm
        if self._by_distribution:
            return algorithm.init(self._key(0, 0), jnp.asarray(self.start(0)), params)
        unknown_fitness = jnp.full(self.population, jnp.inf)
        return algorithm.init(self._key(0, 0), jnp.asarray(self._starting_genomes()), unknown_fitness, params)

    @jax_defaults()
    def ask(self, state: Any, generation: int) -> tuple[np.ndarray, Any]:
        """(genomes float32 [population, parameters], state)."""
        algorithm, params = self._algorithm
        if state is None:
            return self._starting_genomes(), None
        if self._is_unevaluated(state):
            return np.asarray(state.population, np.float32), state
        population, state = algorithm.ask(self._key(generation, 1), state, params)
        return np.asarray(population, np.float32), state

    @jax_defaults()
    def tell(
        self,
        state: Any,
        population: np.ndarray,
        fitness: np.ndarray,
        steps: int,
        generation: int,
        weighted_noise: WeightedNoise,
    ) -> Any:
        """The state after a generation; ``fitness`` float64 [population], finite."""
        algorithm, params = self._algorithm
        key, told = self._key(generation, 2), jnp.asarray(-fitness, jnp.float32)
        if self._is_unevaluated(state):
            return algorithm.init(key, jnp.asarray(population), told, params)
        return algorithm.tell(key, jnp.asarray(population), told, state, params)[0]

    @jax_defaults()
    def mean(self, state: Any) -> np.ndarray:
        """The centre of the search; for strategies that keep a population, the mean of that population."""
        centre = state.mean if self._by_distribution else state.population.mean(axis=0)
        return np.asarray(centre, np.float32)

    def _is_unevaluated(self, state: Any) -> bool:
        """Whether a strategy that keeps a population has yet to be told the fitness of its first."""
        # Versions up to 0.1 had no state until then.
        return state is None or (not self._by_distribution and bool(jnp.isinf(state.best_fitness)))

    def _starting_genomes(self) -> np.ndarray:
        return np.stack([self.start(member) for member in range(self.population)])

    def _key(self, generation: int, use: int) -> jax.Array:
        words = seeds.words(self.seed, seeds.Stream.STRATEGY, generation, use, count=2)
        return jax.random.wrap_key_data(jnp.asarray(words))
