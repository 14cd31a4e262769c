"""Results as files: Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from metahebb.errors import UsageError, quoted
from metahebb.files import check_new_file, user_path, write_file
from metahebb.json_text import json_text

__all__ = ["TABLES", "Result", "check_outputs", "csv_text", "markdown", "write_table"]

TABLES = (".md", ".csv", ".json")
"""the files of results, by their suffixes"""


class Result(Protocol):
    """What an experiment comes to."""

    def to_table(self) -> list[dict[str, str]]:
        """The rows that people read, by column."""

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows that programs read, by column."""

    def to_json(self) -> dict[str, Any]:
        """All of it, each life's numbers included, as JSON values."""


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table as CSV (RFC 4180); what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def check_outputs(
    paths: Sequence[str | Path], overwrite: bool, others: Sequence[str] = (), option: str = "--out"
) -> list[Path]:
    """The files to be made; raises UsageError for one of no kind that there is, or that cannot be written."""
    kinds = (*TABLES, *others)
    checked: list[Path] = []
    for path in paths:
        if user_path(option, path).suffix.lower() not in kinds:
            raise UsageError(
                f"{option} {quoted(path)} is of no kind that can be made; accepted are {', '.join(kinds)}."
            )
        checked.append(check_new_file(option, path, overwrite))
    return checked


def write_table(result: Result, path: Path) -> None:
    """Write a result into a file of the kind that its suffix says; raises WriteError."""
    match path.suffix.lower():
        case ".md":
            text = markdown(result.to_table())
        case ".csv":
            text = csv_text(result.to_rows())
        case _:
            text = json.dumps(json.loads(json_text(result.to_json())), indent=1) + "\n"
    write_file("The table", path, text.encode())
