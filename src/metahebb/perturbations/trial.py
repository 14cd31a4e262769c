"""A perturbation tried before a life is lived, so that what is wrong with a user's own is one sentence."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from metahebb.errors import UsageError, raised
from metahebb.interrupts import is_the_users
from metahebb.jax_defaults import jax_defaults
from metahebb.perturbations.perturbation import Perturbation

__all__ = ["try_out"]


@jax_defaults()
def try_out(perturbation: Perturbation, shape: tuple[int, ...], said: str) -> None:
    """Call a user's own perturbation as lives do; UsageError if it raises or returns what does not fit ``shape``."""
    if perturbation.kind.file is None:
        return
    value = jnp.full(shape, 0.5, jnp.float32)
    strengths = [jnp.float32(strength) for strength in perturbation.strengths]
    try:
        new = jax.jit(perturbation.kind.function)(jax.random.key(0), jnp.int32(perturbation.begin), value, *strengths)
    except BaseException as e:
        if is_the_users(e):
            raise
        raise UsageError(f"{said}, tried on {perturbation.kind.changes} of shape {shape}, raised {raised(e)}") from e
    try:
        fits = jnp.broadcast_shapes(jnp.shape(new), shape) == shape
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise UsageError(f"{said} returned {_what(new)} for {perturbation.kind.changes} of shape {shape}.")


def _what(value: object) -> str:
    return f"shape {jnp.shape(value)}" if isinstance(value, jax.Array) else f"{value!r:.60}"
