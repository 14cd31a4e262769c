import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahebb.worlds.quadruped import (
    FRONT_LEFT_DAMAGED,
    FRONT_RIGHT_DAMAGED,
    LEGS,
    MORPHOLOGIES,
    STANDARD,
    Leg,
    Morphology,
    parse_morphology,
)
from metahebb.worlds.quadruped.morphology import FACTOR_RANGE
from metahebb.worlds.quadruped.robot import DIRECTIONS, leg_parts

factors = st.floats(*FACTOR_RANGE)
legs = st.builds(Leg, factors, factors)
morphologies = st.builds(Morphology, legs, legs, legs, legs)


@given(morphologies)
def test_the_text_of_a_body_reads_back_as_the_same_body(morphology):
    assert parse_morphology(str(morphology)) == morphology


def test_bodies_have_names():
    assert MORPHOLOGIES.keys() == {"standard", "front-right-damaged", "front-left-damaged"}
    for name, morphology in MORPHOLOGIES.items():
        assert str(morphology) == name
        assert parse_morphology(f" {name} ") == morphology


def test_legs_that_are_not_given_keep_their_standard_length():
    assert parse_morphology("front-left=1.0,0.5 back-right=0.8,1.0") == Morphology(
        front_left=Leg(1.0, 0.5), back_right=Leg(0.8, 1.0)
    )
    assert parse_morphology("front-right=1,0.25") == FRONT_RIGHT_DAMAGED


def test_legs_are_named_by_where_they_are_seen_along_x():
    for name, (x, y) in zip(LEGS, DIRECTIONS, strict=True):
        assert name == ("front" if x > 0 else "back") + ("-left" if y > 0 else "-right")


def test_the_damage_is_the_papers():
    ends = {
        morphology: [leg_parts(morphology, leg).lower_end for leg in range(4)] for morphology in MORPHOLOGIES.values()
    }
    assert ends[STANDARD][0] == (0.4, 0.4, 0.0)
    assert ends[STANDARD][3] == (0.4, -0.4, 0.0)
    assert ends[FRONT_LEFT_DAMAGED] == [(0.1, 0.1, 0.0), *ends[STANDARD][1:]]
    assert ends[FRONT_RIGHT_DAMAGED] == [*ends[STANDARD][:3], (0.1, -0.1, 0.0)]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "There is no body named '': name one of standard, front-right-damaged, front-left-damaged"),
        ("three-legged", "There is no body named 'three-legged': name one of standard"),
        ("middle-left=1,1", "There is no leg named 'middle-left': the legs are front-left, back-left"),
        ("front-left=1,1 front-left=1,1", "The leg front-left is given twice"),
        ("front-left=1", "'front-left=1' does not describe a leg"),
        ("front-left=1,1,1", "'front-left=1,1,1' does not describe a leg"),
        ("front-left=1,long", "'front-left=1,long' does not describe a leg"),
        ("front-left=1,0", "The lower segment of the front-left leg cannot have the factor 0: factors lie"),
        ("front-left=-1,1", "The upper segment of the front-left leg cannot have the factor -1"),
        ("back-right=nan,1", "cannot have the factor nan"),
        ("back-right=1,inf", "cannot have the factor inf"),
        ("back-left=1,1e6", "cannot have the factor 1e.06: factors lie between 0.1 and 4"),
    ],
)
def test_bad_bodies_are_answered_with_what_was_given_and_what_would_do(text, answer):
    with pytest.raises(ValueError, match=answer) as raised:
        parse_morphology(text)
    assert str(raised.value).count("\n") == 0


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf, 1e9])
def test_a_body_cannot_be_built_with_an_impossible_factor(factor):
    with pytest.raises(ValueError, match="factors lie between"):
        Morphology(back_left=Leg(1.0, factor))
