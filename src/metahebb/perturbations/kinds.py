"""The kinds of perturbations, a function each.

A kind says what becomes of one thing in one life at one step. It is a function ``(key, step, CHANGED, *strengths)``
whose third parameter is named after what it changes:

- ``weights`` float32 [inputs, outputs], of each layer, before the network acts;
- ``rate`` float32 [], a factor on what a layer learns at the step: 1 unless something has changed it, 0 learns nothing;
- ``observation`` float32 of the observation's shape, in the world's units, before the network sees it;
- ``action`` float32 of the action's shape, before the world does;
- or one of the conditions of the task's world (``worlds.Condition``), such as ``friction``, float32 [];

and which returns the new value. ``key`` is a JAX key of its own for each life, step and layer, ``step`` int32 [] the
steps that the life has gone on. Further parameters are strengths, float32 [] each. All is traced by JAX.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import jax
import jax.numpy as jnp

from metahebb.perturbations import images

__all__ = ["CHANGED", "KINDS", "TARGETS", "Kind"]

X: TypeAlias = jax.Array

CHANGED = ("weights", "rate", "observation", "action")
"""what a kind may change, beside the conditions of worlds"""
TARGETS: Mapping[str, tuple[str, ...]] = {
    "weights": ("layer", "fraction"),
    "rate": ("layer",),
    "observation": ("sensor", "fraction"),
    "action": ("actuator", "fraction"),
}
"""What a perturbation may be limited to, by what it changes: one of its parts, counted from 0, or a random fraction"""


@dataclass(frozen=True)
class Kind:
    """A kind of perturbation."""

    name: str
    """as it is written: a built-in kind's name, or ``/path/to/file.py:function``"""
    changes: str
    """one of ``CHANGED``, or a condition of a world"""
    function: Callable[..., X]
    """``(key, step, value, *strengths) → value``, of one life"""
    lasts: bool = True
    """whether it goes on to the end of the life where no end is given; else it strikes once"""
    file: str | None = None
    """of a user's kind, absolute"""
    images: bool = False
    """whether the observation has to be an image [height, width, 3]"""
    least: float = -math.inf
    most: float = math.inf
    """of its first strength"""

    @property
    def strengths(self) -> Mapping[str, float | None]:
        """The names of its strengths in their order, with what each is where it is not given (None: it has to be)."""
        parameters = list(inspect.signature(self.function).parameters.values())[3:]
        return {p.name: None if p.default is inspect.Parameter.empty else float(p.default) for p in parameters}

    @property
    def targets(self) -> tuple[str, ...]:
        """What a perturbation of the kind may be limited to."""
        return () if self.images else TARGETS.get(self.changes, ())

    @property
    def text(self) -> str:
        """What it does: the first line of the function's docstring, or nothing."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


def zero_weights(key: X, step: X, weights: X) -> X:
    """The weights become zero"""
    return jnp.zeros_like(weights)


def resample_weights(key: X, step: X, weights: X) -> X:
    """The weights are drawn anew from the distribution that lives begin with"""
    # What that is the network knows (``Program``).
    raise NotImplementedError


def shuffle_weights(key: X, step: X, weights: X) -> X:
    """The weights of a layer change places"""
    return jax.random.permutation(key, weights.ravel()).reshape(weights.shape)


def noise_weights(key: X, step: X, weights: X, deviation: X) -> X:
    """Normal noise is added to the weights"""
    return weights + deviation * jax.random.normal(key, weights.shape)


def scale_weights(key: X, step: X, weights: X, factor: X) -> X:
    """The weights are multiplied"""
    return factor * weights


def freeze(key: X, step: X, rate: X) -> X:
    """Nothing is learned: the weights stay as they are"""
    return jnp.zeros_like(rate)


def thaw(key: X, step: X, rate: X) -> X:
    """The rule changes the weights again, after a freeze"""
    return jnp.ones_like(rate)


def scale_learning(key: X, step: X, rate: X, factor: X) -> X:
    """What the rule changes (η of a rule that has one) is multiplied"""
    return factor * rate


def zero_sensors(key: X, step: X, observation: X) -> X:
    """Sensors read zero"""
    return jnp.zeros_like(observation)


def noise_sensors(key: X, step: X, observation: X, deviation: X) -> X:
    """Normal noise is added to what sensors read, in their units"""
    return observation + deviation * jax.random.normal(key, observation.shape)


def freeze_sensors(key: X, step: X, observation: X) -> X:
    """Sensors go on reading what they read last"""
    # What that is is remembered (``Program``).
    return observation


def delay_sensors(key: X, step: X, observation: X, steps: X) -> X:
    """Sensors read what was so many steps ago"""
    return observation


def zero_actuators(key: X, step: X, action: X) -> X:
    """Actuators are dead: their action is zero"""
    return jnp.zeros_like(action)


def scale_actuators(key: X, step: X, action: X, factor: X) -> X:
    """The action is multiplied: below 1 actuators are weakened"""
    return factor * action


def reverse_actuators(key: X, step: X, action: X) -> X:
    """The action changes its sign"""
    return -action


def saturate_actuators(key: X, step: X, action: X, limit: X) -> X:
    """The action is cut at ± a limit"""
    return jnp.clip(action, -limit, limit)


_LIMITS: Mapping[Callable[..., X], tuple[float, float]] = {
    noise_weights: (0.0, math.inf),
    noise_sensors: (0.0, math.inf),
    saturate_actuators: (0.0, math.inf),
    images.frames: (0.0, 0.5),
    images.blob: (0.0, 1.0),
}
"""Of the strengths that are not any number: the least and the most"""


def _kind(function: Callable[..., X], lasts: bool = True, seen: bool = False) -> tuple[str, Kind]:
    changes = list(inspect.signature(function).parameters)[2]
    name = function.__name__.replace("_", "-")
    return name, Kind(name, changes, function, lasts, None, seen, *_LIMITS.get(function, (-math.inf, math.inf)))


KINDS: Mapping[str, Kind] = dict(
    [
        *(_kind(f, lasts=False) for f in (zero_weights, resample_weights, shuffle_weights, noise_weights)),
        _kind(scale_weights, lasts=False),
        *(_kind(f) for f in (freeze, thaw, scale_learning)),
        *(_kind(f) for f in (zero_sensors, noise_sensors, freeze_sensors, delay_sensors)),
        *(_kind(f) for f in (zero_actuators, scale_actuators, reverse_actuators, saturate_actuators)),
        *(_kind(f, seen=True) for f in images.ALL),
    ]
)
"""The built-in kinds by name; each condition of a task's world is one more."""
