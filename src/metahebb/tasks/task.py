"""What a task is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from metahebb.encoders import Encoder
from metahebb.readouts import Readout
from metahebb.worlds import HostWorld, TracedWorld

__all__ = ["ENVIRONMENTAL", "IMAGE_SETTINGS", "VECTOR_SETTINGS", "Options", "Task"]


@dataclass(frozen=True)
class Options:
    """What a user may choose about a task's world; a task refuses what it does not have."""

    env_args: Mapping[str, Any] = field(default_factory=dict)
    greyscale: bool = False
    frame_stack: int = 1
    simulator: str | None = None
    max_steps: int | None = None
    """after which a life ends; None for the environment's own limit"""
    fresh_environments: bool | None = None
    """whether each life has an environment of its own; None where that has not been looked into"""

    @property
    def environmental(self) -> bool:
        """Whether any is given that only ``gymnasium:<id>`` has."""
        return dataclasses.replace(self, simulator=None) != Options()


ENVIRONMENTAL = "--env-arg, --greyscale, --frame-stack, --max-steps and --fresh-environments"
"""the options that only environments of Gymnasium have"""

IMAGE_SETTINGS: Mapping[str, Any] = {"start_scale": 0.3, "filter_scale": 0.3}
"""Settings of tasks with images. With the paper's scales of 1 the filters are saturated and show little of the image:
of four seeds on CarRacing two did not move for 15 generations and a third stayed below 50 for 150."""


VECTOR_SETTINGS: Mapping[str, Any] = {"start_scale": 0.3, "normalise_observations": True}
"""Settings of environments, Gymnasium's and those of suites in JAX, that observe numbers. With raw numbers and a scale
of 1 all networks of a generation tie on Acrobot and MountainCar, and HalfCheetah's population is at −160 after 13
generations instead of 360 (docs/defaults.md)."""


@dataclass(frozen=True)
class Task:
    """A task: everything of a life but the network.

    Its world's rewards sum to the fitness, and its world says when a life ends.
    """

    name: str
    encoder: Encoder
    readout: Readout
    make_world: Callable[[int, bool], HostWorld | TracedWorld]
    """(slots, render) → a world of so many slots, ready for pictures or not."""
    output_activation: str = "linear"
    frames_per_second: float | None = 30.0
    """Pictures of its world for a film in real time; None where it makes no pictures."""
    target: float | None = None
    """The mean fitness at which the task counts as solved, where its makers name one."""
    longest: int | None = None
    """The steps after which its lives end at the latest, where that is known."""
    slots: int = 16
    """Lives that one worker lives at the same time; part of a run's identity, since it shapes the compiled code."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of ``Configuration`` that differ from its defaults."""
    paper: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the preset ``paper`` that differ from those of other tasks."""
    bodies: tuple[str, ...] = ()
    """Names of the bodies that its lives can have; empty where there is but one."""
    measured_in: str | None = None
    """The simulator that the commands score and film in unless told otherwise; None for that of the training."""
    trial: Callable[[], Mapping[str, Any]] | None = None
    """Tries the world before a run: the settings that it was found to need. Raises UsageError for one that is not fit,
    and logs what a user should know."""
    parse_body: Callable[[str], str] | None = None
    """A body's text as it is written in a configuration; raises UsageError for one that cannot be."""
