"""Lives under perturbations, step by step, against the same lives computed in NumPy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from counting import FACTORS, NETWORK, RATE, STEPS, life, lived, recorded, slots_in
from metahebb.lifetimes.slots import Moment

pytestmark = pytest.mark.xdist_group("perturbations")

Weights = list[np.ndarray]
BOTH = pytest.mark.parametrize("kind", ["host", "traced"])


def computed(
    first: Weights,
    sense: Callable[[int, np.ndarray], np.ndarray] = lambda t, x: x,
    weigh: Callable[[int, Weights], Weights] = lambda t, w: w,
    rate: Callable[[int, int], float] = lambda t, layer: 1.0,
    move: Callable[[int, np.ndarray], np.ndarray] = lambda t, a: a,
    wind: Callable[[int], float] = lambda t: 0.0,
) -> list[dict[str, list[float]]]:
    """A life from these weights: what each step saw, its weights, its action and its reward."""
    weights = [w.astype(np.float64) for w in first]
    steps = []
    for t in range(STEPS):
        seen = sense(t, (t + 1) * FACTORS.astype(np.float64))
        weights = weigh(t, weights)
        hidden = seen @ weights[0]
        outputs = hidden @ weights[1]
        action = move(t, outputs)
        steps.append({"seen": [*seen], "weights": [*np.concatenate([w.ravel() for w in weights])], "action": [*action]})
        steps[-1]["reward"] = [action.sum() + wind(t)]
        ends = [(seen, hidden), (hidden, outputs)]
        weights = [
            w + rate(t, i) * RATE * np.outer(pre, post)
            for i, (w, (pre, post)) in enumerate(zip(weights, ends, strict=True))
        ]
    return steps


def compare(moments: list[Moment], expected: list[dict[str, list[float]]]) -> None:
    assert [moment.step for moment in moments] == list(range(STEPS))
    for moment, step in zip(moments, expected, strict=True):
        got = {
            "seen": moment.observation,
            "weights": np.concatenate([w.ravel() for w in moment.weights]),
            "action": moment.action,
            "reward": [moment.reward],
        }
        for name, values in got.items():
            np.testing.assert_allclose(
                values, step[name], rtol=2e-4, atol=1e-5, err_msg=f"{name} of step {moment.step}"
            )


def within(begin: int, end: int = STEPS) -> Callable[[int], bool]:
    return lambda t: begin <= t < end


def when(active: Callable[[int], bool], change: Callable[..., object]) -> Callable[..., object]:
    """``change(value)`` at the steps that are active."""
    return lambda t, value: change(value) if active(t) else value


DETERMINISTIC = {
    # Weights: once, or in each step of a schedule.
    "zero-weights@4": {"weigh": when(within(4, 5), lambda w: [0 * x for x in w])},
    "zero-weights@4-7": {"weigh": when(within(4, 7), lambda w: [0 * x for x in w])},
    "zero-weights:layer=1@4": {"weigh": when(within(4, 5), lambda w: [w[0], 0 * w[1]])},
    "scale-weights:-2@3": {"weigh": when(within(3, 4), lambda w: [-2 * x for x in w])},
    "scale-weights:0.5:layer=0@3-5": {"weigh": when(within(3, 5), lambda w: [0.5 * w[0], w[1]])},
    # What is learned: from then on.
    "freeze@5": {"rate": lambda t, layer: float(t < 5)},
    "freeze": {"rate": lambda t, layer: 0.0},
    "freeze@5-8": {"rate": lambda t, layer: float(not 5 <= t < 8)},
    "freeze:layer=1@2": {"rate": lambda t, layer: float(layer == 0 or t < 2)},
    "scale-learning:3@2-6": {"rate": lambda t, layer: 3.0 if 2 <= t < 6 else 1.0},
    "scale-learning:-1:layer=0@2": {"rate": lambda t, layer: -1.0 if layer == 0 and t >= 2 else 1.0},
    # Sensors.
    "zero-sensors@6": {"sense": when(within(6), lambda x: 0 * x)},
    "zero-sensors:sensor=1@6-8": {"sense": when(within(6, 8), lambda x: x * [1, 0])},
    "freeze-sensors@6": {"sense": lambda t, x: x if t < 6 else 6 * FACTORS},
    "freeze-sensors@0-3": {"sense": lambda t, x: FACTORS if t < 3 else x},
    "freeze-sensors:sensor=0@6-9": {"sense": lambda t, x: np.array([6, x[1]]) if 6 <= t < 9 else x},
    "delay-sensors:3@5": {"sense": lambda t, x: x if t < 5 else (t + 1 - 3) * FACTORS},
    # What was before the life's beginning is its first observation.
    "delay-sensors:3": {"sense": lambda t, x: max(t + 1 - 3, 1) * FACTORS},
    "delay-sensors:1:sensor=1@2-4": {"sense": lambda t, x: np.array([x[0], 10 * t]) if 2 <= t < 4 else x},
    # Actuators.
    "zero-actuators@6": {"move": when(within(6), lambda a: 0 * a)},
    "zero-actuators:actuator=0@6-7": {"move": when(within(6, 7), lambda a: a * [0, 1])},
    "scale-actuators:0.25@6": {"move": when(within(6), lambda a: 0.25 * a)},
    "reverse-actuators@6": {"move": when(within(6), lambda a: -a)},
    "saturate-actuators:0.5@6": {"move": when(within(6), lambda a: np.clip(a, -0.5, 0.5))},
    # The world.
    "wind:2@3-6": {"wind": lambda t: 2.0 if 3 <= t < 6 else 0.0},
    "wind:-2@3": {"wind": lambda t: -2.0 if t >= 3 else 0.0},
}


# Lives of all of them can be lived side by side, and are compiled once.
AMONG = ((), *((text,) for text in DETERMINISTIC))


@BOTH
@pytest.mark.parametrize("text", DETERMINISTIC)
def test_a_kind_does_what_it_says_when_it_says(kind: str, text: str) -> None:
    first = [*recorded(kind)[0].weights]
    compare(recorded(kind, text, among=AMONG), computed(first, **DETERMINISTIC[text]))


@BOTH
def test_an_undisturbed_life(kind: str) -> None:
    moments = recorded(kind)
    compare(moments, computed([*moments[0].weights]))
    compare(recorded(kind, among=AMONG), computed([*moments[0].weights]))


@BOTH
def test_perturbations_act_in_the_order_in_which_they_are_given(kind: str) -> None:
    first = [*recorded(kind)[0].weights]
    doubled = recorded(kind, "scale-actuators:4@2", "saturate-actuators:0.5@2")
    compare(doubled, computed(first, move=lambda t, a: np.clip(4 * a, -0.5, 0.5) if t >= 2 else a))
    halved = recorded(kind, "saturate-actuators:0.5@2", "scale-actuators:4@2")
    compare(halved, computed(first, move=lambda t, a: 4 * np.clip(a, -0.5, 0.5) if t >= 2 else a))
    thawed = recorded(kind, "freeze@2", "thaw@6")
    compare(thawed, computed(first, rate=lambda t, layer: float(not 2 <= t < 6)))
    # Two delays of one and two steps are one of three; what is the same twice is done twice.
    both = ("delay-sensors:1", "delay-sensors:2", "scale-weights:2@3", "scale-weights:3@3-5")
    expected = computed(
        first,
        sense=lambda t, x: max(t + 1 - 3, 1) * FACTORS,
        weigh=lambda t, w: [x * {3: 6, 4: 3}.get(t, 1) for x in w],
    )
    compare(recorded(kind, *both), expected)


def struck(kind: str, text: str, number: int = 0) -> tuple[Weights, Weights]:
    """The weights of step 4 as they would have been, and as they are under ``text``."""
    return [*recorded(kind, number=number)[4].weights], [*recorded(kind, text, number=number)[4].weights]


@BOTH
def test_shuffled_weights_are_the_same_weights_in_other_places(kind: str) -> None:
    before, after = struck(kind, "shuffle-weights@4")
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(np.sort(one.ravel()), np.sort(other.ravel()))
        assert (one != other).any()


@BOTH
def test_resampled_weights_are_new_ones_of_the_initial_distribution(kind: str) -> None:
    before, after = struck(kind, "resample-weights@4")
    first = recorded(kind)[0].weights
    for one, other, born in zip(before, after, first, strict=True):
        assert (np.abs(other) <= 0.1).all()
        assert (other != one).all()
        assert (other != born).all()
    # Where a life begins with ones there is nothing else to draw.
    ones = dataclasses.replace(NETWORK, initial_weights="ones")
    for layer in recorded(kind, "resample-weights@4", network=ones)[4].weights:
        np.testing.assert_array_equal(layer, np.ones_like(layer))


@BOTH
def test_noise_has_its_deviation_and_is_another_for_each_step_life_and_layer(kind: str) -> None:
    wide = dataclasses.replace(NETWORK, hidden=(2000,))
    before = recorded(kind, "freeze", network=wide)
    after = recorded(kind, "freeze", "noise-weights:0.5@4-6", network=wide)
    first = [b - a for a, b in zip(before[4].weights, after[4].weights, strict=True)]
    second = [b - a for a, b in zip(after[4].weights, after[5].weights, strict=True)]
    for noise in (*first, *second):
        assert noise.std() == pytest.approx(0.5, rel=0.05)
        assert noise.mean() == pytest.approx(0, abs=0.03)
    for one, other in ((first[0].ravel(), second[0].ravel()), (first[0].ravel(), first[1].ravel())):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
    other = recorded(kind, "freeze", "noise-weights:0.5@4-6", network=wide, number=1)[4].weights[0]
    unstruck = recorded(kind, "freeze", network=wide, number=1)[4].weights[0]
    assert abs(np.corrcoef((other - unstruck).ravel(), first[0].ravel())[0, 1]) < 0.1


@BOTH
def test_noisy_sensors(kind: str) -> None:
    seen = np.array([moment.observation for moment in recorded(kind, "noise-sensors:0.1@4")])
    noise = seen - np.arange(1, STEPS + 1)[:, None] * FACTORS
    np.testing.assert_allclose(noise[:4], 0, atol=1e-6)
    assert (np.abs(noise[4:]) < 0.5).all()
    assert len({*np.round(noise[4:].ravel(), 4).tolist()}) == 16


@BOTH
def test_a_fraction_is_of_the_same_ones_for_a_life_and_of_others_for_another(kind: str) -> None:
    wide = dataclasses.replace(NETWORK, hidden=(2000,))
    wiped = [recorded(kind, "freeze", "zero-weights:fraction=0.3@2-5", network=wide, number=n) for n in (0, 1)]
    masks = [[moments[t].weights[0] == 0 for t in (2, 4)] for moments in wiped]
    for mask, later in masks:
        assert mask.mean() == pytest.approx(0.3, abs=0.03)
        np.testing.assert_array_equal(mask, later)
    assert (masks[0][0] != masks[1][0]).mean() == pytest.approx(0.42, abs=0.05)
    # What was wiped stays wiped where nothing is learned, and the rest is as it was.
    before = recorded(kind, "freeze", network=wide)[2].weights[0]
    after = wiped[0][2].weights[0]
    np.testing.assert_array_equal(after[~masks[0][0]], before[~masks[0][0]])


DOCUMENTED = Path(__file__).parent.parent.parent / "docs" / "recovery.md"
"""whose ten lines are ``blink``"""
USERS = '''
def prune(key, step, weights, below):
    """Small weights become zero"""
    return jnp.where(jnp.abs(weights) < below, 0.0, weights)


def gust(key, step, wind):
    return wind + 1
'''


@BOTH
def test_a_users_own_perturbations(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(DOCUMENTED.read_text().partition("```python\n")[2].partition("```")[0] + USERS)
    first = [*recorded(kind)[0].weights]
    compare(
        recorded(kind, f"{file}:blink:3@4-10"),
        computed(first, sense=lambda t, x: 0 * x if 4 <= t < 10 and t % 3 == 0 else x),
    )
    # What it takes has a default.
    blinking = recorded(kind, f"{file}:blink")
    compare(blinking, computed(first, sense=lambda t, x: 0 * x if t == 0 else x))
    # What changes weights strikes once, as ours do.
    compare(
        recorded(kind, f"{file}:prune:0.05@3"),
        computed(first, weigh=lambda t, w: [np.where(np.abs(x) < 0.05, 0, x) for x in w] if t == 3 else w),
    )
    # A condition's is changed from what it is.
    compare(
        recorded(kind, "wind:2@3", f"{file}:gust@5"), computed(first, wind=lambda t: 2.0 * (t >= 3) + 1.0 * (t >= 5))
    )


ALONE = [
    ("zero-weights:layer=0@4", "noise-weights:0.1@4-6", "scale-learning:0.5@4", "delay-sensors:2@4"),
    ("shuffle-weights@4", "resample-weights:layer=1@4", "freeze@6", "freeze-sensors@4", "wind:1@5"),
    ("wind:1@4", "noise-weights:0.1@4-6", "noise-sensors:0.1@4", "zero-sensors:fraction=0.5@6", "scale-actuators:2@4"),
]


@BOTH
def test_a_life_is_the_same_to_the_last_bit_whatever_disturbs_those_beside_it(kind: str) -> None:
    """Undisturbed lives and disturbed ones alike, beside all of the others and alone."""
    variants = [(), *ALONE]
    together = lived(
        slots_in(kind, *variants, slots=5),
        # The same number is the same life but for what disturbs it; outcomes are told apart by number.
        [life(number)._replace(key=life(0).key, variant=number) for number in range(len(variants))],
    )
    for number, variant in enumerate(variants):
        (alone,) = lived(slots_in(kind, variant, slots=5), [life(0)]).values()
        assert alone.rewards is not None
        rewards = together[number].rewards
        assert rewards is not None
        assert alone.rewards.tobytes() == rewards.tobytes(), variant
        if variant:
            undisturbed = together[0].rewards
            assert undisturbed is not None
            assert rewards[:4].tobytes() == undisturbed[:4].tobytes(), variant
            assert rewards.tobytes() != undisturbed.tobytes(), variant


@BOTH
def test_a_slots_next_life_is_not_disturbed_by_what_the_last_one_was(kind: str) -> None:
    variants = [(), ("delay-sensors:2", "wind:3@2", "freeze@3")]
    lives = [life(0, 1), life(1, 0), life(2, 1)]
    side_by_side = lived(slots_in(kind, *variants), lives)
    one_after_the_other = lived(slots_in(kind, *variants, slots=1), lives)
    for number in range(len(lives)):
        assert side_by_side[number].fitness == one_after_the_other[number].fitness
