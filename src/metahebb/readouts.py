"""From a network's outputs to an action.

The last layer's post-synaptic activity is the raw sum, and takes part in learning as it is; what it does is decided
here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from metahebb.errors import UsageError

__all__ = [
    "BoxReadout", "ChoicesReadout", "DiscreteReadout", "Readout", "SignsReadout", "StepsReadout", "readout_for",
]  # fmt: skip

EXACT = 2**24
"""up to which float32 holds every whole number"""


@dataclass(frozen=True)
class DiscreteReadout:
    """The action of the largest output."""

    outputs: int
    start: int = 0

    def __str__(self) -> str:
        return f"one of {self.outputs}"

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Outputs [lives, outputs] → actions, int32 [lives]."""
        return jnp.argmax(outputs, axis=-1) + self.start


@dataclass(frozen=True)
class BoxReadout:
    """low + (high − low)·(tanh + 1)/2 of an output where the action is bounded, the output itself where it is not."""

    low: tuple[float, ...]
    """of each number of the action, or a single one that all share"""
    high: tuple[float, ...]
    """likewise"""
    shape: tuple[int, ...]

    def __str__(self) -> str:
        numbers = f"{self.outputs} number{'s' if self.outputs > 1 else ''}"
        return f"{numbers} in [{self.low[0]:g}, {self.high[0]:g}]" if len(self.low) == len(self.high) == 1 else numbers

    @property
    def outputs(self) -> int:
        return math.prod(self.shape)

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Outputs [lives, outputs] → actions, float32 [lives, *shape]."""
        low, high = (np.full(self.outputs, bound, np.float32) for bound in (self.low, self.high))
        with np.errstate(over="ignore"):
            span = high - low
        bounded = np.isfinite(span)
        within = np.where(bounded, low, 0) + np.where(bounded, span, 0) * (jnp.tanh(outputs) + 1) / 2
        # Rounding may carry the sum past its bound, where the space no longer contains it.
        return jnp.clip(jnp.where(bounded, within, outputs), low, high).reshape(-1, *self.shape)


@dataclass(frozen=True)
class ChoicesReadout:
    """Several choices at once: of each, the option of the largest of its outputs."""

    options: tuple[int, ...]
    """how many options each choice has"""
    start: tuple[int, ...]
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return "one of each " + ", ".join(map(str, self.options))

    @property
    def outputs(self) -> int:
        return sum(self.options)

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Outputs [lives, outputs] → actions, int32 [lives, *shape]."""
        ends = list(accumulate(self.options))
        chosen = [
            jnp.argmax(outputs[:, end - options : end], axis=-1) + start
            for end, options, start in zip(ends, self.options, self.start, strict=True)
        ]
        return jnp.stack(chosen, axis=-1).reshape(-1, *self.shape)


@dataclass(frozen=True)
class SignsReadout:
    """Switches: each is on where its output is above 0."""

    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.outputs} switch{'es' if self.outputs > 1 else ''}"

    @property
    def outputs(self) -> int:
        return math.prod(self.shape)

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Outputs [lives, outputs] → actions, int8 [lives, *shape]."""
        return (outputs > 0).astype(jnp.int8).reshape(-1, *self.shape)


@dataclass(frozen=True)
class StepsReadout:
    """Whole numbers from low to high: (tanh + 1)/2 of an output falls into one of as many equal parts."""

    low: tuple[int, ...]
    """of each number of the action, or a single one that all share"""
    high: tuple[int, ...]
    """likewise"""
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.outputs} whole number{'s' if self.outputs > 1 else ''}"

    @property
    def outputs(self) -> int:
        return math.prod(self.shape)

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Outputs [lives, outputs] → actions, int32 [lives, *shape]."""
        low, high = (np.full(self.outputs, bound, np.int32) for bound in (self.low, self.high))
        part = jnp.floor((high - low + 1) * (jnp.tanh(outputs) + 1) / 2).astype(jnp.int32)
        return jnp.minimum(low + part, high).reshape(-1, *self.shape)


class Readout(Protocol):
    """What every readout offers; a frozen dataclass, so that compiled code can be kept by it."""

    @property
    def outputs(self) -> int:
        """How many output neurons it reads."""
        ...

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Outputs [lives, outputs] → actions [lives, …], as the world's step takes them."""
        ...

    def __hash__(self) -> int:
        """Readouts that compute the same are equal and have the same hash."""
        ...

    def __str__(self) -> str:
        """What `metahebb tasks` says of the action, such as "one of 4"."""
        ...


def readout_for(space: gymnasium.Space[Any]) -> Readout:
    """The readout for an action space; raises UsageError for one that has none."""
    spaces = gymnasium.spaces
    if isinstance(space, spaces.Discrete):
        return DiscreteReadout(int(space.n), int(space.start))
    if isinstance(space, spaces.MultiDiscrete):
        return ChoicesReadout(_whole(space.nvec), _whole(space.start), space.nvec.shape)
    if isinstance(space, spaces.MultiBinary):
        return SignsReadout(tuple(space.shape))
    if isinstance(space, spaces.Box) and 0 not in space.shape:
        # As few numbers as say it: of 10⁸ as Python's own, more memory than there may be.
        low, high = _shared(space.low), _shared(space.high)
        if np.issubdtype(space.dtype, np.floating):
            return BoxReadout(tuple(map(float, low)), tuple(map(float, high)), space.shape)
        if np.issubdtype(space.dtype, np.integer) and max(map(abs, _whole(low) + _whole(high))) < EXACT:
            return StepsReadout(_whole(low), _whole(high), space.shape)
    raise UsageError(
        f"The action space {space} is not supported; accepted are Box (whole numbers only between bounds), Discrete, "
        "MultiDiscrete and MultiBinary: gymnasium.wrappers.TransformAction makes one of another."
    )


def _shared(bounds: np.ndarray) -> np.ndarray:
    """The bounds in one axis, or of equal ones the first."""
    return bounds.ravel()[:1] if (bounds == bounds.flat[0]).all() else bounds.ravel()


def _whole(numbers: np.ndarray) -> tuple[int, ...]:
    return tuple(map(int, np.ravel(numbers)))
