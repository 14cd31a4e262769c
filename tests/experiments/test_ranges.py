"""Ranges in texts."""

from __future__ import annotations

import itertools

import pytest

from metahebb.errors import UsageError
from metahebb.experiments.bodies import kandel, unseen
from metahebb.experiments.ranges import ranged
from metahebb.worlds.quadruped import parse_morphology


def texts(text: str) -> list[str]:
    its = ranged(text, "--perturb")
    return [its.text(chosen) for chosen in itertools.product(*its.values)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("noise-weights:0..1:3@300", ["noise-weights:0@300", "noise-weights:0.5@300", "noise-weights:1@300"]),
        ("zero-weights@100..200:3", ["zero-weights@100", "zero-weights@150", "zero-weights@200"]),
        # Steps are whole.
        ("zero-weights@0..5:3", ["zero-weights@0", "zero-weights@2", "zero-weights@5"]),
        ("zero-weights@500-510..520:2", ["zero-weights@500-510", "zero-weights@500-520"]),
        ("side-force:-1..1:3", ["side-force:-1", "side-force:0", "side-force:1"]),
        ("front-left=1.0,0.25..1.5:6", [f"front-left=1.0,{x}" for x in ("0.25", "0.5", "0.75", "1", "1.25", "1.5")]),
        ("noise-weights:1..2:2:layer=1@3", ["noise-weights:1:layer=1@3", "noise-weights:2:layer=1@3"]),
        (
            "scale-weights:1..2:2@30..40:2",
            ["scale-weights:1@30", "scale-weights:1@40", "scale-weights:2@30", "scale-weights:2@40"],
        ),
        ("../up/my.py:blink@10..12:2", ["../up/my.py:blink@10", "../up/my.py:blink@12"]),
        ("zero-weights@300", ["zero-weights@300"]),
        ("scale-weights:1e-3..3e-3:2@3", ["scale-weights:0.001@3", "scale-weights:0.003@3"]),
    ],
)
def test_a_range_stands_for_its_values(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("noise-weights:0..1@300", "written as FIRST..LAST:COUNT"),
        ("noise-weights:0..:3@300", "written as FIRST..LAST:COUNT"),
        ("noise-weights:0..1:0@300", "has 0 values"),
        ("noise-weights:0..1:5000@300", "has 5000 values"),
        ("noise-weights:0..1e999:3@300", "not finite"),
        ("zero-weights@1..2:3", "no 3 different values"),
    ],
)
def test_what_is_no_range_is_told_of(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        ranged(text, "--perturb")


def test_the_named_bodies_are_bodies() -> None:
    assert [str(parse_morphology(text)) for text in kandel()] == [
        "standard", "front-right-damaged", "front-left-damaged", "back-right=1.0,0.25", "back-left=1.0,0.25",
    ]  # fmt: skip
    bodies = [parse_morphology(text) for text in unseen()]
    assert len({*bodies}) == 30
    factors = [factor for body in bodies for leg in body.legs for factor in leg]
    assert 0.75 <= min(factors) < 0.78
    assert 1.22 < max(factors) <= 1.25
    # The same for everyone, for ever.
    assert unseen()[0] == "front-left=0.90,0.76 back-left=1.06,0.81 back-right=1.21,0.76 front-right=0.77,1.06"
