"""What environments observe, as networks see it.

A reader turns an observation into one of three kinds, and raises FaultError for one that its space does not allow:

- a vector, float32, whatever numbers the environment counts in: what is no image, MultiBinary, MultiDiscrete (one-hot),
  and the parts of Dict and Tuple, one after the other in Gymnasium's order (``gymnasium.spaces.flatten``),
- an image [height, width, channels], bytes, or floats where the space is one of bounded floats,
- a whole number, of a Discrete space.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import gymnasium
import numpy as np
from gymnasium import spaces

from metahebb.errors import UsageError
from metahebb.resources import Need, check_memory
from metahebb.worlds.gymnasium.faults import FaultError

__all__ = ["Reader", "reader_for", "stacked"]

STACK = 16
"""channels that come first: four stacked frames of four colours at most"""
SIDE = 32
"""of an image at least, where its space does not say that it is one by bytes alone"""

REMEDY = "gymnasium.wrappers.TransformObservation makes one of another"


class Reader(Protocol):
    """What every reader offers."""

    @property
    def space(self) -> gymnasium.Space[Any]:
        """Of what it returns."""
        ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know of what the network sees."""
        ...

    @property
    def plain(self) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        """The shape and dtype of arrays that need not be read, since they would come out as they are."""
        ...

    def __call__(self, observation: Any) -> Any: ...


@dataclass(frozen=True)
class NumberReader:
    """A Discrete observation."""

    declared: spaces.Discrete
    remarks: tuple[str, ...] = ()
    plain: None = None

    @property
    def space(self) -> spaces.Discrete:
        return spaces.Discrete(int(self.declared.n), start=int(self.declared.start))

    def __call__(self, observation: Any) -> int:
        if not isinstance(observation, int | np.integer):
            observation = _numbers(observation, self.declared, "iu")
        if not 0 <= observation - self.declared.start < self.declared.n:
            raise FaultError(f"gave the observation {observation}, which {self.declared} does not contain.")
        return int(observation)


@dataclass(frozen=True)
class VectorReader:
    """Numbers of any shape, flat."""

    declared: gymnasium.Space[Any]
    remarks: tuple[str, ...] = ()

    @property
    def plain(self) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        shape, dtype = self.declared.shape, self.declared.dtype
        return None if shape is None or dtype is None or len(shape) != 1 else (shape, dtype)

    @property
    def space(self) -> spaces.Box:
        return _vector(int(np.prod(self.declared.shape or ())))

    def __call__(self, observation: Any) -> np.ndarray:
        array = _numbers(observation, self.declared)
        return array if array.ndim == 1 else array.reshape(-1)


@dataclass(frozen=True)
class OneHotReader:
    """A MultiDiscrete observation, or a Discrete one within another: one number of each is 1, the others are 0."""

    declared: spaces.MultiDiscrete | spaces.Discrete
    remarks: tuple[str, ...] = ()
    plain: None = None

    @property
    def space(self) -> spaces.Box:
        return _vector(spaces.flatdim(self.declared))

    def __call__(self, observation: Any) -> np.ndarray:
        declared = self.declared
        sizes = np.ravel(declared.n if isinstance(declared, spaces.Discrete) else declared.nvec)
        index = np.ravel(_numbers(observation, declared, "iu") - declared.start)
        if not ((index >= 0) & (index < sizes)).all():
            raise FaultError(f"gave the observation {observation}, which {self.declared} does not contain.")
        hot = np.zeros(int(sizes.sum()), np.float32)
        hot[np.cumsum(sizes) - sizes + index] = 1
        return hot


@dataclass(frozen=True)
class ImageReader:
    """An image, its channels last."""

    declared: spaces.Box
    axes: tuple[int, ...]
    """in which order the observation's axes are rows, columns and channels"""
    shape: tuple[int, int, int]
    largest: float
    """the value of full brightness"""
    remarks: tuple[str, ...] = ()

    @property
    def plain(self) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        in_order = self.axes == (0, 1, 2) and self.declared.dtype == np.uint8
        return (self.shape, self.declared.dtype) if in_order else None

    @property
    def space(self) -> spaces.Box:
        kind = np.uint8 if self.declared.dtype == np.uint8 else np.float32
        return spaces.Box(0 if self.declared.low.min() >= 0 else -self.largest, self.largest, self.shape, kind)

    def __call__(self, observation: Any) -> np.ndarray:
        array = _numbers(observation, self.declared)
        if array.dtype != np.uint8 and self.declared.dtype == np.uint8:
            if array.dtype.kind == "f" or (array.size and not 0 <= array.min() <= array.max() <= 255):
                raise FaultError(f"gave an image of {array.dtype}, where its space {self.declared} is of bytes.")
            array = array.astype(np.uint8)
        return array.transpose(self.axes).reshape(self.shape)


@dataclass(frozen=True)
class PartsReader:
    """The parts of Dict and Tuple, nested too: the only one as it is, several as one vector."""

    parts: tuple[tuple[tuple[Any, ...], Reader], ...]
    """each with the keys that lead to it"""
    remarks: tuple[str, ...] = ()
    plain: None = None

    @property
    def space(self) -> gymnasium.Space[Any]:
        if len(self.parts) == 1:
            return self.parts[0][1].space
        return _vector(sum(int(np.prod(part.space.shape or ())) for _, part in self.parts))

    def __call__(self, observation: Any) -> Any:
        if len(self.parts) == 1:
            return self._part(observation, *self.parts[0])
        return np.concatenate([self._part(observation, *part) for part in self.parts], dtype=np.float32)

    def _part(self, observation: Any, keys: tuple[Any, ...], reader: Reader) -> Any:
        for i, key in enumerate(keys):
            try:
                observation = observation[key]
            except (KeyError, IndexError, TypeError) as e:
                raise FaultError(f"gave an observation without its part {_path(keys[: i + 1])}.") from e
        try:
            return reader(observation)
        except FaultError as e:
            raise FaultError(f"{e.args[0][:-1]}, at {_path(keys)} of the observation.") from e


def reader_for(space: gymnasium.Space[Any]) -> Reader:
    """The reader of an observation space; raises UsageError for a space that has none.

    Images are Box spaces of bytes with two axes or three, of any size; those of bounded floats whose sides are long
    enough; and stacks of such. Channels may be the last axis, or the first where that is certain.
    """
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return _of_parts(space)
    if isinstance(space, spaces.Discrete):
        return NumberReader(space)
    if isinstance(space, spaces.MultiDiscrete):
        return OneHotReader(space)
    if isinstance(space, spaces.MultiBinary):
        return VectorReader(space)
    if _is_box(space):
        return _image(space) or VectorReader(space, _remarks(space))
    raise UsageError(
        f"The observation space {space} is not supported; accepted are Box, Discrete, MultiDiscrete and MultiBinary, "
        f"and Dict and Tuple of them: {REMEDY}."
    )


def stacked(space: gymnasium.Space[Any], frames: int) -> gymnasium.Space[Any]:
    """The space of so many of a reader's observations, one after the other in the last axis.

    Raises UsageError for whole numbers, which cannot be stacked.
    """
    if frames <= 1:
        return space
    if not isinstance(space, spaces.Box):
        raise UsageError(f"--frame-stack needs observations of Box spaces or of several parts; this one is {space}.")
    # At least its two bounds are allocated.
    check_memory([Need(f"a stack of {frames:,} frames", 2 * frames * space.low.nbytes, "lower --frame-stack")])
    return spaces.Box(np.tile(space.low, frames), np.tile(space.high, frames), dtype=space.dtype.type)


def _of_parts(space: spaces.Dict | spaces.Tuple[Any]) -> Reader:
    leaves = list(_leaves(space))
    unread = [(keys, part) for keys, part in leaves if part.dtype is not None and part.dtype.kind == "U"]
    read = [(keys, part) for keys, part in leaves if (keys, part) not in unread]
    if not read:
        raise UsageError(f"The observation space {space} is not supported: it has nothing but text; {REMEDY}.")
    left_out = ", ".join(_path(keys) for keys, _ in unread)
    remarks = (f"The text {left_out} of its observations is left out: networks see numbers.",) if unread else ()
    if len(read) == 1:
        ((keys, part),) = read
        reader = reader_for(part)
        return PartsReader(((keys, reader),), remarks + reader.remarks)
    parts: list[tuple[tuple[Any, ...], Reader]] = []
    for keys, part in read:
        if _is_box(part) and (image := _image(part)) is not None and min(image.shape[:2]) >= SIDE:
            raise UsageError(
                f"The observation space {space} is not supported: it has an image, {_path(keys)}, among other parts; "
                "gymnasium.wrappers.FilterObservation keeps the image alone, or leaves it out."
            )
        if isinstance(part, spaces.Discrete):
            parts.append((keys, OneHotReader(part)))
        else:
            parts.append((keys, VectorReader(part) if _is_box(part) else reader_for(part)))
    return PartsReader(tuple(parts), remarks)


def _is_box(space: gymnasium.Space[Any]) -> TypeGuard[spaces.Box]:
    return isinstance(space, spaces.Box) and 0 not in space.shape


def _leaves(space: gymnasium.Space[Any]) -> Iterator[tuple[tuple[Any, ...], gymnasium.Space[Any]]]:
    """The parts of a space that have none themselves, each with the keys that lead to it."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in parts:
            for keys, leaf in _leaves(part):
                yield (key, *keys), leaf
    else:
        yield (), space


def _image(space: spaces.Box) -> ImageReader | None:
    """The reader of a Box that is an image; raises UsageError where it is not certain which axis is which."""
    layout = _layout(space.shape)
    if space.dtype == np.uint8:
        if len(space.shape) == 3 and layout is None:
            raise UsageError(
                f"The observation space {space} may be an image, but which of its axes are the channels is not "
                "certain; declare it as (height, width, channels): gymnasium.wrappers.TransformObservation turns axes."
            )
        if layout is None or (len(space.shape) == 4 and min(layout[1][:2]) < SIDE):
            return None
        return ImageReader(space, *layout, 255)
    low, high = float(space.low.min()), float(space.high.max())
    alike = (space.low == low).all() and (space.high == high).all()
    if (
        layout is None
        or space.dtype.kind != "f"
        or min(layout[1][:2]) < SIDE
        or not alike
        or (low, high) not in ((0, 1), (-1, 1), (0, 255))
    ):
        return None
    return ImageReader(space, *layout, high)


def _remarks(space: spaces.Box) -> tuple[str, ...]:
    layout = _layout(space.shape)
    if layout is None or len(space.shape) < 3 or min(layout[1][:2]) < SIDE:
        return ()
    return (
        f"Its observations {space} are seen as {int(np.prod(space.shape)):,} numbers and not as images, which are of "
        "bytes, or of floats from 0 to 1.",
    )


def _layout(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, int, int]] | None:
    """In which order the axes of a picture are rows, columns and channels, and how many of each; None if uncertain."""
    if len(shape) == 2:
        return (0, 1), (*shape, 1)
    if len(shape) == 3:
        first, middle, last = shape
        if last < min(first, middle):
            return (0, 1, 2), shape
        side = min(middle, last)
        if first < side and side > 4 and (first <= 4 or (first <= STACK and side >= SIDE)):
            return (1, 2, 0), (middle, last, first)
    if len(shape) == 4 and (inner := _layout(shape[1:])) is not None:
        (rows, columns, channels), (height, width, depth) = inner
        return (rows + 1, columns + 1, 0, channels + 1), (height, width, shape[0] * depth)
    return None


def _vector(size: int) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (size,), np.float32)


def _numbers(observation: Any, declared: gymnasium.Space[Any], kinds: str = "fiub") -> np.ndarray:
    """An observation as an array; raises FaultError for another shape, or other ``kinds`` of values."""
    if observation.__class__ is np.ndarray:
        array: np.ndarray = observation
    else:
        try:
            array = np.asarray(observation)
        except (TypeError, ValueError) as e:
            raise FaultError(f"gave {_described(observation)} for an observation of {declared}.") from e
    if array.dtype.kind not in kinds:
        raise FaultError(f"gave {_described(observation)} for an observation of {declared}, which is of other values.")
    if array.shape != declared.shape:
        raise FaultError(
            f"gave an observation of shape {array.shape}, where its space {declared} has {declared.shape}."
        )
    return array


def _described(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}…"


def _path(keys: tuple[Any, ...]) -> str:
    return "".join(f"[{key!r}]" for key in keys)
