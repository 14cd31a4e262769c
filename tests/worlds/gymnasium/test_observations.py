"""What networks see of every kind of observation, and what is said of one that its space does not allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from metahebb.encoders import ImageEncoder, OneHotEncoder, VectorEncoder, encoder_for
from metahebb.errors import UsageError
from metahebb.worlds.gymnasium import reader_for, stacked
from metahebb.worlds.gymnasium.faults import FaultError

BYTES = np.uint8


@pytest.mark.parametrize(
    ("space", "encoder"),
    [
        (spaces.Box(-1, 1, (28,)), VectorEncoder(28)),
        (spaces.Box(-1, 1, ()), VectorEncoder(1)),
        (spaces.Box(-np.inf, np.inf, (5, 5)), VectorEncoder(25)),
        (spaces.Box(0, 255, (128,), BYTES), VectorEncoder(128)),
        (spaces.Discrete(5, start=-2), OneHotEncoder(5, start=-2)),
        (spaces.MultiBinary((2, 3)), VectorEncoder(6)),
        (spaces.MultiDiscrete([2, 3]), VectorEncoder(5)),
        (spaces.Box(0, 255, (96, 96, 3), BYTES), ImageEncoder(96, 96, 3)),
        (spaces.Box(0, 255, (210, 160), BYTES), ImageEncoder(210, 160, 1)),
        (spaces.Box(0, 255, (7, 7, 3), BYTES), ImageEncoder(7, 7, 3)),
        # Channels first: AtariPreprocessing with FrameStackObservation, PyTorch's order, highway-env's grey stack.
        (spaces.Box(0, 255, (4, 84, 84), BYTES), ImageEncoder(84, 84, 4)),
        (spaces.Box(0, 255, (3, 210, 160), BYTES), ImageEncoder(210, 160, 3)),
        (spaces.Box(0, 255, (4, 128, 64), BYTES), ImageEncoder(128, 64, 4)),
        (spaces.Box(0, 255, (12, 96, 96), BYTES), ImageEncoder(96, 96, 12)),
        # Stacks of coloured images.
        (spaces.Box(0, 255, (4, 96, 96, 3), BYTES), ImageEncoder(96, 96, 12)),
        (spaces.Box(0, 255, (4, 3, 96, 96), BYTES), ImageEncoder(96, 96, 12)),
        # Floats.
        (spaces.Box(0, 1, (96, 96, 3)), ImageEncoder(96, 96, 3, 1.0)),
        (spaces.Box(-1, 1, (3, 96, 96), np.float64), ImageEncoder(96, 96, 3, 1.0)),
        (spaces.Box(0, 255, (96, 96, 3)), ImageEncoder(96, 96, 3)),
        (spaces.Box(0, 1, (84, 84)), ImageEncoder(84, 84, 1, 1.0)),
        # Floats that are no image: a board, and what says nothing of brightness.
        (spaces.Box(0, 1, (10, 10, 4)), VectorEncoder(400)),
        (spaces.Box(-np.inf, np.inf, (40, 40, 3)), VectorEncoder(4800)),
    ],
    ids=str,
)
def test_how_a_space_is_seen(space: spaces.Space[Any], encoder: object) -> None:
    reader = reader_for(space)
    assert encoder_for(reader.space) == encoder
    space.seed(0)
    seen = np.asarray(reader(space.sample()))
    assert seen.shape == reader.space.shape


def test_nobody_is_left_alone_with_a_picture_as_numbers() -> None:
    (remark,) = reader_for(spaces.Box(-np.inf, np.inf, (96, 96, 3))).remarks
    assert "27,648 numbers" in remark
    assert reader_for(spaces.Box(0, 1, (96, 96, 3))).remarks == ()


@pytest.mark.parametrize("shape", [(7, 7, 7), (4, 84, 4), (1, 84, 3), (8, 8, 12)], ids=str)
def test_channels_that_could_be_two_axes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"which of its axes are the channels.*\(height, width, channels\)"):
        reader_for(spaces.Box(0, 255, shape, BYTES))


def test_channels_first_and_last_are_the_same_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 80, 3), BYTES)
    first = reader_for(spaces.Box(0, 255, (3, 96, 80), BYTES))
    np.testing.assert_array_equal(first(image.transpose(2, 0, 1)), image)
    # The oldest of stacked images is the first, its channels side by side.
    frames = np.random.default_rng(1).integers(0, 256, (2, 96, 80, 3), BYTES)
    expected = np.concatenate([frames[0], frames[1]], axis=-1)
    np.testing.assert_array_equal(reader_for(spaces.Box(0, 255, (2, 96, 80, 3), BYTES))(frames), expected)
    turned = reader_for(spaces.Box(0, 255, (2, 3, 96, 80), BYTES))
    np.testing.assert_array_equal(turned(frames.transpose(0, 3, 1, 2)), expected)


def test_an_image_of_floats_is_seen_as_its_bytes_are() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), BYTES)
    of_bytes, of_floats = (
        encoder_for(reader_for(space).space)
        for space in (spaces.Box(0, 255, (96, 96, 3), BYTES), spaces.Box(0, 1, (96, 96, 3)))
    )
    generator = np.random.default_rng(1)
    filters: Any = {
        name: generator.standard_normal((1, *shape), np.float32) / 10 for name, shape in of_bytes.filters.items()
    }
    expected: Any = of_bytes(filters, image)  # type: ignore[arg-type]
    assert np.ptp(expected) > 0.1
    seen = of_floats(filters, (image / 255).astype(np.float32))  # type: ignore[arg-type]
    np.testing.assert_allclose(seen, expected, atol=1e-5)


NESTED = spaces.Dict(
    goal=spaces.Discrete(3, start=5),
    body=spaces.Tuple(
        [spaces.MultiBinary(2), spaces.Box(-1, 1, (2, 2), np.float64), spaces.Dict(d=spaces.MultiDiscrete([2, 3]))]
    ),
)


def test_parts_are_flattened_as_gymnasium_does() -> None:
    reader = reader_for(NESTED)
    NESTED.seed(3)
    for _ in range(20):
        observation = NESTED.sample()
        seen = reader(observation)
        assert seen.dtype == np.float32
        np.testing.assert_array_equal(seen, spaces.flatten(NESTED, observation).astype(np.float32))


def test_text_is_left_out_and_said() -> None:
    # As MiniGrid's.
    space = spaces.Dict(
        direction=spaces.Discrete(4), image=spaces.Box(0, 255, (7, 7, 3), BYTES), mission=spaces.Text(9)
    )
    reader = reader_for(space)
    assert reader.space.shape == (4 + 147,)
    assert reader.remarks == ("The text ['mission'] of its observations is left out: networks see numbers.",)
    seen = reader({"direction": 2, "image": np.full((7, 7, 3), 9, BYTES), "mission": "go"})
    np.testing.assert_array_equal(seen, [0, 0, 1, 0, *147 * [9]])


def test_a_part_that_is_left_alone_is_what_it_is() -> None:
    image = spaces.Box(0, 255, (64, 64, 3), BYTES)
    assert encoder_for(reader_for(spaces.Dict(image=image, mission=spaces.Text(9))).space) == ImageEncoder(64, 64, 3)
    assert encoder_for(reader_for(spaces.Tuple([spaces.Discrete(3)])).space) == OneHotEncoder(3)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        (spaces.Text(4), "TransformObservation"),
        (spaces.Dict(a=spaces.Text(4)), "nothing but text"),
        (spaces.Graph(spaces.Discrete(2), None), "TransformObservation"),
        (spaces.Sequence(spaces.Discrete(2)), "TransformObservation"),
        (spaces.Dict(a=spaces.Graph(spaces.Discrete(2), None), b=spaces.Discrete(2)), "TransformObservation"),
        (spaces.Dict(image=spaces.Box(0, 255, (64, 64, 3), BYTES), speed=spaces.Box(0, 1, (1,))), "FilterObservation"),
        (spaces.Box(-1, 1, (3, 0)), "TransformObservation"),
    ],
    ids=str,
)
def test_other_spaces_are_refused_with_the_wrapper_that_helps(space: spaces.Space[Any], says: str) -> None:
    with pytest.raises(UsageError, match="is not supported") as error:
        reader_for(space)
    assert says in str(error.value)


def test_whole_numbers_are_float32_and_do_not_wrap() -> None:
    reader = reader_for(spaces.Box(-(2**62), 2**62, (2,), np.int64))
    assert reader.space.dtype == np.float32
    np.testing.assert_array_equal(np.float32(reader(np.array([2**40, -(2**33)]))), [2.0**40, -(2.0**33)])
    # Fractions in a space of whole numbers stay what they are.
    np.testing.assert_array_equal(reader(np.array([0.25, 0.5])), [0.25, 0.5])


@pytest.mark.parametrize(
    ("space", "observation", "says"),
    [
        (spaces.Box(-1, 1, (3,)), np.float32(0.5), r"shape \(\).*has \(3,\)"),
        (spaces.Box(-1, 1, (3,)), np.zeros((1, 3)), r"shape \(1, 3\).*has \(3,\)"),
        (spaces.Box(-1, 1, ()), None, "None"),
        (spaces.Box(-1, 1, (2,)), [None, 1.0], r"\[None, 1.0\]"),
        (spaces.Box(-1, 1, (2,)), ["a", "b"], "'a'"),
        (spaces.Box(-1, 1, (2,)), [1j, 0], "1j"),
        (spaces.Discrete(4), 9, r"9, which Discrete\(4\) does not contain"),
        (spaces.Discrete(4, start=1), 0, "0, which Discrete"),
        (spaces.Discrete(4), 1.0, "gave 1.0"),
        (spaces.Discrete(4), np.array([1]), r"shape \(1,\)"),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 3]), r"which MultiDiscrete\(\[2 3\]\) does not contain"),
        (spaces.Box(0, 255, (40, 40, 3), BYTES), np.full((40, 40, 3), 0.5), "float64, where its space .* is of bytes"),
        (spaces.Box(0, 255, (40, 40, 3), BYTES), np.full((40, 40, 3), 256), "int64, where its space .* is of bytes"),
        (NESTED, {"goal": 5}, r"without its part \['body'\]"),
        (NESTED, None, "without its part"),
    ],
)
def test_an_observation_that_its_space_does_not_allow(space: spaces.Space[Any], observation: Any, says: str) -> None:
    with pytest.raises(FaultError, match=says):
        reader_for(space)(observation)


def test_bytes_counted_in_other_whole_numbers_are_bytes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3))
    seen = reader_for(spaces.Box(0, 255, (40, 40, 3), BYTES))(image)
    assert seen.dtype == BYTES
    np.testing.assert_array_equal(seen, image)


def test_stacks_of_spaces() -> None:
    assert stacked(spaces.Box(-1, 1, (3,)), 2).shape == (6,)
    image = spaces.Box(0, 255, (84, 84, 3), BYTES)
    assert stacked(image, 1) is image
    assert stacked(image, 4) == spaces.Box(0, 255, (84, 84, 12), BYTES)
    with pytest.raises(UsageError, match="--frame-stack"):
        stacked(spaces.Discrete(3), 2)
