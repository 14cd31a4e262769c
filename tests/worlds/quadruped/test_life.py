import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metahebb.worlds.quadruped import LIFE_ACTIONS, LIFE_STEPS, SETTLING_STEPS, begin_lives, follow_lives


def actions_of(progress, ended):
    """How many actions a life takes, as a plain loop over the sequences."""
    backward = 0
    for number, (gain, end) in enumerate(zip(progress, ended, strict=True), start=1):
        if math.isnan(gain):
            return number
        if number >= 202:
            backward = backward + 1 if gain < 0 else 0
            if end or backward > 30:
                return number
    return len(progress)


def lived(progress, ended):
    """The same by the rule under test, for sequences [960, n]."""
    lives = begin_lives(progress.shape[1])
    taken = np.zeros(progress.shape[1], int)
    alive = np.ones(progress.shape[1], bool)
    for gain, end in zip(progress, ended, strict=True):
        lives, over = follow_lives(lives, gain, end)
        taken += alive
        alive &= ~over
    assert not alive.any()
    return taken


# A life is told in stretches: how many actions, the progress of each, and whether the world would end it.
stretches = st.lists(
    st.tuples(st.integers(1, 240), st.sampled_from([1.0, -1.0, 0.0, -1.0, math.nan]), st.sampled_from([0, 0, 0, 1])),
    min_size=1,
    max_size=12,
)


@given(st.lists(stretches, min_size=1, max_size=5))
def test_a_life_is_as_long_as_the_published_rule_says(told):
    progress = np.ones((960, len(told)))
    ended = np.zeros((960, len(told)), bool)
    for life, parts in enumerate(told):
        start = 0
        for length, gain, end in parts:
            progress[start : start + length, life] = gain
            ended[start : start + length, life] = end
            start += length
    expected = [actions_of(progress[:, life], ended[:, life]) for life in range(len(told))]
    assert lived(progress, ended).tolist() == expected


def test_the_numbers_of_the_rule():
    forward, backward = np.ones((960, 1)), -np.ones((960, 1))
    never, always = np.zeros((960, 1), bool), np.ones((960, 1), bool)
    assert (LIFE_STEPS, SETTLING_STEPS, LIFE_ACTIONS) == (1000, 40, 960)
    assert lived(forward, never) == 960
    assert lived(forward, always) == 202
    assert lived(backward, never) == 201 + 31
    backward[201 + 30] = 0.0  # the 31st judged action is not negative
    assert lived(backward, never) == 201 + 31 + 31
