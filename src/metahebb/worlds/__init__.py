"""Simulators, each behind one of two interfaces, batched from the start.

A *traced* world is written in JAX: whole stretches of many lives run inside one ``lax.scan``. A *host* world is
anything that can be stepped: C libraries, every Gymnasium environment. A world knows nothing of networks.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeGuard, runtime_checkable

import gymnasium
import numpy as np

if TYPE_CHECKING:
    import jax

__all__ = ["HostWorld", "TracedStep", "TracedWorld", "is_traced"]


class TracedStep(NamedTuple):
    """What a step of a traced world returns; the lives are the first axis of every leaf."""

    state: Any
    observation: jax.Array
    reward: jax.Array
    """float32 [lives]"""
    terminated: jax.Array
    """bool [lives]: the world ended the life (a step limit is the task's, not the world's)"""


@runtime_checkable
class TracedWorld(Protocol):
    """A world written in JAX."""

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]

    def reset(self, seeds: np.ndarray) -> tuple[Any, jax.Array]:
        """Begin lives: ``seeds`` int64 [lives] → (state, observations). Called outside of a trace."""
        ...

    def step(self, state: Any, action: jax.Array) -> TracedStep:
        """Advance all lives by one step; traced, and finite for lives that have already ended."""
        ...

    def render(self, state: Any, slot: int) -> np.ndarray:
        """One of the lives as a picture, uint8 [height, width, 3]."""
        ...


@runtime_checkable
class HostWorld(Protocol):
    """A batch of slots, stepped on the host; each slot holds one life at a time."""

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]

    def reset(self, slot: int, seed: int, body: str = "") -> np.ndarray:
        """Begin a life in a slot, in a body where there is a choice: its first observation, a function of both."""
        ...

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance the lives in ``slots`` (int [n]) by ``actions`` [n, …].

        Returns observations [n, …], rewards float64 [n] and ended bool [n].
        """
        ...

    def render(self, slot: int) -> np.ndarray:
        """The life in a slot as a picture, uint8 [height, width, 3]."""
        ...

    def close(self) -> None:
        """Free the simulator; harmless when called twice."""
        ...


def is_traced(world: HostWorld | TracedWorld) -> TypeGuard[TracedWorld]:
    """Whether a world is traced: such a one begins lives by their ``seeds``, a host world a life in a ``slot``."""
    return "seeds" in inspect.signature(world.reset).parameters
