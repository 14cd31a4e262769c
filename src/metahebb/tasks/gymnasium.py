"""``gymnasium:<id>``: any registered environment. Fitness is the sum of its rewards; it says when a life ends."""

from __future__ import annotations

from typing import Any

import gymnasium

from metahebb.encoders import encoder_for
from metahebb.errors import UsageError
from metahebb.readouts import readout_for
from metahebb.tasks.task import IMAGE_SETTINGS, Options, Task
from metahebb.worlds.gymnasium import GymnasiumWorld, make_environment

__all__ = ["PREFIX", "make"]

PREFIX = "gymnasium:"


def make(name: str, options: Options) -> Task:
    """The task of a registered environment; raises UsageError for what is unknown, not installed or not supported."""
    if options.simulator is not None:
        raise UsageError(
            f"--simulator is {options.simulator!r}, but task {name!r} has one simulator only; leave it out."
        )

    def environment(render: bool = False) -> gymnasium.Env[Any, Any]:
        return make_environment(
            name.removeprefix(PREFIX),
            options.env_args,
            greyscale=options.greyscale,
            frame_stack=options.frame_stack,
            render=render,
        )

    env = environment()
    try:
        encoder, readout = encoder_for(env.observation_space), readout_for(env.action_space)
        threshold = env.spec.reward_threshold if env.spec is not None else None
        pictures = "rgb_array" in env.metadata.get("render_modes", ["rgb_array"])
        frames_per_second = float(env.metadata.get("render_fps") or 30) if pictures else None
    finally:
        env.close()

    def world(slots: int, render: bool) -> GymnasiumWorld:
        return GymnasiumWorld(lambda: environment(render), slots)

    settings = IMAGE_SETTINGS if encoder.filters else {}
    return Task(name, encoder, readout, world, target=threshold, frames_per_second=frames_per_second, settings=settings)
