"""Traced worlds: a life in a slot, and worlds that are written for one life."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from metahebb.worlds import TracedStep, TracedWorld

__all__ = ["VmappedWorld", "put_life", "reset_lives"]


@functools.partial(jax.jit, donate_argnums=0)
def put_life(lives: Any, life: Any, slot: jax.Array | int) -> Any:
    """Lives [lives, …], any pytree, with one life [1, …] in a slot. ``lives`` is used up: its memory is reused."""
    return jax.tree.map(lambda all_, new: jax.lax.dynamic_update_index_in_dim(all_, new[0], slot, 0), lives, life)


def reset_lives(world: TracedWorld, seeds: Sequence[int], bodies: Sequence[str]) -> tuple[Any, jax.Array]:
    """Begin lives in a world, in their bodies if these have names: a world without a choice is not told of any."""
    return world.reset(np.array(seeds, np.int64), bodies) if any(bodies) else world.reset(np.array(seeds, np.int64))


class VmappedState(NamedTuple):
    """Lives of a ``VmappedWorld``; the lives are the first axis of every leaf."""

    inner: Any
    key: jax.Array
    """uint32 [lives, 2]: the life's own, from its seed"""
    step: jax.Array
    """int32 [lives]: steps so far"""


class VmappedWorld(TracedWorld):
    """A traced world of an environment that is written for one life, as gymnax and its kin write them, vmapped.

    The keys that a life is given are ``fold_in(PRNGKey(seed), step)``, so that it is a function of its seed and its
    actions.

    Args:
        reset: ``(key) → (observation, state)``.
        step: ``(key, state, action) → (observation, state, reward, done)``, or with ``terminated, truncated`` in the
            place of ``done``: whichever is true ends the life. A dictionary may follow and is not looked at. A step
            that begins the next life by itself will do, but under ``vmap`` it computes that at each step.
        observation_space, action_space: of one life, Gymnasium's.
        render: ``(state) → uint8 [height, width, 3]``, called outside of a trace; None where there are no pictures.
        max_steps: the steps after which a life ends if it has not before; None where the environment says so itself.
    """

    together = True

    def __init__(
        self,
        reset: Callable[[jax.Array], tuple[jax.Array, Any]],
        step: Callable[..., tuple[Any, ...]],
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        render: Callable[[Any], np.ndarray] | None = None,
        max_steps: int | None = None,
    ) -> None:
        self.observation_space = observation_space
        self.action_space = action_space
        self._reset = jax.jit(jax.vmap(reset))
        self._step = jax.vmap(step)
        self._render = render
        self._max_steps = max_steps

    def reset(self, seeds: np.ndarray, bodies: Sequence[str] = ()) -> tuple[VmappedState, jax.Array]:
        """Begin lives (see ``TracedWorld``)."""
        key = jax.vmap(jax.random.PRNGKey)(jnp.asarray(seeds, jnp.uint32))
        step = jnp.zeros(len(seeds), jnp.int32)
        observation, inner = self._reset(_keys(key, step))
        return VmappedState(_strong(inner), key, step), observation

    def step(self, state: VmappedState, action: jax.Array) -> TracedStep:
        """Advance all lives by one step."""
        step = state.step + 1
        observation, inner, reward, *rest = self._step(_keys(state.key, step), state.inner, action)
        ends = [end.astype(bool) for end in rest if not isinstance(end, dict)]
        if self._max_steps is not None:
            ends.append(step >= self._max_steps)
        after = VmappedState(_strong(inner), state.key, step)
        return TracedStep(after, observation, reward.astype(jnp.float32), functools.reduce(jnp.logical_or, ends))

    def render(self, state: VmappedState, slot: int) -> np.ndarray:
        """What the environment draws of one life."""
        if self._render is None:
            return super().render(state, slot)
        return self._render(jax.tree.map(lambda leaf: leaf[slot], state.inner))


def _keys(key: jax.Array, step: jax.Array) -> jax.Array:
    keys: jax.Array = jax.vmap(jax.random.fold_in)(key, step)
    return keys


def _strong(state: Any) -> Any:
    """The same without weak types: where a step alone has or has not them, all lives would be compiled twice."""

    def strong(leaf: jax.Array) -> jax.Array:
        return jax.lax.convert_element_type(leaf, leaf.dtype) if leaf.weak_type else leaf

    return jax.tree.map(strong, state)
