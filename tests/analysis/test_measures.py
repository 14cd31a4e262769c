"""Measures of lives against values that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from metahebb.analysis.intervals import bootstrap_interval, runs_interval
from metahebb.analysis.measures import Response, Time, Times, competence, moving_reward, reached, response


def test_moving_reward_is_what_is_earned_from_a_step_on() -> None:
    np.testing.assert_allclose(moving_reward([1, 2, 3, 6], 2), [1.5, 2.5, 4.5])
    assert moving_reward([1, 2], 3).shape == (0,)
    np.testing.assert_allclose(moving_reward([1, 2, 3], 3), [2])


@pytest.mark.parametrize(
    ("rewards", "time"),
    [
        ([1] * 8, Time(0)),
        # The windows of two steps from step 3 on earn 1, and so does the rest of the life; that of step 2 earns 0.5.
        ([0, 0, 0, 1, 1, 1, 1, 1], Time(3)),
        # The window of step 2 earns 0.8; the rest from there on earns 4.6 / 5 = 0.92, and 80% of it is 0.736.
        ([0, 0, 0.6, 1, 1, 1, 1], Time(2)),
        # It falls for two steps: only the windows behind them stay.
        ([1, 1, 1, 1, 0.2, 0.2, 1, 1, 1], Time(6)),
        # It earns ever less: at the last window what is left of the life is that window.
        ([4, 3, 2, 1, 0.1, 0.1], Time(4)),
        # Nothing is earned in the end.
        ([1, 1, 1, 0, 0, -1, -1], Time(7, censored=True)),
        # It is over before a window is.
        ([1], Time(1, censored=True)),
        ([], Time(0, censored=True)),
    ],
)
def test_time_to_competence(rewards: list[float], time: Time) -> None:
    assert competence(rewards, window=2) == time


@pytest.mark.parametrize(
    ("rewards", "time"),
    [
        ([0, 0, 0, 1, 1, 1, 1, 1], Time(3)),
        # Other than competence it is not put off by what comes later: the first window earns 1, the rest 7.4 / 9.
        ([1, 1, 1, 1, 0.2, 0.2, 1, 1, 1], Time(0)),
        # The window of step 1 earns 0.5, the rest 4.5 / 6 = 0.75; that of step 2 0.75, the rest 4.5 / 5.
        ([0, 0, 1, 0.5, 1, 1, 1], Time(2)),
        ([0, 0, -1, -1], Time(4, censored=True)),
        ([1], Time(1, censored=True)),
    ],
)
def test_time_to_its_level(rewards: list[float], time: Time) -> None:
    assert reached(rewards, window=2) == time


def flat(*parts: tuple[int, float]) -> np.ndarray:
    """Rewards: so many steps of so much, one part after the other."""
    return np.concatenate([np.full(steps, reward) for steps, reward in parts])


def test_a_strike_that_is_not_felt() -> None:
    assert response(flat((400, 2.0)), 200) == Response(0, Time(0))
    # A dip of 5 steps of 50 loses a tenth.
    felt = response(flat((200, 1.0), (5, 0.0), (195, 1.0)), 200)
    assert felt is not None
    assert felt.depth == pytest.approx(0.1)
    assert felt.recovery == Time(0)


def test_depth_and_recovery_of_a_fall() -> None:
    # 60 steps at 0. The window of 50 that begins at step 20 of them has 40 at 0 and 10 at 1: 0.2. That of step 50 has
    # 10 at 0 and 40 at 1, 0.8: it is back.
    struck = response(flat((200, 1.0), (60, 0.0), (140, 1.0)), 200)
    assert struck == Response(1, Time(50))
    # 20 at −1: the first window earns (30 − 20) / 50 = 0.2; back where 5 at −1 are left: (45 − 5) / 50 = 0.8, step 15.
    struck = response(flat((200, 1.0), (20, -1.0), (180, 1.0)), 200)
    assert struck is not None
    assert struck.depth == pytest.approx(0.8)
    assert struck.recovery == Time(15)
    # The level is what the last 100 steps before earned, 0.5: half of that is lost and does not come back.
    struck = response(flat((100, 9.0), (100, 0.5), (150, 0.25)), 200)
    assert struck == Response(0.5, Time(150, censored=True))


def test_the_worst_is_that_of_the_fall_and_not_of_what_comes_long_after() -> None:
    struck = response(flat((200, 1.0), (30, 0.5), (200, 1.0), (100, -1.0)), 200)
    assert struck is not None
    # 30 of 50 steps at a half: 0.7; back where 20 of them are left: 0.8.
    assert struck.depth == pytest.approx(0.3)
    assert struck.recovery == Time(10)
    # What begins more than 100 steps after the strike is not its doing.
    assert response(flat((200, 1.0), (150, 1.0), (100, -1.0)), 200) == Response(0, Time(0))
    # But a fall may begin later than at once.
    struck = response(flat((200, 1.0), (80, 1.0), (50, 0.0), (100, 1.0)), 200)
    assert struck == Response(1, Time(120))


def test_lives_of_which_a_strike_can_tell_nothing() -> None:
    assert response(flat((200, 1.0)), 200) is None
    assert response(flat((100, -1.0), (200, 1.0)), 100) is None
    assert response(flat((100, 1.0)), 0) is None
    # Ten steps are too few to come back in, so it is censored and not dropped.
    assert response(flat((200, 1.0), (10, -1.0)), 200) == Response(2, Time(10, censored=True))


@pytest.mark.parametrize(
    ("times", "median"),
    [
        ([Time(3), Time(1), Time(2)], 2),
        ([Time(1), Time(2), Time(3), Time(4)], 2),
        # 3/4 after 1; 2 is censored; 3/4 · 1/2 after 3: with the censored life dropped it would be 2/3 · 1/2.
        ([Time(1), Time(2, True), Time(3), Time(9)], 3),
        # 4/5 after 1, two are censored, 4/5 · 1/2 after 5. A median that took censored times for times would be 3.
        ([Time(1), Time(2, True), Time(3, True), Time(5), Time(7)], 5),
        # It happened in two of five: nobody knows when a half would have been reached.
        ([Time(1), Time(2), Time(9, True), Time(9, True), Time(9, True)], None),
        # Two of four is a half.
        ([Time(1), Time(2), Time(9, True), Time(9, True)], 2),
        # At the same step what happens comes before what is cut off.
        ([Time(2, True), Time(2)], 2),
        ([], None),
    ],
)
def test_the_median_of_times_takes_censored_ones_for_what_they_are(times: list[Time], median: int | None) -> None:
    assert Times.of(times).median == median


def test_times_as_text() -> None:
    assert str(Times.of([Time(3), Time(5)])) == "3"
    assert str(Times.of([Time(3), Time(5, True)])) == "3 (1 of 2 never)"
    assert str(Times.of([Time(5, True)])) == "– (1 of 1 never)"


def test_the_bootstrap_interval_covers_the_mean_as_often_as_it_says() -> None:
    draw = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        interval = bootstrap_interval(draw.normal(2.0, 3.0, 60))
        covered += interval.low <= 2 <= interval.high
    assert 180 <= covered <= 199


def test_the_bootstrap_interval_of_many_values_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(0, 10, 2000)
    interval = bootstrap_interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.04)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.04)
    assert interval == bootstrap_interval(values)


def test_the_interval_of_few_values() -> None:
    assert bootstrap_interval(np.array([3.0])) == (3, 3, 3)
    assert str(bootstrap_interval(np.array([-3.0, -3.0]))) == "−3.0 [−3.0, −3.0]"


def test_the_interval_over_runs_covers_the_difference_of_two_kinds_of_runs() -> None:
    """Where runs differ far more than lives, and half of what differs between lives is the same for all runs."""
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        lives = draw.normal(0, 30, 50)
        first, second = (
            level + draw.normal(0, 40, (8, 1)) + lives + draw.normal(0, 30, (8, 50)) for level in (100, 70)
        )
        interval = runs_interval(first, second)
        assert interval.mean == pytest.approx(first.mean() - second.mean())
        covered += interval.low <= 30 <= interval.high
    # Percentiles of resamples of eight runs are a little narrow: by theory 91 of 100.
    assert 82 <= covered <= 98


def test_the_interval_of_two_single_runs_is_that_of_their_paired_lives() -> None:
    draw = np.random.default_rng(1)
    first, second = draw.normal(3.0, 5.0, (2, 1, 100))
    paired = bootstrap_interval((first - second)[0])
    over_runs = runs_interval(first, second)
    assert over_runs == pytest.approx(paired, abs=0.05)
