"""What every user of a traced world needs."""

from __future__ import annotations

import functools
from typing import Any

import jax

__all__ = ["put_life"]


@functools.partial(jax.jit, donate_argnums=0)
def put_life(lives: Any, life: Any, slot: jax.Array | int) -> Any:
    """Lives [lives, …], any pytree, with one life [1, …] in a slot. ``lives`` is used up: its memory is reused."""
    return jax.tree.map(lambda all_, new: jax.lax.dynamic_update_index_in_dim(all_, new[0], slot, 0), lives, life)
