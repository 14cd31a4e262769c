"""Actions against their formulas, and within the spaces that they are for."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from metahebb.errors import UsageError
from metahebb.readouts import BoxReadout, DiscreteReadout, StepsReadout, readout_for

OUTPUTS = np.array([[0.0, 0.5, -1.5], [40.0, -40.0, 3.0]], np.float32)


def test_a_bounded_action_follows_its_formula_in_each_dimension() -> None:
    space = spaces.Box(np.array([-1, 0, 10], np.float32), np.array([1, 0.5, 30], np.float32))
    readout = readout_for(space)
    assert readout.outputs == 3
    actions = readout(jnp.asarray(OUTPUTS))
    expected = space.low + (space.high - space.low) * (np.tanh(OUTPUTS.astype(np.float64)) + 1) / 2
    np.testing.assert_allclose(actions, expected, rtol=1e-5)
    assert actions.dtype == np.float32
    np.testing.assert_array_equal(actions[1, :2], [1, 0])


def test_an_unbounded_action_is_the_output_and_half_a_bound_is_kept() -> None:
    low, high = np.array([-np.inf, 0.0, -np.inf]), np.array([np.inf, np.inf, -1.0])
    actions = readout_for(spaces.Box(low, high, dtype=np.float64))(jnp.asarray(OUTPUTS))
    np.testing.assert_array_equal(actions, [[0, 0.5, -1.5], [40, 0, -1]])


def test_a_range_that_float32_cannot_hold_is_none() -> None:
    largest = np.finfo(np.float32).max
    actions = readout_for(spaces.Box(-largest, largest, (3,)))(jnp.asarray(OUTPUTS))
    np.testing.assert_array_equal(actions, OUTPUTS)


# XLA's arithmetic takes subnormal numbers for 0.
bounds = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@settings(max_examples=200, deadline=None)
@given(bounds, bounds, st.lists(st.floats(-100, 100, width=32), min_size=4, max_size=4))
def test_the_space_contains_every_action(one: float, other: float, outputs: list[float]) -> None:
    space = spaces.Box(np.float32(min(one, other)), np.float32(max(one, other)), (4,))
    (action,) = np.asarray(readout_for(space)(jnp.asarray([outputs], jnp.float32)))
    assert space.contains(action)


def test_rounding_does_not_carry_an_action_past_its_bound() -> None:
    # −0.31554186 + (0.09626909 − −0.31554186) is one unit in the last place above the upper bound.
    space = spaces.Box(np.float32(-0.31554186), np.float32(0.09626909), (1,))
    assert space.low + (space.high - space.low) > space.high
    assert readout_for(space)(jnp.full((1, 1), 50.0))[0, 0] == space.high[0]


def test_an_action_has_the_shape_of_its_space() -> None:
    readout = readout_for(spaces.Box(-1, 1, (2, 3)))
    outputs = np.arange(12, dtype=np.float32).reshape(2, 6) / 10
    np.testing.assert_allclose(readout(jnp.asarray(outputs)), np.tanh(outputs).reshape(2, 2, 3), atol=1e-6)
    assert readout_for(spaces.Box(-1, 1, ()))(jnp.zeros((5, 1))).shape == (5,)


def test_bounds_that_all_numbers_share_are_kept_once() -> None:
    outputs = np.linspace(-3, 3, 12, dtype=np.float32).reshape(2, 6)
    for low, high, dtype in ((-1.0, 2.0, np.float32), (-1, 2, np.int32)):
        space = spaces.Box(np.full((2, 3), low, dtype), np.full((2, 3), high, dtype), dtype=dtype)
        once = readout_for(space)
        assert isinstance(once, BoxReadout | StepsReadout)
        assert (once.low, once.high, once.outputs) == ((low,), (high,), 6)
        each = dataclasses.replace(once, low=(low,) * 6, high=(high,) * 6)
        np.testing.assert_array_equal(once(jnp.asarray(outputs)), each(jnp.asarray(outputs)))
    assert str(readout_for(spaces.Box(-1, 2, (2,)))) == "2 numbers in [-1, 2]"
    assert str(readout_for(spaces.Box(np.float32([-1, 0]), np.float32([2, 2])))) == "2 numbers"


def test_a_discrete_action_is_the_largest_output() -> None:
    readout = readout_for(spaces.Discrete(3, start=-2))
    actions = readout(jnp.asarray([[0.1, 0.3, 0.2], [5.0, -1.0, 5.0]]))
    # Of equal outputs it is the first.
    np.testing.assert_array_equal(actions, [-1, -2])
    assert actions.dtype == np.int32


def test_equal_spaces_have_equal_readouts() -> None:
    """Compiled code is kept by them."""
    assert readout_for(spaces.Box(-1, 1, (2,))) == BoxReadout((-1.0,), (1.0,), (2,))
    assert hash(readout_for(spaces.Box(-1, 1, (2,)))) == hash(readout_for(spaces.Box(-1, 1, (2,))))
    assert readout_for(spaces.Discrete(2)) == DiscreteReadout(2) != readout_for(spaces.Discrete(2, start=1))


def test_readouts_say_what_they_make() -> None:
    assert str(readout_for(spaces.Box(-2, 2, (1,)))) == "1 number in [-2, 2]"
    assert str(readout_for(spaces.Box(np.array([-2, 0]), np.array([2, 1]), dtype=np.float64))) == "2 numbers"
    assert str(readout_for(spaces.Discrete(4))) == "one of 4"


def test_several_choices_are_the_largest_of_each_one_s_outputs() -> None:
    readout = readout_for(spaces.MultiDiscrete([2, 3], start=[0, 5]))
    assert readout.outputs == 5
    actions = readout(jnp.asarray([[0.1, 0.3, 9.0, -1.0, 9.5], [4.0, 3.0, 1.0, 2.0, 1.0]]))
    np.testing.assert_array_equal(actions, [[1, 7], [0, 6]])
    assert readout_for(spaces.MultiDiscrete([[2, 3], [4, 5]]))(jnp.zeros((7, 14))).shape == (7, 2, 2)


def test_switches_are_on_where_their_output_is_above_0() -> None:
    readout = readout_for(spaces.MultiBinary((2, 2)))
    actions = readout(jnp.asarray([[0.1, -0.3, 0.0, 9.0]]))
    np.testing.assert_array_equal(actions, [[[1, 0], [0, 1]]])
    assert actions.dtype == np.int8


def test_whole_numbers_are_equal_parts_of_tanh() -> None:
    readout = readout_for(spaces.Box(np.array([-1, 0, 7]), np.array([1, 1, 7]), dtype=np.int32))
    # tanh below −1/3, between and above; below 0 and above; the only one.
    outputs = np.arctanh(np.float32([[-0.4, -0.1, 0.9], [-0.3, 0.1, -0.9], [0.4, 0.99, 0.0]]))
    np.testing.assert_array_equal(readout(jnp.asarray(outputs)), [[-1, 0, 7], [0, 1, 7], [1, 1, 7]])
    np.testing.assert_array_equal(readout(jnp.asarray([[99.0, -99.0, 99.0]])), [[1, 0, 7]])


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 1, (2, 0)),
        spaces.Box(-(2**62), 2**62, (2,), np.int64),
        spaces.Text(3),
        spaces.Tuple([spaces.Discrete(2), spaces.Discrete(3)]),
        spaces.Dict(a=spaces.Discrete(2)),
    ],
    ids=str,
)
def test_other_spaces_are_not_supported(space: spaces.Space[object]) -> None:
    with pytest.raises(UsageError, match=r"is not supported; accepted are Box .*MultiBinary.*TransformAction"):
        readout_for(space)
