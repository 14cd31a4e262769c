"""What the suites of environments in JAX have in common: ``brax:<env>``, ``playground:<env>``, ``gymnax:<env>``.

Each adapter imports its suite and says how an environment begins and steps; here a task is made of that. Fitness is the
sum of the rewards, observations are vectors, and there are no pictures.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from metahebb.encoders import encoder_for
from metahebb.errors import UsageError, raised
from metahebb.interrupts import told
from metahebb.readouts import readout_for
from metahebb.tasks.task import VECTOR_SETTINGS, Options, Task
from metahebb.worlds.traced import VmappedWorld

__all__ = ["MAX_STEPS", "beginning_and_step", "import_suite", "in_unit_box", "suite_task"]

MAX_STEPS = 1000
"""of a life in suites whose environments have no limit of their own, as these suites train"""
SLOTS = 64


def import_suite(module: str, extra: str) -> ModuleType:
    """A suite's module; raises UsageError where it is missing or does not start."""
    remedy = f"pip install 'metahebb[{extra}]'"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        missing, _, _ = str(e.name).partition(".")
        raise UsageError(f"Tasks {extra}:<env> need {missing}: {remedy}") from e
    except Exception as e:
        raise UsageError(f"Importing {module} raised {raised(e)}; its packages may not fit each other: {remedy}") from e


def beginning_and_step(env: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The functions that ``VmappedWorld`` takes, of an environment whose state has all that a step tells (Brax's)."""

    def reset(key: jax.Array) -> tuple[jax.Array, Any]:
        state = env.reset(key)
        return state.obs, state

    def step(key: jax.Array, state: Any, action: jax.Array) -> tuple[Any, ...]:
        after = env.step(state, action)
        return after.obs, after, after.reward, after.done

    return reset, step


def in_unit_box(size: int) -> gymnasium.Space[Any]:
    """The space of so many actions between −1 and 1."""
    return gymnasium.spaces.Box(-1.0, 1.0, (size,), np.float32)


def suite_task(
    name: str,
    options: Options,
    reset: Callable[[jax.Array], tuple[jax.Array, Any]],
    step: Callable[..., tuple[Any, ...]],
    action_space: gymnasium.Space[Any],
    limit: int | None,
) -> Task:
    """The task of an environment that is written for one life, its functions as ``VmappedWorld`` takes them.

    ``limit`` is the number of steps after which a life ends unless the options say another; None where the environment
    itself ends it. Raises UsageError for options that no suite has, and for what the environment raises.
    """
    if dataclasses.replace(options, env_args={}, max_steps=None) != Options():
        raise UsageError(f"Task {name!r} has --env-arg and --max-steps; the other options are for gymnasium:<id>.")
    max_steps = options.max_steps or limit

    def observe(observation: Any) -> jax.Array:
        # MuJoCo Playground shows learners of values more than networks that act.
        seen = observation["state"] if isinstance(observation, dict) else observation
        return jnp.ravel(seen).astype(jnp.float32)

    def begin(key: jax.Array) -> tuple[jax.Array, Any]:
        observation, state = reset(key)
        return observe(observation), state

    def advance(key: jax.Array, state: Any, action: jax.Array) -> tuple[Any, ...]:
        observation, *rest = step(key, state, action)
        return observe(observation), *rest

    with told(f"Beginning a life in {name!r}"):
        size = jax.eval_shape(begin, jax.random.PRNGKey(0))[0].shape
    space = gymnasium.spaces.Box(-np.inf, np.inf, size, np.float32)
    return Task(
        name,
        encoder_for(space),
        readout_for(action_space),
        lambda slots, render: VmappedWorld(begin, advance, space, action_space, max_steps=max_steps),
        longest=max_steps,
        slots=SLOTS,
        frames_per_second=None,
        settings={**VECTOR_SETTINGS, **({} if max_steps == options.max_steps else {"max_steps": max_steps})},
    )
