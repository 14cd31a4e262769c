"""Files that are whole or absent, whenever the process dies."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from metahebb.errors import RunError

__all__ = ["replacing", "sweep", "writing"]

os.umask(UMASK := os.umask(0))


@contextlib.contextmanager
def writing(what: str, path: Path) -> Iterator[None]:
    """Turn a full or read-only disk into one sentence."""
    try:
        yield
    except (OSError, SafetensorError) as e:
        reason = e.strerror or e if isinstance(e, OSError) else e
        raise RunError(
            f"{what} {str(path)!r} could not be written: {reason}. What was written before is intact; "
            "free space or choose another place, then go on with --resume."
        ) from e


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place, on the disk, when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")  # ``sweep`` knows the form
    try:
        yield temporary
        # Libraries may write for the owner alone; a file of ours has the mode of any other.
        os.chmod(temporary, 0o666 & ~UMASK)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete what processes that were killed while they wrote have left in a folder; nobody may be writing there."""
    for path in folder.iterdir():
        if re.fullmatch(r"\..+\.\d+", path.name):
            path.unlink(missing_ok=True)
