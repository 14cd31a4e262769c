"""Folders that appear whole, by rename, and what is swept of processes that were killed while they built one."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from metahebb.files import TEMPORARY, temporary_beside
from metahebb.interrupts import undone

__all__ = ["building_beside", "sweep_beside"]

LOCK, BUILT = ".lock", "built"
"""what is in a folder that another is built in"""


@contextlib.contextmanager
def building_beside(path: Path) -> Iterator[Path]:
    """A path in a hidden folder beside ``path``, to build there what is then renamed; what is left of it is removed.

    A lock says that its builder lives, so that what builders have left that were killed is swept before, and nothing
    that another process is at. Raises OSError where it cannot be made.
    """
    sweep_beside(path)
    site = temporary_beside(path)
    lock = FileLock(site / LOCK)

    def tidy() -> None:
        shutil.rmtree(site, ignore_errors=True)

    with undone(tidy):
        try:
            while True:
                # Between these steps, in which it has no lock yet, it may be swept.
                with contextlib.suppress(FileExistsError):
                    site.mkdir(parents=True, exist_ok=True)
                try:
                    lock.acquire(blocking=False)
                except (Timeout, FileNotFoundError):
                    continue
                if (site / LOCK).exists():
                    break
                lock.release()
            yield site / BUILT
        finally:
            lock.release()
            tidy()


def sweep_beside(path: Path) -> None:
    """Remove what processes have left that were killed while they built beside ``path``, as far as it is allowed."""
    folder = path.absolute().parent
    with contextlib.suppress(OSError):
        for name in filter(TEMPORARY.fullmatch, os.listdir(folder)):
            site = folder / name
            with contextlib.suppress(OSError, Timeout):
                # Of nothing that a link leads to, or in which there is anything else.
                if not site.is_symlink() and {LOCK, BUILT}.issuperset(os.listdir(site)):
                    with FileLock(site / LOCK, blocking=False):
                        shutil.rmtree(site, ignore_errors=True)
