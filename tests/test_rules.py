"""Rules against numbers worked out by hand, and what a user's rule must be."""

from __future__ import annotations

import hashlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metahebb.assembly import configure
from metahebb.errors import UsageError
from metahebb.rules import RULES, load_rule
from metahebb.source import write_rule
from support import COMPETING

# pre = 2, post = 3, weight = 0.5; A = 1, B = 10, C = 100, D = 1000, η = 0.5 (D_in = 1000, D_out = 5)
BY_HAND = {
    "A": ([1], 6),
    "AD": ([1, 1000], 1006),
    "AD_lr": ([1, 1000, 0.5], 503),
    "ABC": ([1, 10, 100], 326),
    "ABC_lr": ([1, 10, 100, 0.5], 163),
    "ABCD": ([1, 10, 100, 1000], 1326),
    "ABCD_lr": ([1, 10, 100, 0.5, 1000], 663),
    "ABCD_lr_D_out": ([1, 10, 100, 0.5, 1000], 1163),
    "ABCD_lr_D_in_and_out": ([1, 10, 100, 0.5, 1000, 5], 668),
    "oja": ([0.5], 0.75),
}


@pytest.mark.parametrize("name", RULES)
def test_rule_by_hand(name: str) -> None:
    coefficients, change = BY_HAND[name]
    assert len(RULES[name].coefficients) == len(coefficients)
    assert RULES[name](2.0, 3.0, 0.5, *coefficients) == change


numbers = st.floats(-2, 2, width=32)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.bilinear])
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_terms_are_the_rule(name: str, data: st.DataObject) -> None:
    rule = RULES[name]
    pre, post, weight, *coefficients = (jnp.float32(data.draw(numbers)) for _ in range(3 + len(rule.coefficients)))
    a, b, c, d = rule.terms(*coefficients)
    direct = rule(pre, post, weight, *coefficients)
    np.testing.assert_allclose(a * pre * post + b * pre + c * post + d, direct, rtol=1e-5, atol=1e-5)


def test_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Unknown rule 'abcd_LR'. Did you mean 'ABCD_lr'\?"):
        load_rule("abcd_LR")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("def rule(pre, post, weight): return pre * post", "takes \\(pre, post, weight\\)"),
        ("def rule(pre, post, weight, *coefficients): return pre", "each a positional parameter"),
        ("def rule(pre, post, weight, A): raise KeyError('lost')", "raised KeyError"),
        ("def rule(pre, post, weight, A): return (A * pre).sum(axis=0)[:2]", "returned shape"),
        ("def rule(pre, post, weight, A): return A / (pre - pre)", "NaN or infinity"),
        ("def rule(pre, post, weight, A): return A if pre.sum() > 0 else -A", "raised Tracer"),
        ("def other(pre, post, weight, A): return A", "Unknown rule in mine.py 'rule'.*other"),
        ("import numpy as np\ndef rule(pre, post, weight, A): return np.tanh(A * pre * post)", "raised TracerArray"),
        ("def rule(pre, post, weight, A): return jnp.tanh(A)", "raised NameError.*'jnp' is not defined"),
        ("def rule(pre, post, weight, A): return 'growth'", "raised TypeError"),
        ("def rule(pre, post, weight, rate=0.1): return pre", "a parameter with a default is a constant"),
        ("def rule(pre, post, weight=0, A=1): return pre", "a parameter with a default is a constant"),
        ("def rule(pre, post, weight, *, A): return pre", "each a positional parameter"),
        ("import random\ndef rule(pre, post, weight, A): return random.random() * A", "may depend on nothing else"),
        (
            "import jax\ndef rule(pre, post, weight, A): return jax.pure_callback(abs, A, A)",
            "raised NotImplementedError",
        ),
        ("rule = max", "does not tell its parameters"),
        ("rule = 3", "Unknown rule in mine.py"),
        ("def rule(:", "raised SyntaxError"),
    ],
)
def test_a_bad_rule_is_told_why(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UsageError, match=complaint):
        load_rule("mine.py:rule", tmp_path)


@pytest.mark.parametrize("name", ["short", "partial", "wrapped"])
def test_a_rule_is_known_by_its_name_in_the_file(tmp_path: Path, name: str) -> None:
    """Its function may have another: the name is what workers and later runs look for."""
    (tmp_path / "mine.py").write_text(
        "import functools\n"
        "short = lambda pre, post, weight, A: A * pre\n"
        "def scaled(by, pre, post, weight, A): return by * A * pre\n"
        "partial = functools.partial(scaled, 2.0)\n"
        "def decorated(function):\n"
        "    def inner(pre, post, weight, A): return function(pre, post, weight, A)\n"
        "    return inner\n"
        "@decorated\n"
        "def wrapped(pre, post, weight, A): return 3 * A * pre\n"
    )
    rule = f"{tmp_path}/mine.py:{name}"
    configuration, _, network = configure("gymnasium:CartPole-v1", rule=rule)
    assert configuration.rule == rule
    again = load_rule(configuration.rule)
    assert again.coefficients == ("A",)
    assert network.rule is not None
    change = {"short": 10, "partial": 20, "wrapped": 30}[name]
    assert again(2.0, 1.0, 1.0, 5.0) == network.rule(2.0, 1.0, 1.0, 5.0) == change


def test_a_parameter_with_a_default_is_a_constant(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def positional(pre, post, weight, A, rate=0.5): return rate * A * pre\n"
        "def keyword(pre, post, weight, A, *, rate=0.5): return rate * A * pre\n"
    )
    for name in ("positional", "keyword"):
        rule = load_rule(f"mine.py:{name}", tmp_path)
        assert rule.coefficients == ("A",)
        assert rule(2.0, 1.0, 1.0, 5.0) == 5


def test_a_rule_may_reduce_over_neurons() -> None:
    """pre = 1, 3; post = 1, 2, 6; weights 1; A = 1, B = 2: 0.1·(oi·(oj − 3) + 2·oi·6 − 2)."""
    rule = load_rule(COMPETING)
    pre, post, ones = jnp.array([[1.0], [3.0]]), jnp.array([[1.0, 2.0, 6.0]]), jnp.ones((2, 3))
    np.testing.assert_allclose(rule(pre, post, ones, ones, 2 * ones), [[0.8, 0.9, 1.3], [2.8, 3.1, 4.3]], rtol=1e-6)


def test_a_rule_without_its_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        load_rule("mine.py:rule", tmp_path)
    with pytest.raises(UsageError, match="not of the form"):
        load_rule("mine.txt:rule", tmp_path)


GAIN = 0.25


def of_this_module(pre: jax.Array, post: jax.Array, weight: jax.Array, A: jax.Array) -> jax.Array:
    """tanh(A·oi·oj)/4"""
    return GAIN * jnp.tanh(A * pre * post)


def test_a_function_is_written_with_what_it_uses(tmp_path: Path) -> None:
    rule = load_rule(write_rule(of_this_module, tmp_path))
    assert rule.formula == "tanh(A·oi·oj)/4"
    np.testing.assert_allclose(rule(1.0, 0.5, 0.0, 2.0), 0.25 * np.tanh(1.0), rtol=1e-6)


SLOPE = np.sqrt(np.float64(2))
maximum = object()
"""Named as what a rule below uses of JAX; it is not what the rule uses."""


def of_inner_functions(pre: jax.Array, post: jax.Array, weight: jax.Array, A: jax.Array) -> jax.Array:
    return sum(part(A) for part in (lambda a: jnp.maximum(a, SLOPE), jnp.tanh)) * pre * post


def test_what_a_functions_inner_functions_use_is_written_too(tmp_path: Path) -> None:
    name = write_rule(of_inner_functions, tmp_path)
    text = (tmp_path / "of_inner_functions.py").read_text()
    assert "import jax.numpy as jnp\n" in text
    assert f"SLOPE = {2**0.5}\n" in text
    np.testing.assert_allclose(load_rule(name)(1.0, 2.0, 0.0, 1.0), 2 * (2**0.5 + np.tanh(1.0)), rtol=1e-6)


def test_a_function_within_a_function_takes_its_numbers_along(tmp_path: Path) -> None:
    steepness, signed = 3, True

    def local(pre: jax.Array, post: jax.Array, weight: jax.Array, A: jax.Array) -> jax.Array:
        return steepness * A * pre if signed else A

    rule = load_rule(write_rule(local, tmp_path))
    assert rule(2.0, 1.0, 1.0, 5.0) == 30
    assert rule.digest == hashlib.sha256((tmp_path / "local.py").read_bytes()).hexdigest()


def test_a_functions_defaults_are_written_as_numbers(tmp_path: Path) -> None:
    steepness = 3

    def local(
        pre: jax.Array, post: jax.Array, weight: jax.Array, A: jax.Array, η: float = GAIN, by: float = 2, *,
        power: int = steepness * (
            1 + 1
        ), limit: float = float("inf"),  # of the change
    ) -> jax.Array:  # fmt: skip
        """η·A·oiᵖ"""
        return jnp.minimum(η * by * A * pre**power, limit)

    rule = load_rule(write_rule(local, tmp_path))
    assert "η: float = 0.25, by: float = 2, *," in (tmp_path / "local.py").read_text()
    assert rule.coefficients == ("A",)
    assert rule(2.0, 1.0, 1.0, 5.0) == 0.25 * 2 * 5 * 64


def test_a_function_that_cannot_stand_alone(tmp_path: Path) -> None:
    table = {"a": 1.0}

    def closed_over(pre, post, weight, A):  # type: ignore[no-untyped-def]
        return table["a"] * A * pre * post

    with pytest.raises(UsageError, match="uses 'table'"):
        write_rule(closed_over, tmp_path)

    def with_a_table(pre, post, weight, A, steps=table):  # type: ignore[no-untyped-def]
        return A * pre * post

    with pytest.raises(UsageError, match="a default for 'steps' that is no number"):
        write_rule(with_a_table, tmp_path)
    with pytest.raises(UsageError, match="made with def"):
        write_rule(lambda pre, post, weight, A: A, tmp_path)
