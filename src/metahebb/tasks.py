"""What a life is in each world, and the registry of tasks.

A task is a world whose rewards sum to the fitness and which says when a life ends, the readout that turns outputs into
actions, and the settings that its users start from.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium

from metahebb.encoders import Encoder, encoder_for
from metahebb.errors import UsageError, unknown
from metahebb.readouts import Readout, readout_for
from metahebb.worlds import HostWorld, TracedWorld
from metahebb.worlds.gymnasium import GymnasiumWorld, make_environment

__all__ = ["NAMED_TASKS", "Task", "describe_tasks", "import_user_module", "make_task"]

GYMNASIUM = "gymnasium:"


@dataclass(frozen=True)
class Task:
    """A task: everything of a life but the network."""

    name: str
    encoder: Encoder
    readout: Readout
    make_world: Callable[[int, bool], HostWorld | TracedWorld]
    """(slots, render) → a world of so many slots, ready for pictures or not."""
    output_activation: str = "linear"
    target: float | None = None
    """The mean fitness at which the task counts as solved, where its makers name one."""
    slots: int = 16
    """Lives that one worker lives at the same time; part of a run's identity, since it shapes the compiled code."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of ``Configuration`` that differ from its defaults."""


def make_task(
    name: str,
    environment_arguments: Mapping[str, Any] | None = None,
    *,
    greyscale: bool = False,
    frame_stack: int = 1,
    imports: tuple[str, ...] = (),
) -> Task:
    """The task of a name: one of ``NAMED_TASKS``, or ``gymnasium:<id>`` for a registered environment.

    ``imports`` are modules (dotted names or .py files) that register environments. Raises UsageError for what is not
    known, not installed or not supported.
    """
    for module in imports:
        import_user_module(module)
    arguments = dict(environment_arguments or {})
    if name in NAMED_TASKS:
        return NAMED_TASKS[name](arguments, greyscale, frame_stack)
    if not name.startswith(GYMNASIUM):
        if name in gymnasium.registry:
            raise UsageError(f"Unknown task {name!r}. Did you mean '{GYMNASIUM}{name}'?")
        raise unknown("task", name, [*NAMED_TASKS, f"{GYMNASIUM}<id> of any registered environment"])

    def make(render: bool = False) -> gymnasium.Env[Any, Any]:
        identifier = name.removeprefix(GYMNASIUM)
        return make_environment(identifier, arguments, greyscale=greyscale, frame_stack=frame_stack, render=render)

    env = make()
    try:
        encoder, readout = encoder_for(env.observation_space), readout_for(env.action_space)
        threshold = env.spec.reward_threshold if env.spec is not None else None
    finally:
        env.close()
    return Task(
        name,
        encoder,
        readout,
        lambda slots, render: GymnasiumWorld(lambda: make(render), slots),
        target=threshold,
    )


NAMED_TASKS: dict[str, Callable[[dict[str, Any], bool, int], Task]] = {}
"""Tasks with a name of their own: (environment arguments, greyscale, frame stack) → task."""


def describe_tasks(imports: tuple[str, ...] = ()) -> list[tuple[str, str, str, str]]:
    """(name, observation, action, target) of every task that can be made here, the named ones first.

    Environments are listed in their newest version; those whose packages are missing are listed without their spaces.
    """
    for module in imports:
        import_user_module(module)
    rows = []
    for name in [*NAMED_TASKS, *(f"{GYMNASIUM}{identifier}" for identifier in _newest())]:
        try:
            task = make_task(name)
        except UsageError as e:
            rows.append((name, str(e).partition(": ")[2] or str(e), "", ""))
            continue
        rows.append((name, str(task.encoder), str(task.readout), "" if task.target is None else f"{task.target:g}"))
    return rows


def _newest() -> list[str]:
    """The registered environments' identifiers, each in its newest version."""
    newest: dict[tuple[str | None, str], tuple[int, str]] = {}
    for identifier, spec in gymnasium.registry.items():
        key, version = (spec.namespace, spec.name), spec.version or 0
        if key not in newest or newest[key][0] < version:
            newest[key] = (version, identifier)
    return [identifier for _, identifier in newest.values()]


def import_user_module(name: str) -> None:
    """Import a module of the user's by dotted name or file, once; raises UsageError in one sentence."""
    try:
        if name.endswith(".py"):
            path = Path(name).expanduser().resolve()
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
    except Exception as e:
        raise UsageError(f"--import {name!r} raised {type(e).__name__}: {e}") from e
