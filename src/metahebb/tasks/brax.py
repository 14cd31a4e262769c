"""``brax:<env>``: the environments of Brax. ``--env-arg backend=spring`` chooses another of its physics."""

from __future__ import annotations

import warnings

from metahebb.errors import unknown
from metahebb.interrupts import told
from metahebb.tasks.suites import MAX_STEPS, beginning_and_step, import_suite, in_unit_box, suite_task
from metahebb.tasks.task import Options, Task

__all__ = ["PREFIX", "make"]

PREFIX = "brax:"


def make(name: str, options: Options) -> Task:
    """The task of an environment; raises UsageError for what is unknown, not installed or not supported."""
    envs = import_suite("brax.envs", "brax")
    identifier = name.removeprefix(PREFIX)
    if identifier not in envs._envs:
        raise unknown("environment of Brax", identifier, sorted(envs._envs))
    with told(f"Making the task {name!r}"), warnings.catch_warnings():
        # That Brax's environments are no longer worked on; our documentation says so.
        warnings.filterwarnings("ignore", "Brax System")
        env = envs.get_environment(identifier, **options.env_args)
    return suite_task(name, options, *beginning_and_step(env), in_unit_box(env.action_size), MAX_STEPS)
