"""The registry of tasks."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import gymnasium

from metahebb.errors import UsageError, unknown
from metahebb.files import user_path
from metahebb.tasks import car_racing, quadruped
from metahebb.tasks import gymnasium as gymnasium_tasks
from metahebb.tasks.task import Options, Task

__all__ = ["NAMED_TASKS", "describe_tasks", "import_user_module", "locate_user_module", "make_task"]

NAMED_TASKS: Mapping[str, Callable[[Options], Task]] = {
    car_racing.NAME: car_racing.make,
    quadruped.MUJOCO: quadruped.make_mujoco,
    quadruped.BULLET: quadruped.make_bullet,
}
"""The tasks with a name of their own; all others are ``gymnasium:<id>``."""


def make_task(name: str, options: Options | None = None, imports: tuple[str, ...] = ()) -> Task:
    """The task of a name: one of ``NAMED_TASKS``, or ``gymnasium:<id>`` for a registered environment.

    ``imports`` are modules (dotted names or .py files) that register environments. Raises UsageError for what is not
    known, not installed or not supported.
    """
    for module in imports:
        import_user_module(module)
    options = options or Options()
    prefix = gymnasium_tasks.PREFIX
    if name in NAMED_TASKS:
        return NAMED_TASKS[name](options)
    if name.startswith(prefix):
        return gymnasium_tasks.make(name, options)
    if name in gymnasium.registry:
        raise UsageError(f"Unknown task {name!r}. Did you mean '{prefix}{name}'?")
    raise unknown("task", name, [*NAMED_TASKS, f"{prefix}<id> of any registered environment"])


def describe_tasks(imports: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """(name, observation, action, bodies, target) of every task, the named ones first, environments in their newest
    version; (name, reason) of those that cannot be made here."""
    for module in imports:
        import_user_module(module)
    rows: list[tuple[str, ...]] = []
    for name in [*NAMED_TASKS, *(f"{gymnasium_tasks.PREFIX}{identifier}" for identifier in _newest())]:
        try:
            task = make_task(name)
        except UsageError as e:
            rows.append((name, str(e)))
            continue
        target = "" if task.target is None else f"{task.target:g}"
        rows.append((name, str(task.encoder), str(task.readout), ", ".join(task.bodies), target))
    return rows


def _newest() -> list[str]:
    """The registered environments' identifiers, each in its newest version."""
    newest: dict[tuple[str | None, str], tuple[int, str]] = {}
    for identifier, spec in gymnasium.registry.items():
        key, version = (spec.namespace, spec.name), spec.version or 0
        if key not in newest or newest[key][0] < version:
            newest[key] = (version, identifier)
    return [identifier for _, identifier in newest.values()]


def locate_user_module(name: str) -> str:
    """A module as a configuration names it: a file by its absolute path, so that it is found from any folder."""
    path = user_path("--import", Path(name if name.endswith(".py") else f"{name}.py").expanduser())
    return str(path.resolve()) if path.is_file() or name.endswith(".py") else name


def import_user_module(name: str) -> None:
    """Import a module of the user's by dotted name or file, once; raises UsageError in one sentence."""
    try:
        if name.endswith(".py"):
            path = user_path("--import", Path(name).expanduser()).resolve()
            if not path.is_file():
                raise UsageError(f"--import {name!r}: there is no such file.")
            if path.stem not in sys.modules:
                spec = importlib.util.spec_from_file_location(path.stem, path)
                assert spec is not None
                assert spec.loader is not None
                module = importlib.util.module_from_spec(spec)
                # Registered before it runs, so that entry points such as "my_envs:MyEnv" find it.
                sys.modules[path.stem] = module
                spec.loader.exec_module(module)
        else:
            # Beside the command there is nothing to import; users mean their working directory.
            if str(Path.cwd()) not in sys.path:
                sys.path.insert(0, str(Path.cwd()))
            importlib.import_module(name)
    except UsageError:
        raise
    except (Exception, SystemExit) as e:
        raise UsageError(f"--import {name!r} raised {type(e).__name__}: {e}") from e
