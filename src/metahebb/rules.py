"""The plasticity rules, a function each.

A rule says how much the synapses of a layer change in one step of one life, from the activity on their two ends, their
weights, and evolved coefficients of their own. It is a function ``(pre, post, weight, *coefficients)`` of float32
arrays that broadcast:

- ``pre`` [inputs, 1] and ``post`` [1, outputs], the activities of the neurons before and after the layer,
- ``weight`` [inputs, outputs],
- each coefficient [inputs, outputs],

and returns the changes, [inputs, outputs] or what broadcasts to it. A reduction is over the layer's neurons:
``post.mean()``, ``weight.sum(axis=0)``. The names of the parameters after the third are those of the coefficients; a
parameter with a default is a constant, and no coefficient. The order of the coefficients is the order of the columns in
the published reference's files.

The first nine are the family that Najarro & Risi (2020) compare.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from metahebb.errors import UsageError, quoted, raised, unknown
from metahebb.files import check_file, user_path
from metahebb.importing import load_file
from metahebb.interrupts import is_the_users, told
from metahebb.jax_defaults import jax_defaults

__all__ = ["RULES", "Rule", "load_rule", "rule_from_function"]

Function = Callable[..., jax.Array]

X: TypeAlias = jax.Array
"""What a rule takes, and what it returns."""


def A(pre: X, post: X, weight: X, A: X) -> X:
    """A·oi·oj"""
    return A * pre * post


def AD(pre: X, post: X, weight: X, A: X, D: X) -> X:
    """A·oi·oj + D"""
    return A * pre * post + D


def AD_lr(pre: X, post: X, weight: X, A: X, D: X, lr: X) -> X:
    """η(A·oi·oj + D)"""
    return lr * (A * pre * post + D)


def ABC(pre: X, post: X, weight: X, A: X, B: X, C: X) -> X:
    """A·oi·oj + B·oi + C·oj"""
    return A * pre * post + B * pre + C * post


def ABC_lr(pre: X, post: X, weight: X, A: X, B: X, C: X, lr: X) -> X:
    """η(A·oi·oj + B·oi + C·oj)"""
    return lr * (A * pre * post + B * pre + C * post)


def ABCD(pre: X, post: X, weight: X, A: X, B: X, C: X, D: X) -> X:
    """A·oi·oj + B·oi + C·oj + D"""
    return A * pre * post + B * pre + C * post + D


def ABCD_lr(pre: X, post: X, weight: X, A: X, B: X, C: X, lr: X, D: X) -> X:
    """η(A·oi·oj + B·oi + C·oj + D)"""
    return lr * (A * pre * post + B * pre + C * post + D)


def ABCD_lr_D_out(pre: X, post: X, weight: X, A: X, B: X, C: X, lr: X, D: X) -> X:
    """η(A·oi·oj + B·oi + C·oj) + D"""
    return lr * (A * pre * post + B * pre + C * post) + D


def ABCD_lr_D_in_and_out(pre: X, post: X, weight: X, A: X, B: X, C: X, lr: X, D_in: X, D_out: X) -> X:
    """η(A·oi·oj + B·oi + C·oj + D_in) + D_out"""
    return lr * (A * pre * post + B * pre + C * post + D_in) + D_out


def oja(pre: X, post: X, weight: X, lr: X) -> X:
    """η·oj·(oi − oj·w), Oja (1982)"""
    return lr * post * (pre - post * weight)


@dataclass(frozen=True)
class Rule:
    """A plasticity rule and what the engine knows of it.

    Called as ``rule(pre, post, weight, *coefficients)`` with the arrays of one life and layer, of shapes as above.
    """

    name: str
    """As it is written in a configuration: a built-in rule's name, or ``file.py:function``."""
    function: Function
    bilinear: bool = False
    """A synapse's Δw is a·pre·post + b·pre + c·post + d with a…d functions of its own coefficients alone."""
    file: str | None = None
    """Where a user's rule was read from (absolute path)."""

    @property
    def coefficients(self) -> tuple[str, ...]:
        """The names of a synapse's coefficients, in order: of the parameters after the third those without default."""
        parameters = list(inspect.signature(self.function).parameters.values())[3:]
        return tuple(p.name for p in parameters if p.default is inspect.Parameter.empty)

    @property
    def formula(self) -> str:
        """The first line of the function's docstring, or nothing."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def digest(self) -> str | None:
        """SHA-256 of the file of a user's rule; None for a built-in one."""
        return None if self.file is None else hashlib.sha256(Path(self.file).read_bytes()).hexdigest()

    def __call__(self, pre: ArrayLike, post: ArrayLike, weight: ArrayLike, *coefficients: ArrayLike) -> jax.Array:
        return self.function(pre, post, weight, *coefficients)

    def terms(self, *coefficients: jax.Array) -> tuple[jax.Array, ...]:
        """The a, b, c, d of a bilinear rule, each of the coefficients' shape, from coefficients of any one shape.

        They are its Taylor coefficients at (0, 0), exact since it has no others, and each synapse's own.

        Four arrays instead of five or six are read at each step of a life: where the synapses do not fit the cache,
        that is a fifth of its time.
        """
        one = jnp.ones_like(coefficients[0])
        zero = jnp.zeros_like(one)

        def along_post(pre: jax.Array) -> tuple[jax.Array, jax.Array]:
            return jax.jvp(lambda post: self(pre, post, zero, *coefficients), (zero,), (one,))

        (d, c), (b, a) = jax.jvp(along_post, (zero,), (one,))
        return a, b, c, d


def _bilinear(*functions: Function) -> dict[str, Rule]:
    return {f.__name__: Rule(f.__name__, f, bilinear=True) for f in functions}


RULES: Mapping[str, Rule] = {
    **_bilinear(A, AD, AD_lr, ABC, ABC_lr, ABCD, ABCD_lr, ABCD_lr_D_out, ABCD_lr_D_in_and_out),
    "oja": Rule("oja", oja),
}
"""The built-in rules by name."""


def load_rule(name: str, folder: Path | None = None) -> Rule:
    """A built-in rule by its name, or a user's own from ``file.py:function``.

    A relative file is looked for in ``folder`` (default: the working directory). Raises UsageError for an unknown
    name, a file that is missing or fails to run, and a function that is no rule (see ``rule_from_function``).
    """
    if ":" not in name and not name.endswith(".py"):
        if name not in RULES:
            error = unknown("rule", name, RULES)
            raise UsageError(f"{error} A rule of your own is given as my_rules.py:my_rule.")
        return RULES[name]
    file, _, function_name = name.rpartition(":") if ":" in name else (name, "", "")
    if not function_name or not file.endswith(".py"):
        raise UsageError(f"Rule {quoted(name)} is not of the form my_rules.py:my_rule.")
    path = user_path("The rule's file", (folder or Path.cwd()) / os.path.expanduser(file))
    if not path.is_file():
        raise UsageError(f"Rule {name!r}: there is no file {str(path)!r}.")
    check_file("The rule's file", path)
    with told(f"Rule {name!r}: running {path.name}"):
        module = load_file(path)
    function = getattr(module, function_name, None)
    if not callable(function):
        functions = [k for k, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        raise unknown(f"rule in {path.name}", function_name, functions or ["(the file defines no function)"])
    return rule_from_function(function, f"{path.name}:{function_name}", str(path.resolve()))


def rule_from_function(function: Function, name: str, file: str) -> Rule:
    """A rule of a user's function, tried on a small layer first.

    Raises UsageError if its parameters are not (pre, post, weight, and one or more coefficients), if it raises, if
    its result is not one finite number per synapse, if it depends on anything but its arguments, or if JAX cannot trace
    it.
    """
    _check_parameters(function, name)
    rule = Rule(name, function, file=file)
    _try_out(rule)
    return rule


def _check_parameters(function: Function, name: str) -> None:
    """Raise UsageError if they are not those of a rule."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError as e:
        raise UsageError(f"Rule {name!r} does not tell its parameters; a rule is a function made with def.") from e
    fixed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    given = [p for p in parameters if p.default is inspect.Parameter.empty]
    constants = [p for p in parameters if p.default is not inspect.Parameter.empty]
    if len(given) < 4 or any(p.kind not in fixed for p in given) or any(p in constants for p in parameters[:3]):
        raise UsageError(
            f"Rule {name!r} takes ({', '.join(str(p) for p in parameters)}); a rule takes (pre, post, weight, …) and "
            "one or more coefficients, each a positional parameter; a parameter with a default is a constant."
        )


_TRIED_LIVES, _TRIED_LAYER = 2, (3, 4)


@jax_defaults()
def _try_out(rule: Rule) -> None:
    """Call a rule as lives do, on a small layer, for one life alone and for several; UsageError for what is wrong."""
    inputs, outputs = _TRIED_LAYER
    shapes = [(inputs, 1), (1, outputs)] + [_TRIED_LAYER] * (1 + len(rule.coefficients))
    keys = jax.random.split(jax.random.key(0), len(shapes))
    sample = [jax.random.uniform(k, (_TRIED_LIVES, *s), minval=-1.0) for k, s in zip(keys, shapes, strict=True)]
    try:
        change = jax.jit(rule.function)(*(leaf[0] for leaf in sample))
        together = jax.jit(jax.vmap(rule.function))(*sample)
    except BaseException as e:
        if is_the_users(e):
            raise
        raise UsageError(f"Rule {rule.name!r}, tried on a small layer, raised {raised(e)}") from e
    if not isinstance(change, jax.Array):
        raise UsageError(f"Rule {rule.name!r} returned {change!r}; it must return one change per synapse.")
    try:
        fits = jnp.broadcast_shapes(change.shape, _TRIED_LAYER) == _TRIED_LAYER
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(
            f"Rule {rule.name!r} returned shape {change.shape} for pre {shapes[0]}, post {shapes[1]}, "
            f"weight {_TRIED_LAYER}; it must return one change per synapse, {_TRIED_LAYER}."
        )
    if not bool(jnp.isfinite(change).all()):
        raise UsageError(f"Rule {rule.name!r} returned NaN or infinity for inputs between -1 and 1.")
    if not jnp.allclose(change, together[0], rtol=1e-3, atol=1e-5):
        raise UsageError(
            f"Rule {rule.name!r} returned two changes for the same arguments; it may depend on nothing else, random "
            "numbers included."
        )
