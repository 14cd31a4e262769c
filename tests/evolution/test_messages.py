"""Messages through a real pipe."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import IO

import numpy as np
import pytest

from metahebb.evolution.messages import Message, receive, send

Pipe = tuple[IO[bytes], IO[bytes]]

MESSAGES = [
    Message("ready"),
    Message("lived", {"outcome": [3, 0, -1.5, 1000, 0.1 + 0.2], "name": "η", "none": None}),
    Message("live", {}, {"genomes": np.arange(12, dtype=np.float32).reshape(3, 4)}),
    # More than a pipe holds.
    Message("population", {"sigma": 0.1}, {"mean": np.random.default_rng(0).standard_normal(100_000)}),
    Message("live", {}, {"nobody": np.zeros((0, 4), np.float32), "frame": np.full((2, 3, 3), 200, np.uint8)}),
    Message("sum", {}, {"strided": np.arange(10)[::3], "fortran": np.arange(6, dtype=">f4").reshape(2, 3).T}),
    Message("moment", {"step": 0}, {"scalar": np.array(2.5)}),
    Message("sum", {}, {"odd": np.array([np.nan, -0.0, np.inf], np.float32)}),
]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as inbox, os.fdopen(writing, "wb") as outbox:
        yield inbox, outbox


def test_messages_arrive_whole_and_in_order(pipe: Pipe) -> None:
    inbox, outbox = pipe
    sender = threading.Thread(target=lambda: [send(outbox, message) for message in MESSAGES])
    sender.start()
    for sent in MESSAGES:
        received = receive(inbox)
        assert received is not None
        assert (received.kind, received.fields) == (sent.kind, sent.fields)
        assert list(received.arrays) == list(sent.arrays)
        for name, array in sent.arrays.items():
            assert received.arrays[name].dtype == array.dtype
            assert received.arrays[name].shape == array.shape
            assert received.arrays[name].tobytes() == array.tobytes()
    sender.join()


def test_what_is_received_is_read_only(pipe: Pipe) -> None:
    inbox, outbox = pipe
    send(outbox, Message("live", {}, {"genomes": np.zeros(3)}))
    received = receive(inbox)
    assert received is not None
    with pytest.raises(ValueError, match="read-only"):
        received.arrays["genomes"][0] = 1


@pytest.mark.parametrize("kept", [0, 3, 4, 20, -9, -1])
def test_a_sender_that_dies_within_a_message_has_sent_none(kept: int) -> None:
    """Wherever it was: before it, in its size, its header, its array."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as inbox, os.fdopen(writing, "wb") as outbox:
        send(outbox, Message("live", {"first": 0}, {"genomes": np.ones(3)}))
        data = os.read(reading, 4096)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as inbox:
        with os.fdopen(writing, "wb") as outbox:
            outbox.write(data[:kept])
        assert receive(inbox) is None


def test_a_receiver_that_is_gone_raises() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    outbox = os.fdopen(writing, "wb")
    with pytest.raises(BrokenPipeError):
        send(outbox, Message("ready"))
    with pytest.raises(BrokenPipeError):
        outbox.close()
