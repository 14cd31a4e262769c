"""``gymnax:<env>``: the environments of gymnax. ``--env-arg`` sets one of its parameters."""

from __future__ import annotations

from typing import Any

import jax

from metahebb.errors import UsageError, unknown
from metahebb.interrupts import told
from metahebb.tasks.suites import import_suite, suite_task
from metahebb.tasks.task import Options, Task

__all__ = ["PREFIX", "make"]

PREFIX = "gymnax:"


def make(name: str, options: Options) -> Task:
    """The task of an environment; raises UsageError for what is unknown, not installed or not supported."""
    gymnax, spaces = import_suite("gymnax", "gymnax"), import_suite("gymnax.environments.spaces", "gymnax")
    identifier = name.removeprefix(PREFIX)
    if identifier not in gymnax.registered_envs:
        raise unknown("environment of gymnax", identifier, sorted(gymnax.registered_envs))
    with told(f"Making the task {name!r}"):
        env, defaults = gymnax.make(identifier)
        missing = [key for key in options.env_args if not hasattr(defaults, key)]
        if missing:
            raise UsageError(f"{identifier!r} has no parameter {missing[0]!r}; it has {defaults}.")
        params = defaults.replace(**options.env_args)
        action_space = spaces.gymnax_space_to_gym_space(env.action_space(params))

    def reset(key: jax.Array) -> tuple[jax.Array, Any]:
        observation, state = env.reset_env(key, params)
        return observation, state

    def step(key: jax.Array, state: Any, action: jax.Array) -> tuple[Any, ...]:
        observation, after, reward, terminated, _ = env.step_env(key, state, action, params)
        return observation, after, reward, terminated, env.is_truncated(after, params)

    return suite_task(name, options, reset, step, action_space, None)
