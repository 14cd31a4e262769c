"""What a setting is: declared once, as a field of ``Configuration``.

The command line's options and their help, the checks and their sentences, the groups and the files are all made from
the declaration. Nothing heavy is imported here: the command line answers at once.
"""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from metahebb.errors import UsageError, unknown

__all__ = [
    "Flag", "Group", "Kind", "Name", "Names", "Number", "Pairs", "Setting", "Sizes", "Text", "Whole", "setting",
    "settings_of",
]  # fmt: skip

FLOAT32_TINY, FLOAT32_LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127


class Group(Enum):
    """What a setting is about; the value is the heading of its options in the command's help."""

    WORLD = "Environment"
    NETWORK = "Network"
    SEARCH = "Search"
    RUN = "Run"


class Kind(ABC):
    """The values that a setting may have."""

    what: str
    """as in "it must be …" """
    parameter: Any = str
    """what the command line takes; ``parse`` makes a value of it"""
    metavar: str | None = "TEXT"
    """what stands for a value in the command's help"""

    @abstractmethod
    def read(self, option: str, value: Any) -> Any:
        """The value as a plain Python one (NumPy's numbers and lists will do too); raises UsageError otherwise."""

    def parse(self, option: str, given: Any) -> Any:
        """What was given on the command line, as a value to be read; raises UsageError otherwise."""
        return given

    def refusal(self, option: str, value: Any) -> UsageError:
        """The sentence for a value that is not accepted."""
        return UsageError(f"--{option} is {value!r}; it must be {self.what}.")


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from ``minimum`` to ``maximum``."""

    minimum: int = 1
    maximum: int | None = None
    parameter = int
    metavar = "NUMBER"

    @property
    def what(self) -> str:  # type: ignore[override]
        if self.maximum is None:
            return f"a whole number, {self.minimum} or more"
        # A bound such as 2⁶³ − 1 is easier to read as a power.
        power = math.log2(self.maximum + 1)
        most = f"2^{power:.0f} − 1" if power.is_integer() and power > 16 else f"{self.maximum}"
        return f"a whole number from {self.minimum} to {most}"

    def read(self, option: str, value: Any) -> int:
        try:
            number = None if isinstance(value, bool) else operator.index(value)
        except TypeError:
            number = None
        if number is None or number < self.minimum or (self.maximum is not None and number > self.maximum):
            raise self.refusal(option, value)
        return number


@dataclass(frozen=True)
class Number(Kind):
    """A finite number that float32 can hold, optionally ``above`` or ``at_least`` something, and ``at_most``."""

    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""
    parameter = float
    metavar = "NUMBER"

    @property
    def what(self) -> str:  # type: ignore[override]
        limits = [f" above {self.above:g}"] if self.above is not None else []
        limits += [f", {self.at_least:g} or more"] if self.at_least is not None else []
        limits += [f", {self.at_most:g} or less"] if self.at_most is not None else []
        return "a finite number" + (f" of {self.unit}" if self.unit else "") + "".join(limits)

    def read(self, option: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise self.refusal(option, value)
        # Whole numbers stay what they are.
        number = int(value) if isinstance(value, numbers.Integral) else float(value)
        if (
            not -math.inf < number < math.inf
            or (self.above is not None and number <= self.above)
            or (self.at_least is not None and number < self.at_least)
            or (self.at_most is not None and number > self.at_most)
        ):
            raise self.refusal(option, value)
        if number != 0 and not FLOAT32_TINY <= abs(number) <= FLOAT32_LARGEST:
            raise UsageError(f"--{option} is {value!r}; float32 cannot hold it: its numbers go from 1e-38 to 3e38.")
        return number


@dataclass(frozen=True)
class Text(Kind):
    """Any text."""

    what = "text"

    def read(self, option: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.refusal(option, value)
        return value


@dataclass(frozen=True)
class Flag(Kind):
    """True or False."""

    what = "True or False"
    parameter = bool
    metavar = None

    def read(self, option: str, value: Any) -> bool:
        plain = _plain(value)
        if not isinstance(plain, bool):
            raise self.refusal(option, value)
        return plain


@dataclass(frozen=True)
class Name(Kind):
    """One of the names that ``accepted`` returns, which is called when a name is to be checked."""

    accepted: Callable[[], Iterable[str]]
    what = "text"
    metavar = "NAME"

    def read(self, option: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.refusal(option, value)
        accepted = tuple(self.accepted())
        if value not in accepted:
            raise unknown(option.replace("-", " "), value, accepted)
        return value


@dataclass(frozen=True)
class Names(Kind):
    """A tuple of texts or paths; the option may be repeated."""

    what = "a list of texts or paths"
    parameter = list[str]

    def read(self, option: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, tuple | list) or not all(isinstance(item, str | os.PathLike) for item in value):
            raise self.refusal(option, value)
        return tuple(os.fspath(item) for item in value)


@dataclass(frozen=True)
class Sizes(Kind):
    """A tuple of whole numbers, 1 or more; on the command line 128,64."""

    what = "whole numbers, 1 or more, such as 128,64"
    metavar = "SIZES"

    def read(self, option: str, value: Any) -> tuple[int, ...]:
        value = _plain(value)
        if not isinstance(value, tuple | list):
            raise self.refusal(option, value)
        try:
            return tuple(Whole(1).read(option, size) for size in value)
        except UsageError:
            raise self.refusal(option, value) from None

    def parse(self, option: str, given: str) -> tuple[int, ...]:
        try:
            return tuple(int(size) for size in given.split(",") if size.strip())
        except ValueError:
            raise self.refusal(option, given) from None


@dataclass(frozen=True)
class Pairs(Kind):
    """A mapping from texts to JSON values; on the command line key=value, and may be repeated."""

    what = "a mapping from names to values"
    parameter = list[str]
    metavar = "KEY=VALUE"

    def read(self, option: str, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self.refusal(option, value)
        pairs: dict[str, Any] = {}
        for key, item in value.items():
            try:
                # As workers and files have it.
                pairs[key] = json.loads(json.dumps(item, default=_plain))
            except (TypeError, ValueError, RecursionError):
                raise UsageError(
                    f"--{option} {key} is {type(item).__name__}, which no file can hold; it must be a number, a text, "
                    "True, False, None, or a list or dictionary of these."
                ) from None
        return pairs

    def parse(self, option: str, given: Sequence[str]) -> Mapping[str, Any]:
        """Values are JSON where they can be read as such, else Python's constants, else text."""
        pairs: dict[str, Any] = {}
        for item in given:
            key, equals, value = item.partition("=")
            if not equals or not key:
                raise UsageError(f"--{option} {item!r} is not of the form key=value.")
            try:
                pairs[key] = json.loads(value)
            except (ValueError, RecursionError):
                pairs[key] = {"True": True, "False": False, "None": None}.get(value, value)
        return pairs


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays as Python's own numbers and lists, a path as text; nothing else is changed."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.tolist() if hasattr(value, "dtype") and hasattr(value, "tolist") else value


@dataclass(frozen=True)
class Setting:
    """A setting's declaration, beside its name, type and default, which are its field's."""

    name: str
    kind: Kind
    group: Group
    help: str
    option: str | None
    """its name on the command line, without the dashes; None for what no user sets"""
    optional: bool
    """whether None is accepted"""
    only_for: str | None
    """the strategy that it belongs to"""
    static: Any
    """what is written for a static network, which has no such thing; ``...`` where it has"""
    absent: Any
    """what a file that lacks it means; ``...`` for the settings of the first format, which every file has"""

    @property
    def label(self) -> str:
        """What sentences call it."""
        return self.option or self.name

    def read(self, value: Any) -> Any:
        """The value, plain and checked; raises UsageError."""
        return None if value is None and self.optional else self.kind.read(self.label, value)

    def parse(self, given: Any) -> Any:
        """What was given on the command line, as a value to be read; raises UsageError."""
        return self.kind.parse(self.label, given)


def setting(
    default: Any,
    group: Group,
    kind: Kind,
    help: str,
    *,
    option: str | None = "",
    only_for: str | None = None,
    static: Any = ...,
    absent: Any = ...,
) -> Any:
    """A field of ``Configuration``: its default, and what ``Setting`` says of the others.

    A default of ``...`` is none: the field must be given. ``option`` is the field's name with dashes unless given.
    A setting newer than the first format says in ``absent`` what files without it mean. Files mention it only where it
    differs, so that older versions of metahebb go on reading what they can live by.
    """
    declared = {"kind": kind, "group": group, "help": help, "option": option, "only_for": only_for}
    metadata = {"setting": {**declared, "static": static, "absent": absent}}
    if default is ...:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def settings_of(configuration: type, *groups: Group) -> dict[str, Setting]:
    """The settings of a dataclass by name, in the order of its fields: all, or those of the groups."""
    found = {}
    for field in dataclasses.fields(configuration):
        declared = dict(field.metadata["setting"])
        if declared["option"] == "":
            declared["option"] = field.name.replace("_", "-")
        one = Setting(name=field.name, optional=field.default is None, **declared)
        if not groups or one.group in groups:
            found[field.name] = one
    return found
