"""A worker process: the ways in and out of what ``serving`` does.

Started as ``python -m metahebb.evolution.worker``; its standard input and output carry messages (``protocol``). It ends
as soon as its input is closed, whatever it is doing: when its parent dies, it does not outlive it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import traceback
from pathlib import Path
from typing import IO

from metahebb.errors import MetahebbError, raised
from metahebb.evolution.messages import Message, receive, send
from metahebb.evolution.supervision import Work, beating

__all__ = ["claim_standard_streams", "main"]


def main() -> None:
    """Serve the parent until its pipe closes."""
    inbox, outbox = claim_standard_streams()
    # Ctrl-C is the parent's to handle: a KeyboardInterrupt here is an environment's own.
    signal.signal(signal.SIGINT, lambda *_: None)
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    sending = threading.Lock()

    def answer(message: Message) -> None:
        with sending:
            send(outbox, message)

    work = Work()
    threading.Thread(target=_listen, args=(inbox, messages), daemon=True).start()
    threading.Thread(target=beating, args=(work, answer), daemon=True).start()
    try:
        # What takes seconds to import comes only now, so that a worker whose parent is already gone ends at once.
        _use_compilation_cache()
        from metahebb.evolution.serving import serve

        serve(messages, answer, work)
    except MetahebbError as e:
        # What an environment of the user's raised is theirs to find.
        trace = traceback.format_exc() if e.__cause__ is not None else None
        answer(Message("failed", {"sentence": str(e), "usage": e.exit_code == 2, "traceback": trace}))
    except BaseException as e:
        # KeyboardInterrupt and SystemExit too: here they are those of some library or rule.
        answer(Message("failed", {"sentence": _sentence(e), "traceback": traceback.format_exc()}))
    # The parent may read what was sent before it closes the pipe, upon which the listener ends the process.
    threading.Event().wait()


def _sentence(error: BaseException) -> str:
    if "RESOURCE_EXHAUSTED" in str(error):  # XLA's word for it
        return (
            f"The memory that JAX computes in does not hold a worker's lives: {raised(error)}; lower --population, say "
            "--coefficients float16, or live on the CPU with JAX_PLATFORMS=cpu."
        )
    return f"A worker failed with {raised(error)}"


def claim_standard_streams() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes for messages; whatever environments print goes to standard error from now on."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return inbox, outbox


def _listen(inbox: IO[bytes], messages: queue.SimpleQueue[Message]) -> None:
    while (message := receive(inbox)) is not None:
        messages.put(message)
    os._exit(0)


def _use_compilation_cache() -> None:
    """Keep compiled code between starts of the same versions; to be called before anything is compiled."""
    import jax
    import platformdirs

    from metahebb import __version__

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # Where nobody's home is known, as in a container whose user has no entry, or it is closed, nothing is kept.
        with contextlib.suppress(RuntimeError, OSError):
            cache = Path(platformdirs.user_cache_dir("metahebb")) / f"{__version__}-jax-{jax.__version__}"
            # Earlier versions of platformdirs return an unexpanded ~ there.
            if cache.is_absolute():
                cache.mkdir(parents=True, exist_ok=True)
                if os.access(cache, os.R_OK | os.W_OK | os.X_OK):
                    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


if __name__ == "__main__":
    main()
