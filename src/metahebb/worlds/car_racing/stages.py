"""What makes XLA's code for a CPU fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["nearest", "stage"]

R = TypeVar("R")


def stage(always: jax.Array, function: Callable[..., R], *arguments: Any) -> R:
    """``function(*arguments)``, compiled for itself; ``always`` is a scalar True that the compiler cannot
    know.

    On a CPU, XLA fuses a chain of array operations into one loop, repeats work in it (a sine for every
    pixel), and gives up vectorising it: a frame then takes several times as long. It leaves the branches of a
    condition alone.
    """
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, *arguments))
    result: R = lax.cond(always, function, lambda *_: nothing, *arguments)
    return result


def nearest(values: jax.Array) -> jax.Array:
    """The nearest integers of floats in [0, 2²²), in a third of a conversion's time, which would saturate."""
    magic = np.float32(2**23)
    return lax.bitcast_convert_type(values + magic, jnp.int32) - magic.view(np.int32)
