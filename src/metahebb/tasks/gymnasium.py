"""``gymnasium:<id>``: any registered environment. Fitness is the sum of its rewards; it says when a life ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from metahebb.encoders import VectorEncoder, encoder_for
from metahebb.errors import UsageError
from metahebb.readouts import readout_for
from metahebb.tasks.task import IMAGE_SETTINGS, VECTOR_SETTINGS, Options, Task
from metahebb.worlds.gymnasium import (
    GymnasiumWorld,
    make_environment,
    needs_fresh_environments,
    own_limit,
    reader_for,
    stacked,
)

__all__ = ["PREFIX", "make"]

output = logging.getLogger("metahebb.output")
"""shown and logged, but no warning"""

PREFIX = "gymnasium:"
MAX_STEPS = 10_000
"""of a life in an environment that has no limit itself: one that never ends would hold up its generation for ever"""
TRIED = 64
"""actions of random networks that an environment is tried with"""


def make(name: str, options: Options) -> Task:
    """The task of a registered environment; raises UsageError for what is unknown, not installed or not supported."""
    if options.simulator is not None:
        raise UsageError(
            f"--simulator is {options.simulator!r}, but task {name!r} has one simulator only; leave it out."
        )
    identifier, arguments, greyscale = name.removeprefix(PREFIX), options.env_args, options.greyscale
    env = make_environment(identifier, arguments, greyscale=greyscale)
    try:
        encoder = encoder_for(stacked(reader_for(env.observation_space).space, options.frame_stack))
        readout = readout_for(env.action_space)
        limit = own_limit(env)
        threshold = env.spec.reward_threshold if env.spec is not None else None
        pictures = "rgb_array" in env.metadata.get("render_modes", ["rgb_array"])
        frames_per_second = float(env.metadata.get("render_fps") or 30) if pictures else None
    finally:
        env.close()
    max_steps = options.max_steps or (None if limit else MAX_STEPS)

    def world(slots: int, render: bool = False) -> GymnasiumWorld:
        return GymnasiumWorld(
            lambda: make_environment(identifier, arguments, greyscale=greyscale, max_steps=max_steps, render=render),
            slots,
            frame_stack=options.frame_stack,
            fresh=bool(options.fresh_environments),
        )

    def trial() -> Mapping[str, Any]:
        if options.max_steps is None and not limit:
            output.info(
                "Environment %r has no limit of steps: a life ends after %d if it has not by itself (--max-steps).",
                identifier,
                MAX_STEPS,
            )
        outputs = np.random.default_rng(0).standard_normal((TRIED, readout.outputs), np.float32)
        actions = np.asarray(readout(jnp.asarray(outputs)))
        fresh = needs_fresh_environments(lambda: world(1), actions, options.fresh_environments)
        return {"fresh_environments": True} if fresh else {}

    vector = isinstance(encoder, VectorEncoder)
    settings = dict(IMAGE_SETTINGS if encoder.filters else VECTOR_SETTINGS if vector else {})
    if max_steps != options.max_steps:
        settings["max_steps"] = max_steps
    return Task(
        name,
        encoder,
        readout,
        world,
        target=threshold,
        frames_per_second=frames_per_second,
        longest=max_steps or limit,
        settings=settings,
        trial=trial,
    )
