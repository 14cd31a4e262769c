"""The registry of tasks: metahebb's own, and those that users register."""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import gymnasium
from gymnasium.envs.registration import EnvSpec

from metahebb.errors import UsageError, unknown
from metahebb.importing import REMEDY, import_user_module
from metahebb.interrupts import told
from metahebb.tasks import gymnasium as gymnasium_tasks
from metahebb.tasks.task import Options, Task

__all__ = ["describe_tasks", "make_task", "register_task"]

MakeTask: TypeAlias = Callable[[Options], Task]

OWN: Mapping[str, str] = {
    "car-racing": "metahebb.tasks.car_racing:make",
    "quadruped": "metahebb.tasks.quadruped:make_mujoco",
    "quadruped-bullet": "metahebb.tasks.quadruped:make_bullet",
}
"""The tasks that metahebb brings, each imported when it is asked for."""

SUITES: Mapping[str, str] = {
    "brax:": "metahebb.tasks.brax:make",
    "playground:": "metahebb.tasks.playground:make",
    "gymnax:": "metahebb.tasks.gymnax:make",
}
"""Other people's environments in JAX, by the prefix of their names; imported as the tasks are."""


class Brought(NamedTuple):
    """What a module of the user's registers when it is imported."""

    module: ModuleType
    tasks: dict[str, MakeTask]
    environments: dict[str, EnvSpec]


_registered: dict[str, MakeTask] = {}
_brought: dict[str, Brought] = {}
"""by the module's name, as a configuration has it"""
_importing: list[dict[str, MakeTask]] = []
"""the tasks that have been registered by modules whose import is under way"""


def register_task(name: str, make: MakeTask) -> None:
    """Register a task, so that it is trained, evaluated and filmed by its name.

    Call it in a file, and name that by ``--import my_tasks.py`` (from Python ``imports=["my_tasks.py"]``): workers and
    later commands import the file and find the task there.

    Args:
        name: such as ``"chase"``: letters and digits, and after the first ``-``, ``_``, ``.`` and ``/``.
        make: ``(options) → task``. It raises UsageError for options that the task does not have.

    Raises UsageError for a name that is taken or malformed. The same function may be registered again, as a module that
    is loaded anew does.
    """
    if not callable(make):
        raise UsageError(f"Task {name!r} is registered with {make!r}; it must be a function (options) → Task.")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w./-]*", name, re.ASCII):
        raise UsageError(
            f"{name!r} cannot be a task's name: it must be of letters, digits, '-', '_', '.' and '/', as 'my-task' is "
            f"({gymnasium_tasks.PREFIX}… are the registered environments)."
        )
    tasks = _importing[-1] if _importing else _registered
    if name in OWN or (name in tasks and _source_of(tasks[name]) != _source_of(make)):
        raise UsageError(f"There is a task {name!r} already; register yours by another name.")
    tasks[name] = make


def make_task(name: str, options: Options | None = None, imports: Iterable[str] = ()) -> Task:
    """The task of a name: one of metahebb's own or a registered one, ``gymnasium:<id>`` for an environment, or one
    of a suite's in JAX: ``brax:<env>``, ``playground:<env>``, ``gymnax:<env>``.

    ``imports`` are modules (dotted names or .py files) that register tasks or environments. Raises UsageError for what
    is not known, not installed or not supported.
    """
    # Before anything starts JAX: the process that is first would take most of an accelerator's memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    _import(imports)
    options = options or Options()
    prefix = gymnasium_tasks.PREFIX
    if name in OWN:
        return _imported(OWN[name])(options)
    if name in _registered:
        return _made_by_user(name, options)
    if name.startswith(prefix):
        return gymnasium_tasks.make(name, options)
    for suite, path in SUITES.items():
        if name.startswith(suite):
            return _imported(path)(name, options)
    if name in gymnasium.registry:
        raise UsageError(f"Unknown task {name!r}. Did you mean '{prefix}{name}'?")
    error = unknown(
        "task",
        name,
        [*OWN, *_registered, f"{prefix}<id> of any registered environment", *(f"{suite}<env>" for suite in SUITES)],
    )
    raise UsageError(f"{error} {REMEDY}")


def describe_tasks(imports: Iterable[str] = ()) -> list[tuple[str, ...]]:
    """(name, observation, action, bodies, target) of every task, the named ones first, environments in their newest
    version; (name, reason) of those that cannot be made here."""
    _import(imports)
    rows: list[tuple[str, ...]] = []
    for name in [*OWN, *_registered, *(f"{gymnasium_tasks.PREFIX}{identifier}" for identifier in _newest())]:
        try:
            task = make_task(name)
        except UsageError as e:
            rows.append((name, str(e)))
            continue
        target = "" if task.target is None else f"{task.target:g}"
        rows.append((name, str(task.encoder), str(task.readout), ", ".join(task.bodies), target))
    return rows


def _imported(path: str) -> Callable[..., Task]:
    module, _, function = path.partition(":")
    make: Callable[..., Task] = getattr(importlib.import_module(module), function)
    return make


def _import(names: Iterable[str]) -> None:
    """Import modules of the user's; what they register is in place then, whatever other modules' has been meanwhile."""
    by: dict[str, tuple[str, object]] = {}
    for name in names:
        environments = dict(gymnasium.registry)
        _importing.append({})
        try:
            with warnings.catch_warnings():
                # Of one run's modules it is refused below; those of different runs may well have the same names.
                warnings.filterwarnings("ignore", ".*Overriding environment")
                module = import_user_module(name)
        finally:
            tasks = _importing.pop()
        if name not in _brought or _brought[name].module is not module:
            new = {key: spec for key, spec in gymnasium.registry.items() if environments.get(key) is not spec}
            _brought[name] = Brought(module, tasks, new)
        brought = _brought[name]
        entries = {key: spec.entry_point for key, spec in brought.environments.items()}
        for key, made_by in {**brought.tasks, **entries}.items():
            other, source = by.setdefault(key, (name, _source_of(made_by)))
            if source != _source_of(made_by):
                raise UsageError(f"Both {other!r} and {name!r} register {key!r}; give one of them another name.")
        _registered.update(brought.tasks)
        gymnasium.registry.update(brought.environments)


def _made_by_user(name: str, options: Options) -> Task:
    with told(f"Making the task {name!r}"):
        task = _registered[name](options)
    if not isinstance(task, Task):
        raise UsageError(f"Making the task {name!r} returned {task!r}; it must return a metahebb.tasks.Task.")
    return task


def _source_of(made_by: Any) -> Any:
    """What a function or a class keeps when its module is loaded anew: its file and its name."""
    if isinstance(made_by, functools.partial):
        return _source_of(made_by.func), made_by.args, made_by.keywords
    file = getattr(sys.modules.get(getattr(made_by, "__module__", "")), "__file__", None)
    name = getattr(made_by, "__qualname__", None)
    return made_by if file is None or name is None else (os.path.realpath(file), name)


def _newest() -> list[str]:
    """The registered environments' identifiers, each in its newest version."""
    newest: dict[tuple[str | None, str], tuple[int, str]] = {}
    for identifier, spec in gymnasium.registry.items():
        key, version = (spec.namespace, spec.name), spec.version or 0
        if key not in newest or newest[key][0] < version:
            newest[key] = (version, identifier)
    return [identifier for _, identifier in newest.values()]
