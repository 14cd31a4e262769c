"""The shape of a mirrored pair's noise: full, or of low rank in each matrix of genes.

Full noise is a normal number a gene. Noise of rank r is, for a matrix [rows, columns] of genes,

    ε = 1/√r · Σ_k u_k·v_kᵀ,    u_k [rows] and v_k [columns] ~ N(0, I)

whose entries have deviation 1 too: EGGROLL's (Sarkar et al. 2025, *Evolution Strategies at the Hyperscale*,
arXiv:2511.16652). It takes r·(rows + columns) numbers instead of rows × columns to draw and to keep, and the sum over
pairs, of any rank, is a product of two matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np

__all__ = ["FULL", "NoiseShape"]

A = TypeVar("A", bound=Any)


class NoiseShape(NamedTuple):
    """What a pair's noise is made of: factors of rank ``rank`` for ``matrices``, and a number for each gene after."""

    rank: int = 0
    matrices: tuple[tuple[int, int], ...] = ()
    """(rows, columns) of the genes from the first on; without any, noise is full"""

    def numbers(self, parameters: int) -> int:
        """How many normal numbers make the noise of so many genes."""
        return sum(self.rank * (m + n) - m * n for m, n in self.matrices) + parameters

    def noise(self, drawn: np.ndarray) -> np.ndarray:
        """The noise, float32 [parameters], of the numbers drawn for it, float32 [numbers]."""
        return self.product(drawn[None], np.ones(1)) if self.matrices else drawn

    def total(self, parameters: int, drawn: Iterable[np.ndarray], weights: np.ndarray) -> np.ndarray:
        """Σ weight·noise over pairs of which these numbers were drawn, float32 [parameters]."""
        if self.matrices:
            return self.product(np.stack(list(drawn)), weights)
        total = np.zeros(parameters, np.float32)
        for numbers, weight in zip(drawn, weights, strict=True):
            total += np.float32(weight) * numbers
        return total

    def product(self, drawn: A, weights: A) -> A:
        """Σ weight·noise of numbers [pairs, numbers], of NumPy's arrays or JAX's."""
        xp = drawn.__array_namespace__()
        weights = weights.astype(np.float32)
        if not self.matrices:
            return weights @ drawn
        scaled = (weights / np.float32(math.sqrt(self.rank)))[:, None, None]
        sizes = [self.rank * (rows + columns) for rows, columns in self.matrices]
        *factors, rest = xp.split(drawn, np.cumsum(sizes), axis=1)
        parts = []
        for (rows, columns), both in zip(self.matrices, factors, strict=True):
            left, right = xp.split(both.reshape(len(drawn), self.rank, rows + columns), [rows], axis=2)
            parts.append(((left * scaled).reshape(-1, rows).T @ right.reshape(-1, columns)).ravel())
        return xp.concatenate([*parts, weights @ rest])


FULL = NoiseShape()
