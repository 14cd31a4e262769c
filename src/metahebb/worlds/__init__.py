"""Simulators (elsewhere: environments), each of one of two kinds, batched from the start.

A *traced* world is written in JAX: whole stretches of many lives run inside one ``lax.scan``. A *host* world is
anything that can be stepped: C libraries, every Gymnasium environment. A world knows nothing of networks.

What both kinds promise, and ``metahebb.testing.check_world`` tests:

- A life (an episode) is a function of its seed, its body and its actions: the same in any slot, beside any other lives,
  after any life that its slot held before.
- ``ended`` says that a life is over, for whatever reason. A limit of steps is one of these: it is the business of the
  world that a task makes, and nobody else counts a life's steps. (Only a reward or a network's output that is not
  finite ends a life from outside.)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np

from metahebb.errors import UsageError

if TYPE_CHECKING:
    import jax

__all__ = ["BODY", "Condition", "HostWorld", "TracedStep", "TracedWorld"]

BODY = "body"
"""the condition that is no number but a body's text"""


class Condition(NamedTuple):
    """Something about a world that can be changed in the middle of a life, by a perturbation of its name."""

    text: str
    """what it is, with its unit"""
    normal: float = 1.0
    """what it is unless it is changed"""
    least: float = -math.inf
    most: float = math.inf


class TracedStep(NamedTuple):
    """What a step of a traced world returns; the lives are the first axis of every leaf."""

    state: Any
    observation: jax.Array
    reward: jax.Array
    """float32 [lives]"""
    ended: jax.Array
    """bool [lives]: the life is over, for whatever reason"""


class TracedWorld(ABC):
    """A world written in JAX: pure functions of states, any pytrees whose leaves are [lives, …]."""

    observation_space: gymnasium.Space[Any]
    """of one life"""
    action_space: gymnasium.Space[Any]
    conditions: Mapping[str, Condition] = MappingProxyType({})
    """What perturbations may change, by name (``step_under``)"""
    together: bool = False
    """Whether many lives are sooner begun at once than one by one, where JAX has an accelerator."""

    @abstractmethod
    def reset(self, seeds: np.ndarray, bodies: Sequence[str] = ()) -> tuple[Any, jax.Array]:
        """Begin lives: ``seeds`` int64 [lives] → (state, observations). Called outside of a trace.

        ``bodies`` has one for each life where the task has a choice of them; other worlds are never given any.
        """

    @abstractmethod
    def step(self, state: Any, action: jax.Array) -> TracedStep:
        """Advance all lives by one step; traced, and finite for lives that have already ended."""

    def step_under(self, state: Any, action: jax.Array, conditions: Mapping[str, jax.Array]) -> TracedStep:
        """``step``, with some of ``conditions`` as given: float32 [lives] each, by name."""
        raise NotImplementedError

    def render(self, state: Any, slot: int) -> np.ndarray:
        """One of the lives as a picture, uint8 [height, width, 3]; a world without pictures leaves this out."""
        raise _no_pictures(self)


class HostWorld(ABC):
    """A batch of slots, stepped on the host; each slot holds one life at a time."""

    observation_space: gymnasium.Space[Any]
    """of one life"""
    action_space: gymnasium.Space[Any]
    conditions: Mapping[str, Condition] = MappingProxyType({})
    """What perturbations may change, by name (``set_condition``)"""

    @abstractmethod
    def reset(self, slot: int, seed: int, body: str = "") -> np.ndarray:
        """Begin a life in a slot, in a body where there is a choice: its first observation."""

    @abstractmethod
    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance the lives in ``slots`` (int [n], each once) by ``actions`` [n, …], in the same order.

        Returns observations [n, …], rewards float64 [n] and ended bool [n]: the life is over, for whatever reason. What
        it raises ends the run.
        """

    def render(self, slot: int) -> np.ndarray:
        """The life in a slot as a picture, uint8 [height, width, 3]; a world without pictures leaves this out."""
        raise _no_pictures(self)

    def set_condition(self, slot: int, name: str, value: float | str) -> None:
        """Change one of ``conditions`` for the rest of a slot's life, or until it is changed again."""
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027
        """Free the simulator, where there is something to free; harmless when called twice."""


def _no_pictures(world: HostWorld | TracedWorld) -> UsageError:
    return UsageError(f"There is nothing to film: the world {type(world).__name__} makes no pictures (render).")
