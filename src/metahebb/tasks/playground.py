"""``playground:<env>``: the environments of MuJoCo Playground, Unitree's Go1 among them.

``--env-arg`` overrides what is in an environment's configuration, as in ``--env-arg Kp=40``. Models of real robots are
fetched by Playground itself when the first of their environments is made.
"""

from __future__ import annotations

from metahebb.errors import unknown
from metahebb.interrupts import told
from metahebb.tasks.suites import MAX_STEPS, beginning_and_step, import_suite, in_unit_box, suite_task
from metahebb.tasks.task import Options, Task

__all__ = ["PREFIX", "make"]

PREFIX = "playground:"


def make(name: str, options: Options) -> Task:
    """The task of an environment; raises UsageError for what is unknown, not installed or not supported."""
    registry = import_suite("mujoco_playground", "playground").registry
    identifier = name.removeprefix(PREFIX)
    if identifier not in registry.ALL_ENVS:
        raise unknown("environment of MuJoCo Playground", identifier, sorted(registry.ALL_ENVS))
    with told(f"Making the task {name!r}"):
        config = registry.get_default_config(identifier)
        # Warp's buffers belong to all lives together, so that none can be put into a slot.
        overrides = {"impl": "jax"} if "impl" in config else {}
        env = registry.load(identifier, config=config, config_overrides={**overrides, **options.env_args})
        limit = int(config.get("episode_length", MAX_STEPS))
    return suite_task(name, options, *beginning_and_step(env), in_unit_box(env.action_size), limit)
