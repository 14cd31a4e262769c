"""From a network's outputs to an action.

The last layer's post-synaptic activity is the raw sum, and takes part in learning as it is; what it does is decided
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from metahebb.errors import UsageError

__all__ = ["BoxReadout", "DiscreteReadout", "Readout", "readout_for"]


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
    high: tuple[float, ...]
    shape: tuple[int, ...]

    def __str__(self) -> str:
        limits = sorted({*zip(self.low, self.high, strict=True)})
        numbers = f"{self.outputs} number{'s' if self.outputs > 1 else ''}"
        return f"{numbers} in [{limits[0][0]:g}, {limits[0][1]:g}]" if len(limits) == 1 else numbers

    @property
    def outputs(self) -> int:
        return len(self.low)

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Outputs [lives, outputs] → actions, float32 [lives, *shape]."""
        low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
        with np.errstate(over="ignore"):
            span = high - low
        bounded = np.isfinite(span)
        within = np.where(bounded, low, 0) + np.where(bounded, span, 0) * (jnp.tanh(outputs) + 1) / 2
        # Rounding may carry the sum past its bound, where the space no longer contains it.
        return jnp.clip(jnp.where(bounded, within, outputs), low, high).reshape(-1, *self.shape)


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
    """The readout for an action space: Discrete or Box; raises UsageError for others."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return DiscreteReadout(int(space.n), int(space.start))
    if isinstance(space, gymnasium.spaces.Box) and 0 not in space.shape and np.issubdtype(space.dtype, np.floating):
        return BoxReadout(tuple(map(float, space.low.ravel())), tuple(map(float, space.high.ravel())), space.shape)
    raise UsageError(f"The action space {space} is not supported; accepted are Box (of floats) and Discrete.")
