"""The two kinds of failure that a user meets, and sentences for them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable

__all__ = ["MetahebbError", "RunError", "UsageError", "nearest", "quoted", "raised", "unknown"]

LONGEST = 300
"""characters of what was given that a sentence repeats"""


class MetahebbError(Exception):
    """A failure with one sentence for the user: what was given, what is accepted, the remedy.

    It is one line, whatever lines the messages of users' code and of libraries bring into it.
    """

    exit_code = 1

    def __init__(self, sentence: str) -> None:
        super().__init__(_on_one_line(sentence))


class UsageError(MetahebbError, ValueError):
    """Bad input, known before work starts; nothing was written. The command ends with code 2."""

    exit_code = 2


class RunError(MetahebbError, RuntimeError):
    """A failure during work; what was written before is intact. The command ends with code 1."""


def quoted(given: str | os.PathLike[str]) -> str:
    """What was given as a sentence repeats it: quoted, the middle left out where it is very long."""
    return _shortened(repr(os.fspath(given)))


def raised(error: BaseException) -> str:
    """What a user's code or a library raised, on one line: ``ValueError: its message``."""
    try:
        message = _on_one_line(str(error))
    except Exception:
        # Its text is code of the user's too.
        message = ""
    return f"{type(error).__name__}: {_shortened(message)}" if message else type(error).__name__


def _on_one_line(text: str) -> str:
    return re.sub(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*", " ", text.strip())


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 :]}"


def nearest(given: str, names: Iterable[str]) -> str | None:
    """The one of the names that is nearest to what was given; None where none is near."""
    by_folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(given.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None


def unknown(kind: str, given: str, accepted: Iterable[str]) -> UsageError:
    """The error for a name that is not known: it names the nearest accepted one, then all of them."""
    names = list(accepted)
    meant = f" Did you mean {near!r}?" if (near := nearest(given, names)) else ""
    return UsageError(f"Unknown {kind} {quoted(given)}.{meant} Accepted: {', '.join(names)}.")
