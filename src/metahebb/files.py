"""Files that are whole or absent, whenever the process dies, and the paths that users give."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from metahebb.errors import RunError, UsageError, quoted
from metahebb.interrupts import undone

__all__ = [
    "TEMPORARY", "WriteError", "check_file", "check_new_file", "flush_folder", "read_file", "reason_of", "replacing",
    "sweep", "temporary_beside", "user_path", "write_file", "writing",
]  # fmt: skip

os.umask(UMASK := os.umask(0))

TEMPORARY = re.compile(r"\.metahebb-[0-9a-f]{16}\.partial")
"""the names of ``temporary_beside``"""


class WriteError(RunError):
    """What the disk refuses: its sentence says what could not be written and why, without a remedy."""

    def __init__(self, sentence: str, refused: OSError) -> None:
        super().__init__(sentence)
        self.refused = refused


def reason_of(error: OSError | ValueError) -> str:
    """Why the system refuses a path or a file, in its own few words."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it has a character that no path can have"


@contextlib.contextmanager
def writing(what: str, path: Path) -> Iterator[None]:
    """Turn a full or read-only disk, or a folder that is not there, into one sentence; raises WriteError."""
    try:
        yield
    except OSError as e:
        folder = path.absolute().parent
        reason = reason_of(e) if os.path.isdir(folder) else f"make {quoted(folder)} first, there is no such folder"
        raise WriteError(f"{what} {quoted(path)} could not be written: {reason}.", e) from e


def temporary_beside(path: Path) -> Path:
    """A free name beside ``path`` for what will take its place; nobody but this package gives such names."""
    return path.with_name(f".metahebb-{secrets.token_hex(8)}.partial")


@contextlib.contextmanager
def replacing(what: str, path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place, on the disk, when the block ends without an error.

    Raises WriteError where it cannot take it.
    """
    temporary = temporary_beside(path)
    remove = functools.partial(temporary.unlink, missing_ok=True)
    with undone(remove):
        try:
            yield temporary
            with writing(what, path):
                # Libraries may write for the owner alone; a file of ours has the mode of any other.
                os.chmod(temporary, 0o666 & ~UMASK)
                with open(temporary, "rb+") as file:
                    os.fsync(file.fileno())
                os.replace(temporary, path)
                flush_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):
                remove()


def flush_folder(folder: Path) -> None:
    """Put a folder's names on the disk, so that a rename outlives a power cut; Windows needs no such thing."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_file(what: str, path: Path, content: bytes) -> None:
    """Write a file that is whole or absent; raises WriteError."""
    with writing(what, path), replacing(what, path) as temporary:
        temporary.write_bytes(content)


def sweep(folder: Path) -> None:
    """Delete what processes that were killed while they wrote have left in a folder; nobody may be writing there."""
    for path in folder.iterdir():
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def user_path(what: str, given: str | os.PathLike[str]) -> Path:
    """A path that a user gave, whether anything is there or not.

    Raises UsageError for what is no path, or one that the system takes for none (too long, with a NUL) or whose folders
    it does not open.
    """
    if not isinstance(given, str | os.PathLike):
        raise UsageError(f"{what} is {given!r}; it must be a path.")
    try:
        path = Path(given)
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as e:
        raise UsageError(f"{what} {quoted(given)} cannot be used: {reason_of(e)}.") from e
    return path


def check_file(what: str, given: str | os.PathLike[str]) -> Path:
    """The path of a file that a user gave; raises UsageError for what is missing, no file (a pipe) or unreadable."""
    path = user_path(what, given)
    if not path.is_file():
        raise UsageError(f"{what} {quoted(path)} {'is not a file' if path.exists() else 'is not there'}.")
    if not os.access(path, os.R_OK):
        raise UsageError(f"{what} {quoted(path)} may not be read.")
    return path


def read_file(what: str, given: str | os.PathLike[str]) -> bytes:
    """What is in a file that a user gave; raises UsageError as ``check_file`` does."""
    path = check_file(what, given)
    try:
        return path.read_bytes()
    except OSError as e:
        raise UsageError(f"{what} {quoted(path)} cannot be read: {reason_of(e)}.") from e


def check_new_file(what: str, given: str | os.PathLike[str], overwrite: bool) -> Path:
    """The path of a file to be made; raises UsageError unless it can be, or where one exists that is not given up."""
    path = user_path(what, given)
    folder = path.absolute().parent
    if path.is_dir():
        raise UsageError(f"{what} {quoted(path)} would take the place of a folder; give a file's name.")
    if not folder.is_dir():
        raise UsageError(f"{what} {quoted(path)} has no folder to lie in: make {quoted(path.parent)} first.")
    if os.path.lexists(path) and not overwrite:
        raise UsageError(
            f"{what} {quoted(path)} exists; choose another name, or --overwrite (from Python overwrite=True)."
        )
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{what} {quoted(path)} may not be written there; choose another folder.")
    return path
