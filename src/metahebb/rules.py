"""The plasticity rules, a function each.

A rule says how much a synapse changes in one step, from the activity on its two ends, its weight, and evolved
coefficients of its own. It is a function ``(pre, post, weight, *coefficients)`` of arrays that broadcast; the names of
its parameters after the third are the names of its coefficients. The order of the coefficients is the order of the
columns in the published reference's files.

The first nine are the family that Najarro & Risi (2020) compare.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from metahebb.errors import UsageError, quoted, unknown
from metahebb.files import user_path
from metahebb.jax_defaults import jax_defaults

__all__ = ["RULES", "Rule", "load_rule", "rule_from_function"]

Function = Callable[..., jax.Array]


def A(pre, post, weight, A):  # type: ignore[no-untyped-def]  # noqa: N802
    """A·oi·oj"""
    return A * pre * post


def AD(pre, post, weight, A, D):  # type: ignore[no-untyped-def]  # noqa: N802
    """A·oi·oj + D"""
    return A * pre * post + D


def AD_lr(pre, post, weight, A, D, lr):  # type: ignore[no-untyped-def]  # noqa: N802
    """η(A·oi·oj + D)"""
    return lr * (A * pre * post + D)


def ABC(pre, post, weight, A, B, C):  # type: ignore[no-untyped-def]  # noqa: N802
    """A·oi·oj + B·oi + C·oj"""
    return A * pre * post + B * pre + C * post


def ABC_lr(pre, post, weight, A, B, C, lr):  # type: ignore[no-untyped-def]  # noqa: N802
    """η(A·oi·oj + B·oi + C·oj)"""
    return lr * (A * pre * post + B * pre + C * post)


def ABCD(pre, post, weight, A, B, C, D):  # type: ignore[no-untyped-def]  # noqa: N802
    """A·oi·oj + B·oi + C·oj + D"""
    return A * pre * post + B * pre + C * post + D


def ABCD_lr(pre, post, weight, A, B, C, lr, D):  # type: ignore[no-untyped-def]  # noqa: N802
    """η(A·oi·oj + B·oi + C·oj + D)"""
    return lr * (A * pre * post + B * pre + C * post + D)


def ABCD_lr_D_out(pre, post, weight, A, B, C, lr, D):  # type: ignore[no-untyped-def]  # noqa: N802
    """η(A·oi·oj + B·oi + C·oj) + D"""
    return lr * (A * pre * post + B * pre + C * post) + D


def ABCD_lr_D_in_and_out(pre, post, weight, A, B, C, lr, D_in, D_out):  # type: ignore[no-untyped-def]  # noqa: N802
    """η(A·oi·oj + B·oi + C·oj + D_in) + D_out"""
    return lr * (A * pre * post + B * pre + C * post + D_in) + D_out


def oja(pre, post, weight, lr):  # type: ignore[no-untyped-def]
    """η·oj·(oi − oj·w), Oja (1982)"""
    return lr * post * (pre - post * weight)


@dataclass(frozen=True)
class Rule:
    """A plasticity rule and what the engine knows of it.

    Called as ``rule(pre, post, weight, *coefficients)``; the arrays broadcast, and Δw has their common shape.
    """

    name: str
    """As it is written in a configuration: a built-in rule's name, or ``file.py:function``."""
    function: Function
    bilinear: bool = False
    """Δw is a·pre·post + b·pre + c·post + d with a…d functions of the coefficients alone."""
    file: str | None = None
    """Where a user's rule was read from (absolute path)."""

    @property
    def coefficients(self) -> tuple[str, ...]:
        """The names of a synapse's coefficients, in order."""
        return tuple(inspect.signature(self.function).parameters)[3:]

    @property
    def formula(self) -> str:
        """The first line of the function's docstring, or nothing."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def digest(self) -> str | None:
        """SHA-256 of the file of a user's rule; None for a built-in one."""
        return None if self.file is None else hashlib.sha256(Path(self.file).read_bytes()).hexdigest()

    def __call__(self, pre: Any, post: Any, weight: Any, *coefficients: Any) -> jax.Array:
        return self.function(pre, post, weight, *coefficients)

    def terms(self, *coefficients: jax.Array) -> tuple[jax.Array, ...]:
        """The a, b, c, d of a bilinear rule: its Taylor coefficients at (0, 0), exact since it has no others.

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
    path = user_path("The rule's file", (folder or Path.cwd()) / Path(file).expanduser())
    if not path.is_file():
        raise UsageError(f"Rule {name!r}: there is no file {str(path)!r}.")
    spec = importlib.util.spec_from_file_location(f"metahebb_user_rule_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as e:
        raise UsageError(f"Rule {name!r}: running {path.name} raised {type(e).__name__}: {e}.") from e
    function = getattr(module, function_name, None)
    if not callable(function):
        functions = [k for k, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        raise unknown(f"rule in {path.name}", function_name, functions or ["(the file defines no function)"])
    return rule_from_function(function, f"{path.name}:{function_name}", str(path.resolve()))


def rule_from_function(function: Function, name: str, file: str) -> Rule:
    """A rule of a user's function, tried on a small layer first.

    Raises UsageError if its parameters are not (pre, post, weight, and one or more coefficients), if it raises, if
    its result is not one finite number per synapse, or if JAX cannot trace it.
    """
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError as e:
        raise UsageError(f"Rule {name!r} does not tell its parameters; a rule is a function made with def.") from e
    if len(parameters) < 4 or any(p.kind not in kinds for p in parameters):
        raise UsageError(
            f"Rule {name!r} takes ({', '.join(str(p) for p in parameters)}); a rule takes (pre, post, weight, …) and "
            "one or more coefficients, each a positional parameter."
        )
    rule = Rule(name, function, file=file)
    shapes = [(3, 1), (1, 4)] + [(3, 4)] * (1 + len(rule.coefficients))
    try:
        with jax_defaults():
            keys = jax.random.split(jax.random.key(0), 3 + len(rule.coefficients))
            sample = [jax.random.uniform(k, s, minval=-1.0) for k, s in zip(keys, shapes, strict=True)]
            change = jax.jit(function)(*sample)
    except (Exception, SystemExit) as e:
        reason = str(e).strip().partition("\n")[0]
        raise UsageError(f"Rule {name!r} raised {type(e).__name__} when tried on a small layer: {reason}") from e
    if not isinstance(change, jax.Array):
        raise UsageError(f"Rule {name!r} returned {change!r}; it must return one change per synapse.")
    try:
        fits = jnp.broadcast_shapes(change.shape, (3, 4)) == (3, 4)
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(
            f"Rule {name!r} returned shape {change.shape} for pre (3, 1), post (1, 4), weight (3, 4); "
            "it must return one change per synapse, (3, 4)."
        )
    if not bool(jnp.isfinite(change).all()):
        raise UsageError(f"Rule {name!r} returned NaN or infinity for inputs between -1 and 1.")
    return rule
