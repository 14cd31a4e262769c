"""What is written of lives while they are lived: the chunks of a recording's arrays, as zarr's third format has them.

Whoever lives lives writes their chunks, so that nothing of them travels between processes; whoever wanted them writes,
when all are there, what the arrays are (``analysis.recordings``). A chunk is one life's next rows, as plain bytes or,
of images, compressed: it belongs to nobody else, and is written once. Memory is bounded by a chunk of each array for
each life that is lived.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metahebb.files import writing
from metahebb.lifetimes.lives import Life

__all__ = ["CHUNK", "Recorder", "Rows", "To", "fill_of", "rows_of"]

CHUNK = 2**20
"""bytes of a chunk, about: large enough for disks, small enough that a short life's last one wastes little"""
MOST_ROWS = 4096
"""of a chunk, where nobody knows how long lives last"""


class To(NamedTuple):
    """Where lives are recorded, and how."""

    folder: str
    every: int
    """steps between the weights that are kept, the first of a life among them"""
    float16: bool = False
    """whether activities and weights are rounded to it"""
    longest: int | None = None
    """the steps after which lives end at the latest, where that is known"""


class Rows(NamedTuple):
    """An array of a recording: [lives, rows, *shape]."""

    shape: tuple[int, ...]
    """of a row: a step's, or of the weights at one"""
    dtype: str
    chunk: int
    """the rows of a chunk, which is of one life"""

    @property
    def size(self) -> int:
        """Bytes of a row."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def compressed(self) -> bool:
        """Whether its chunks are: bytes, which are images, become a seventh in the time that they take to be written;
        floats hardly become less."""
        return np.dtype(self.dtype) == np.uint8


def rows_of(shapes: Mapping[str, tuple[tuple[int, ...], np.dtype]], to: To) -> dict[str, Rows]:
    """The arrays of a recording by the (shape, dtype) of their rows."""
    arrays = {}
    for name, (shape, dtype) in shapes.items():
        rounded = to.float16 and name.startswith(("activities", "weights"))
        its = Rows(tuple(shape), np.dtype(np.float16).str if rounded else np.dtype(dtype).str, 1)
        most = MOST_ROWS if to.longest is None else to.longest
        if name.startswith("weights"):
            most = math.ceil(most / to.every)
        arrays[name] = its._replace(chunk=max(1, min(most, CHUNK // max(its.size, 1))))
    return arrays


def fill_of(dtype: str) -> float | int:
    """What stands beyond a life's end: NaN, or 0 where there is no such number."""
    return math.nan if np.issubdtype(np.dtype(dtype), np.floating) else 0


class Recorder:
    """Writes what is seen of lives, which are recorded side by side; a life's number is its place in the arrays."""

    def __init__(self, to: To, arrays: Mapping[str, Rows]) -> None:
        self.every = to.every
        self.float16 = to.float16
        self.arrays = arrays
        self._folder = Path(to.folder)
        self._columns: dict[Life, dict[str, _Column]] = {}

    def begin(self, life: Life) -> None:
        """A life begins."""
        self._columns[life] = {
            name: _Column(self._folder / name / f"c.{life.number}", rows) for name, rows in self.arrays.items()
        }

    def steps(self, life: Life, seen: Mapping[str, np.ndarray]) -> None:
        """The next steps of a life: arrays [steps, …] by name."""
        with writing("The recording", self._folder):
            for name, values in seen.items():
                self._columns[life][name].append(values)

    def weights(self, life: Life, weights: Sequence[np.ndarray]) -> None:
        """The weights [inputs, outputs] of each layer with which a life acts in the first of its next steps."""
        self.steps(life, {f"weights_{i}": layer[None] for i, layer in enumerate(weights)})

    def end(self, life: Life) -> None:
        """A life is over."""
        with writing("The recording", self._folder):
            for column in self._columns.pop(life).values():
                column.close()


def _compressed(chunk: np.ndarray) -> memoryview:
    """A chunk as zarr's codec ``blosc`` has it, with LZ4."""
    # Imported by who records alone.
    from numcodecs import blosc

    blosc.set_nthreads(1)
    return memoryview(blosc.compress(np.ascontiguousarray(chunk), b"lz4", 1, blosc.NOSHUFFLE))


class _Column:
    """One life's rows of an array, written chunk by chunk."""

    def __init__(self, stem: Path, rows: Rows) -> None:
        self._stem, self._rows = stem, rows
        self._buffer: np.ndarray | None = None
        self._held = self._written = 0

    def append(self, values: np.ndarray) -> None:
        while len(values):
            if self._buffer is None:
                self._buffer = np.empty((self._rows.chunk, *self._rows.shape), self._rows.dtype)
            room = self._rows.chunk - self._held
            part, values = values[:room], values[room:]
            self._buffer[self._held : self._held + len(part)] = part
            self._held += len(part)
            if self._held == self._rows.chunk:
                self._write()

    def close(self) -> None:
        if self._held:
            assert self._buffer is not None
            self._buffer[self._held :] = fill_of(self._rows.dtype)
            self._write()
        self._buffer = None

    def _write(self) -> None:
        assert self._buffer is not None
        name = ".".join([self._stem.name, str(self._written), *("0" for _ in self._rows.shape)])
        with open(self._stem.with_name(name), "wb", buffering=0) as file:
            view = _compressed(self._buffer) if self._rows.compressed else self._buffer.data.cast("B")
            while len(view):
                view = view[file.write(view) :]
        self._written += 1
        self._held = 0
