"""What makes XLA's code for a CPU fast, and leaves its code for an accelerator alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["nearest", "on_host", "stage"]

R = TypeVar("R")


def stage(always: jax.Array, function: Callable[..., R], *arguments: Any) -> R:
    """``function(*arguments)``, compiled for itself on a CPU.

    ``always`` is a scalar True that the compiler cannot know. On a CPU, XLA fuses a chain of array operations into one
    loop, repeats work in it (a sine for every pixel), and gives up vectorising it: a frame then takes several times as
    long. It leaves the branches of a condition alone. On an accelerator fusion is right, and a condition would wait for
    the host.
    """
    result = jax.eval_shape(function, *arguments)
    # Otherwise XLA copies what the result could have taken the place of.
    replaces_first = _form(result) == _form(arguments[0])

    def never(first: Any, *_: Any) -> Any:
        return first if replaces_first else jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), result)

    def apart(always: jax.Array, *arguments: Any) -> R:
        chosen: R = lax.cond(always, function, never, *arguments)
        return chosen

    def fused(_: jax.Array, *arguments: Any) -> R:
        return function(*arguments)

    chosen: R = lax.platform_dependent(always, *arguments, cpu=apart, default=fused)
    return chosen


def _form(tree: Any) -> Any:
    return jax.tree.structure(tree), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)]


def on_host(function: Callable[..., R], *arguments: Any) -> R:
    """``function(*arguments)`` on the host's CPU, its result where arrays are by default: for loops of small steps."""
    if jax.default_backend() == "cpu":
        return function(*arguments)
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        result = function(*arguments)
    moved: R = jax.device_put(result, jax.local_devices()[0])
    return moved


def nearest(values: jax.Array) -> jax.Array:
    """The nearest integers of floats in [0, 2²²), in a third of a conversion's time, which would saturate."""
    magic = np.float32(2**23)
    return lax.bitcast_convert_type(values + magic, jnp.int32) - magic.view(np.int32)
