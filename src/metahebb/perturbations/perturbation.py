"""A perturbation: its kind, its strengths, what it is limited to, and when.

It is written as ``KIND[:VALUE][:TARGET=VALUE]@WHEN``: ``zero-weights@300``, ``noise-weights:0.5:layer=1@500-550``,
``zero-actuators:actuator=2@0-``, ``body:front-left=1.0,0.25@400``, ``my.py:blink@100-200``. Steps are counted from 0.
``@500-550`` is from step 500 to before step 550, ``@500-`` to the end of the life. ``@500`` is that step alone for what
strikes once (weights), and from that step on for what lasts (everything else). Without ``@`` it is from step 0.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from metahebb.errors import UsageError, quoted, unknown
from metahebb.files import check_file, user_path
from metahebb.importing import load_file
from metahebb.interrupts import told
from metahebb.perturbations.kinds import CHANGED, KINDS, Kind
from metahebb.worlds import BODY, Condition

__all__ = ["Perturbation", "Perturbations", "condition_kind", "parse_perturbation"]

FOREVER = 2**31 - 1
LONGEST_DELAY = 1000
"""steps: what sensors read is kept for so long"""


@dataclass(frozen=True)
class Perturbation:
    """What disturbs a life, and when; ``str`` writes it as it is read."""

    kind: Kind
    strengths: tuple[float, ...] = ()
    """one for each of ``kind.strengths``"""
    target: str | None = None
    """``layer``, ``sensor`` or ``actuator``; None for all of them"""
    index: int = 0
    """which of them"""
    fraction: float = 1.0
    """of what it changes: chosen at random, once in a life"""
    begin: int = 0
    """the first step at which it acts"""
    end: int = FOREVER
    """the step before which it stops"""
    body: str = ""
    """for a change of the body: which it becomes"""
    text: str = field(default="", compare=False)
    """as it was given"""

    def __str__(self) -> str:
        words = [self.kind.name, *([self.body] if self.body else map(_number, self.strengths))]
        words += [f"{self.target}={self.index}"] if self.target else []
        words += [f"fraction={_number(self.fraction)}"] if self.fraction < 1 else []
        once = not self.kind.lasts and self.end == self.begin + 1
        last = "" if self.end == FOREVER else str(self.end)
        return f"{':'.join(words)}@{self.begin}" + ("" if once else f"-{last}")


Perturbations: TypeAlias = tuple[Perturbation, ...]
"""What disturbs a life, in the order in which it does."""


def condition_kind(name: str, condition: Condition) -> Kind:
    """The kind of perturbation that sets a condition of a world."""

    def set_to(key: object, step: object, old: object, value: object) -> object:
        return value

    set_to.__doc__ = condition.text
    # The same conditions are the same kind: compiled code is kept by it.
    setter = _SETTERS.setdefault(condition.text, set_to)
    return Kind(name, name, setter, least=condition.least, most=condition.most)  # type: ignore[arg-type]


_SETTERS: dict[str, object] = {}


def parse_perturbation(text: str | Perturbation, conditions: Mapping[str, Condition] | None = None) -> Perturbation:
    """A perturbation of its text; ``conditions`` are those of the task's world.

    Raises UsageError for a text that is none: an unknown kind or target, strengths that are missing, too many or not
    finite, a schedule that ends before it begins.
    """
    if isinstance(text, Perturbation):
        return text
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"--perturb is {text!r}; it is written as KIND[:VALUE]@STEP, such as zero-weights@300.")
    words, at, when = text.strip().rpartition("@")
    if not at or "/" in when:
        words, when = text.strip(), "0-"
    kind, arguments = _kind_of(words, conditions or {}, text)
    begin, end = _when(when, kind, text)
    if kind.changes == BODY:
        if not arguments:
            raise UsageError(
                f"--perturb {quoted(text)}: {kind.name} needs a body, such as body:front-left=1.0,0.25@400."
            )
        return Perturbation(kind, begin=begin, end=end, body=" ".join(arguments), text=text)
    strengths: dict[str, float] = {}
    target, index, fraction = None, 0, 1.0
    positions = list(kind.strengths)
    for argument in arguments:
        name, equals, value = argument.rpartition("=")
        if not equals:
            left = [position for position in positions if position not in strengths]
            if not left:
                takes = f"takes {', '.join(positions)}" if positions else "takes no value"
                raise UsageError(
                    f"--perturb {quoted(text)}: there is a value too many, {argument!r}; {kind.name} {takes}."
                )
            name = left[0]
        if name in kind.strengths:
            strengths[name] = _strength(value, name, text)
        elif name == "fraction" and name in kind.targets:
            fraction = _strength(value, name, text)
            if not 0 < fraction <= 1:
                raise UsageError(f"--perturb {quoted(text)}: fraction is {value}; it must be above 0 and at most 1.")
        elif name in kind.targets:
            target, index = name, _whole(value, name, text)
        else:
            raise UsageError(
                f"--perturb {quoted(text)}: "
                + str(unknown(f"setting of {kind.name}", name, (*positions, *kind.targets)))
                if (*positions, *kind.targets)
                else f"--perturb {quoted(text)}: {kind.name} has no settings, but {argument!r} is given."
            )
    values = [strengths.get(name, default) for name, default in kind.strengths.items()]
    if None in values:
        missing = positions[values.index(None)]
        raise UsageError(f"--perturb {quoted(text)}: {kind.name} needs a {missing}, such as {kind.name}:0.5@{when}.")
    if kind.name == "delay-sensors":
        _whole(f"{values[0]:g}", "steps", text, 1, LONGEST_DELAY)
    return Perturbation(kind, tuple(v for v in values if v is not None), target, index, fraction, begin, end, text=text)


def _kind_of(words: str, conditions: Mapping[str, Condition], text: str) -> tuple[Kind, list[str]]:
    """The kind, and what follows it."""
    if ".py:" in words:
        file, _, rest = words.partition(".py:")
        function, *arguments = rest.split(":")
        return _users_kind(f"{file}.py", function, conditions, text), arguments
    name, *arguments = words.split(":")
    if name in KINDS:
        return KINDS[name], arguments
    if name in conditions:
        return condition_kind(name, conditions[name]), arguments
    if name == BODY:
        raise UsageError(f"--perturb {quoted(text)}: this task's bodies cannot change in the middle of a life.")
    error = unknown("perturbation", name, (*KINDS, *conditions))
    raise UsageError(f"{error} One of your own is given as my_file.py:my_function@STEP.")


def _users_kind(file: str, name: str, conditions: Mapping[str, Condition], text: str) -> Kind:
    path = user_path("The perturbation's file", Path.cwd() / os.path.expanduser(file)).resolve()
    if not path.is_file():
        raise UsageError(f"--perturb {quoted(text)}: there is no file {str(path)!r}.")
    check_file("The perturbation's file", path)
    with told(f"--perturb {quoted(text)}: running {path.name}"):
        module = load_file(path)
    function = getattr(module, name, None)
    if not inspect.isfunction(function):
        functions = [k for k, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
        raise unknown(f"perturbation in {path.name}", name, functions or ["(the file defines no function)"])
    parameters = list(inspect.signature(function).parameters.values())
    changed = (*CHANGED, *conditions)
    if (
        len(parameters) < 3
        or parameters[2].name not in changed
        or any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in parameters)
    ):
        raise UsageError(
            f"Perturbation {name!r} takes ({', '.join(map(str, parameters))}); a perturbation takes (key, step, …) "
            f"where the third is what it changes, one of {', '.join(changed)}, and then its strengths."
        )
    return Kind(f"{path}:{name}", parameters[2].name, function, parameters[2].name != "weights", str(path))


def _when(when: str, kind: Kind, text: str) -> tuple[int, int]:
    first, dash, last = when.partition("-")
    try:
        begin = int(first)
        end = int(last) if last else FOREVER if dash or kind.lasts else begin + 1
    except ValueError:
        raise UsageError(
            f"--perturb {quoted(text)}: {when!r} is no schedule; @300 is a step, @500-550 from one step to before "
            "another, @500- to the end of the life."
        ) from None
    if begin >= FOREVER or end > FOREVER:
        raise UsageError(f"--perturb {quoted(text)}: no life goes on for so many steps.")
    if end <= begin:
        raise UsageError(
            f"--perturb {quoted(text)}: the schedule ends at step {end}, before it begins at step {begin}."
        )
    return begin, end


def _strength(value: str, name: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 3.4e38:
        raise UsageError(f"--perturb {quoted(text)}: {name} is {value!r}; it must be a finite number.")
    return number


def _whole(value: str, name: str, text: str, minimum: int = 0, maximum: int = FOREVER) -> int:
    if not value.isdecimal() or not minimum <= int(value) <= maximum:
        raise UsageError(
            f"--perturb {quoted(text)}: {name} is {value!r}; it must be a whole number, {minimum} or more"
            + ("." if maximum == FOREVER else f", and at most {maximum}.")
        )
    return int(value)


def _number(value: float) -> str:
    return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
