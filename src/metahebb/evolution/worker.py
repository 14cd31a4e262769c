"""A worker process: lives the lives that it is given, and adds up noise.

Started as ``python -m metahebb.evolution.worker``; its standard input and output carry messages. It ends as soon as its
input is closed, whatever it is doing: when its parent dies, it does not outlive it.

========== ===================================== ============================================================
from parent fields; arrays                        what it does
========== ===================================== ============================================================
start      configuration, render, slots          builds task and network; answers ``ready``
population a MirroredPopulation's fields; mean    the mirrored population that later lives belong to
live       lives; genomes (optional)             lives them; answers ``lived`` as they end
sum        unit, first, last; weights            adds up the noise of pairs; answers ``summed``
record     life; genome                          lives one life; answers ``moment`` at each step, then ``recorded``
========== ===================================== ============================================================
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import queue
import signal
import threading
import traceback
from pathlib import Path
from typing import IO, Any

import numpy as np

from metahebb.errors import MetahebbError
from metahebb.evolution.messages import Message, receive, send

__all__ = ["main"]


def main() -> None:
    """Serve the parent until its pipe closes."""
    inbox, outbox = _claim_standard_streams()
    # Ctrl-C is the parent's to handle: a KeyboardInterrupt here is an environment's own.
    signal.signal(signal.SIGINT, lambda *_: None)
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(inbox, messages), daemon=True).start()
    try:
        _serve(messages, outbox)
    except MetahebbError as e:
        # What an environment of the user's raised is theirs to find.
        trace = traceback.format_exc() if e.__cause__ is not None else None
        send(outbox, Message("failed", {"sentence": str(e), "usage": e.exit_code == 2, "traceback": trace}))
    except Exception as e:
        what = f"A worker failed with {type(e).__name__}: {e}"
        send(outbox, Message("failed", {"sentence": what, "traceback": traceback.format_exc()}))
    # The parent may read what was sent before it closes the pipe, upon which the listener ends the process.
    threading.Event().wait()


def _claim_standard_streams() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes for messages; whatever environments print goes to standard error from now on."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return inbox, outbox


def _listen(inbox: IO[bytes], messages: queue.SimpleQueue[Message]) -> None:
    while (message := receive(inbox)) is not None:
        messages.put(message)
    os._exit(0)


def _serve(messages: queue.SimpleQueue[Message], outbox: IO[bytes]) -> None:
    # Heavy imports only now, so that a worker whose parent is already gone ends at once.
    _use_compilation_cache()
    from metahebb.assembly import network_of, task_of
    from metahebb.configuration import configuration_from_json
    from metahebb.evolution.populations import FilterScale, MirroredPopulation
    from metahebb.lifetimes import make_slots
    from metahebb.lifetimes.lives import Life

    start = messages.get()
    configuration = configuration_from_json(start.fields["configuration"], "the parent's message")
    task = task_of(configuration)
    task = dataclasses.replace(task, slots=start.fields["slots"] or task.slots)
    network = network_of(configuration, task)
    slots = make_slots(network, task, task.make_world(task.slots, start.fields["render"]))
    send(outbox, Message("ready", {"slots": task.slots}))

    population: MirroredPopulation | None = None
    waiting: collections.deque[tuple[Life, np.ndarray | None]] = collections.deque()
    while True:
        # Without a life to live there is nothing to do but to wait for a message.
        while messages.qsize() or not (waiting or len(slots.living)):
            message = messages.get()
            fields = message.fields
            match message.kind:
                case "population":
                    filter_scale = FilterScale(*fields["filter_scale"])
                    population = MirroredPopulation(
                        message.arrays["mean"].copy(), **{**fields, "filter_scale": filter_scale}
                    )
                case "live":
                    genomes = message.arrays.get("genomes")
                    for life in (_life(values) for values in fields["lives"]):
                        waiting.append((life, None if genomes is None else genomes[life.member - fields["first"]]))
                case "sum":
                    assert population is not None
                    pairs = range(fields["first"], fields["last"])
                    total = population.weighted_noise(pairs, message.arrays["weights"])
                    send(outbox, Message("summed", {"unit": fields["unit"]}, {"sum": total}))
                case "record":
                    for moment in slots.record(message.arrays["genome"], _life(fields["life"]), start.fields["render"]):
                        send(outbox, _moment_message(moment))
                    send(outbox, Message("recorded"))
        for slot in slots.free[: len(waiting)]:
            life, genome = waiting.popleft()
            if genome is None:
                assert population is not None
                genome = population.genome(life.member)
            slots.place(slot, genome, life)
        if outcomes := slots.advance():
            send(outbox, Message("lived", {"outcomes": outcomes}))


def _life(values: Any) -> Any:
    from metahebb.lifetimes.lives import Life

    member, number, world, key, body = values
    return Life(member, number, world, tuple(key), body)


def _moment_message(moment: Any) -> Message:
    arrays = {f"activities.{i}": a for i, a in enumerate(moment.activities)}
    arrays |= {f"weights.{i}": w for i, w in enumerate(moment.weights)}
    if moment.frame is not None:
        arrays["frame"] = moment.frame
    return Message("moment", {"step": moment.step, "reward": moment.reward}, arrays)


def _use_compilation_cache() -> None:
    """Keep compiled code between starts of the same versions."""
    import jax
    import platformdirs

    from metahebb import __version__

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # Where nobody's home is known, as in a container whose user has no entry, nothing is kept.
        with contextlib.suppress(RuntimeError):
            cache = Path(platformdirs.user_cache_dir("metahebb")) / f"{__version__}-jax-{jax.__version__}"
            jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


if __name__ == "__main__":
    main()
