"""What a strategy of search is to the training loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

__all__ = ["Strategy", "WeightedNoise"]

WeightedNoise = Callable[[np.ndarray], np.ndarray]
"""Weights [pairs] → Σ weight·noise over the pairs of the mirrored population that was asked, float32 [parameters]."""


class Strategy(Protocol):
    """Asks for genomes, is told fitness. Its state is a pytree of arrays and numbers, or None."""

    def init(self) -> Any:
        """The state before the first generation, in which all is that it starts from."""
        ...

    def template(self) -> Any:
        """A state's structure: what a checkpoint is restored into."""
        ...

    def ask(self, state: Any, generation: int) -> tuple[Any, Any]:
        """(population, state): a ``MirroredPopulation``, or genomes float32 [population, parameters]."""
        ...

    def tell(
        self,
        state: Any,
        population: Any,
        fitness: np.ndarray,
        steps: int,
        generation: int,
        weighted_noise: WeightedNoise,
    ) -> Any:
        """The state after a generation of finite fitness, float64 [population], higher is better; its lives took so
        many steps."""
        ...

    def mean(self, state: Any) -> np.ndarray:
        """The genome that stands for the state: the centre of the search, float32 [parameters]."""
        ...
