"""A rule given as a function from Python, written down as a file of its own.

Workers, resumed runs and evaluations elsewhere need the rule's text; a file has it, a function in a notebook or a
script does not. The file must stand for itself, so the function may use its parameters, modules and plain numbers,
nothing else; a default is a plain number, or is written out where it stands.
"""

from __future__ import annotations

import ast
import dis
import inspect
import math
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from metahebb.errors import UsageError

__all__ = ["write_rule"]


def write_rule(function: Callable[..., Any], folder: Path) -> str:
    """Write the function into ``folder``; returns the rule's name, ``file.py:function``.

    Raises UsageError for what has no source (a lambda, or code typed into a plain prompt) or uses more than modules and
    numbers from around it.
    """
    name = getattr(function, "__name__", repr(function))
    if not inspect.isfunction(function) or name == "<lambda>":
        raise UsageError(f"A rule given from Python is a function made with def; {name!r} is not. Give it a name.")
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except OSError as e:
        raise UsageError(
            f"The source of rule {name!r} cannot be found. Write it into a file and give it as 'my_rules.py:{name}'."
        ) from e
    around = function.__globals__
    used = {variable: around[variable] for variable in _globals_read(function.__code__) if variable in around}
    lines = []
    for variable, value in {**used, **inspect.getclosurevars(function).nonlocals}.items():
        if isinstance(value, types.ModuleType):
            lines.append(f"import {value.__name__} as {variable}")
        elif (number := _number(value)) is not None:
            lines.append(f"{variable} = {number}")
        else:
            raise UsageError(
                f"Rule {name!r} uses {variable!r}, which is neither a module nor a number. Write both into a file and "
                f"give the rule as 'my_rules.py:{name}'."
            )
    path = folder / f"{name}.py"
    # The names in its annotations are not among what it uses.
    header = ["from __future__ import annotations", "", *sorted(lines)]
    path.write_text("\n".join([*header, "", "", _with_plain_defaults(text, function)]), encoding="utf-8")
    return f"{path}:{name}"


def _number(value: object) -> str | None:
    """A number as it is written; None for anything else."""
    if isinstance(value, bool | int):
        return repr(value)
    if not isinstance(value, float):
        return None
    # A plain number also of NumPy's float64.
    plain = repr(float(value))
    return plain if math.isfinite(value) else f"float({plain!r})"


def _with_plain_defaults(text: str, function: Callable[..., Any]) -> str:
    """A function's text, with the values of its defaults in the place of names from around it."""
    (definition,) = ast.parse(text).body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    arguments = definition.args
    positional = [*arguments.posonlyargs, *arguments.args]
    named = [*positional[len(positional) - len(arguments.defaults) :], *arguments.kwonlyargs]
    parameters = inspect.signature(function).parameters
    lines = [line.encode() for line in text.splitlines()]
    # From the last to the first, so that the places of those before it stay.
    for argument, default in reversed([*zip(named, [*arguments.defaults, *arguments.kw_defaults], strict=True)]):
        if default is None or isinstance(default, ast.Constant):
            continue
        number = _number(parameters[argument.arg].default)
        if number is None:
            raise UsageError(
                f"Rule {function.__name__!r} has a default for {argument.arg!r} that is no number. Write it into a "
                f"file and give the rule as 'my_rules.py:{function.__name__}'."
            )
        first, last = default.lineno - 1, (default.end_lineno or default.lineno) - 1
        # Python counts the bytes of a line.
        after = lines[last][default.end_col_offset :]
        lines[first : last + 1] = [lines[first][: default.col_offset] + number.encode() + after]
    return "\n".join(line.decode() for line in lines) + "\n"


def _globals_read(code: types.CodeType) -> set[str]:
    """The global names that code reads, functions within it included (attributes of the same name are none)."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    return names.union(*(_globals_read(inner) for inner in code.co_consts if isinstance(inner, types.CodeType)))
