"""Messages between a run and its workers: a kind, JSON fields and arrays, over a pipe. Nothing is pickled."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

__all__ = ["Message", "receive", "send"]


@dataclass(frozen=True)
class Message:
    """A message; ``arrays`` are read-only views of what was received."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def send(stream: IO[bytes], message: Message) -> None:
    """Write a message; raises OSError when the other side is gone."""
    arrays = {name: np.asarray(array) for name, array in message.arrays.items()}
    shapes = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    header = json.dumps({"kind": message.kind, "fields": dict(message.fields), "arrays": shapes}).encode()
    stream.write(struct.pack("<I", len(header)) + header)
    for array in arrays.values():
        stream.write(array.tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> Message | None:
    """Read a message; None when the other side is gone."""
    size = _read(stream, 4)
    header = None if size is None else _read(stream, struct.unpack("<I", size)[0])
    if header is None:
        return None
    content = json.loads(header)
    arrays = {}
    for name, (dtype, shape) in content["arrays"].items():
        data = _read(stream, np.dtype(dtype).itemsize * int(np.prod(shape)))
        if data is None:
            return None
        arrays[name] = np.frombuffer(data, dtype).reshape(shape)
    return Message(content["kind"], content["fields"], arrays)


def _read(stream: IO[bytes], size: int) -> bytes | None:
    """Exactly so many bytes, or None at the end of the stream."""
    data = stream.read(size)
    return data if len(data) == size else None
