"""Pictures of what environments render."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from metahebb.worlds.gymnasium.faults import FaultError
from metahebb.worlds.gymnasium.pictures import as_picture

COLOURED = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
GREY = COLOURED[..., 0]


@pytest.mark.parametrize(
    ("rendered", "picture"),
    [
        (COLOURED, COLOURED),
        (COLOURED.astype(np.int64), COLOURED),
        (COLOURED / 255, COLOURED),
        (COLOURED.astype(np.float32), COLOURED),
        (np.concatenate([COLOURED, COLOURED[..., :1]], axis=2), COLOURED),
        (GREY, GREY[..., None].repeat(3, axis=2)),
        (GREY[..., None], GREY[..., None].repeat(3, axis=2)),
        (GREY > 99, 255 * (GREY > 99)[..., None].repeat(3, axis=2)),
        (np.array([[np.nan, 0.5]]), np.array([[3 * [0], 3 * [128]]])),
    ],
    ids=["colours", "whole numbers", "floats to 1", "floats to 255", "RGBA", "grey", "grey, an axis", "bools", "NaN"],
)
def test_pictures(rendered: np.ndarray, picture: np.ndarray) -> None:
    made = as_picture(rendered)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, picture)


@pytest.mark.parametrize(
    ("rendered", "says"),
    [
        (None, "NoneType"),
        ([COLOURED], "list"),
        ("a picture", "str"),
        (np.zeros((5, 4, 2), np.uint8), r"\(5, 4, 2\)"),
        (np.zeros((2, 5, 4, 3), np.uint8), r"\(2, 5, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.zeros(3), r"\(3,\)"),
    ],
)
def test_what_is_no_picture(rendered: Any, says: str) -> None:
    with pytest.raises(FaultError, match=rf"rendered .*{says}.* where Gymnasium asks for a picture"):
        as_picture(rendered)
