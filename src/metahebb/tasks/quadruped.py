"""``quadruped`` and ``quadruped-bullet``: the paper's second task, in MuJoCo and exactly as published in Bullet.

Fitness is the progress towards the target: ``worlds.quadruped.observation`` lists the 28 observations and says what
progress is, ``worlds.quadruped.life`` what a life is. Outputs pass tanh, which is also their post-synaptic activity,
and are the eight joints' torques. Nothing normalises the weights.

MuJoCo is its C library, or with ``--simulator mjx`` the same robot in JAX, for accelerators
(``worlds.quadruped.mjx``); scores that count are those in C.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from metahebb.encoders import VectorEncoder
from metahebb.errors import UsageError, unknown
from metahebb.tasks.task import ENVIRONMENTAL, Options, Task
from metahebb.worlds import HostWorld, TracedStep, TracedWorld
from metahebb.worlds.quadruped import (
    LIFE_ACTIONS,
    MORPHOLOGIES,
    BulletQuadruped,
    LifeProgress,
    MujocoQuadruped,
    begin_lives,
    follow_lives,
    parse_morphology,
)
from metahebb.worlds.quadruped.bullet_robot import import_pybullet

if TYPE_CHECKING:
    from metahebb.worlds.quadruped.mjx import MjxQuadruped, MjxState

__all__ = ["BULLET", "MUJOCO", "make_bullet", "make_mujoco"]

MUJOCO = "quadruped"
BULLET = "quadruped-bullet"
C_LIBRARY, MJX = "mujoco", "mjx"
"""the simulators of ``quadruped``; the first is the one that scores are measured in"""
EXACT = "exact"
"""the simulator of ``quadruped-bullet`` that published numbers are measured in"""
TRAINING_BODIES = ("standard", "front-right-damaged")
SEARCH = {
    "normalise_observations": True,
    "population": 256,
    "bodies_in_turn": True,
    "start_scale": 0.3,
    "lr": 0.15,
    "lr_decay": 0.985,
    "lr_minimum": 0.03,
}
"""how to evolve in a tenth of the published steps: docs/results.md has what was tried"""


@dataclass(frozen=True)
class TorqueReadout:
    """The outputs themselves: tanh has bounded them already."""

    outputs: int = 8

    def __str__(self) -> str:
        return "8 torques in [-1, 1]"

    def __call__(self, outputs: jax.Array) -> jax.Array:
        """Outputs [lives, 8] → actions, float32 [lives, 8]."""
        return outputs


class QuadrupedLives(HostWorld):
    """Lives of the task in one of the quadruped's worlds."""

    def __init__(self, world: MujocoQuadruped | BulletQuadruped, slots: int) -> None:
        self.world = world
        self.observation_space = world.observation_space
        self.action_space = world.action_space
        self._progress = begin_lives(slots)
        self._bodies = ["standard"] * slots
        if isinstance(world, MujocoQuadruped):
            self.conditions = world.conditions

    def reset(self, slot: int, seed: int, body: str = "") -> np.ndarray:
        """Begin a life: the observation of the reset, after which the robot settles on the floor."""
        self._bodies[slot] = body or "standard"
        observation = self.world.reset(slot, seed, morphology=parse_morphology(self._bodies[slot]))
        self.world.settle(slot)
        for all_lives, newborn in zip(self._progress, begin_lives(1), strict=True):
            all_lives[slot] = newborn[0]
        return observation

    def step(self, slots: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step the lives of ``slots`` (see ``HostWorld``)."""
        observations, progress, fallen = self.world.step(slots, actions)
        followed, over = follow_lives(LifeProgress(*(lives[slots] for lives in self._progress)), progress, fallen)
        for all_lives, stepped in zip(self._progress, followed, strict=True):
            all_lives[slots] = stepped
        return observations, progress, over

    def set_condition(self, slot: int, name: str, value: float | str) -> None:
        """Change a condition of MuJoCo's world (see ``HostWorld``); no body is the life's own."""
        assert isinstance(self.world, MujocoQuadruped)
        self.world.set_condition(slot, name, self._bodies[slot] if value == "" else value)

    def render(self, slot: int) -> np.ndarray:
        """The robot from the side, followed by the camera."""
        return self.world.render(slot)

    def close(self) -> None:
        """Free the simulator."""
        self.world.close()


class TracedLivesState(NamedTuple):
    """Robots, and how far their lives have come."""

    robots: MjxState
    progress: LifeProgress


class TracedQuadrupedLives(TracedWorld):
    """Lives of the task in the quadruped's traced world."""

    together = True

    def __init__(self, world: MjxQuadruped) -> None:
        self.world = world
        self.observation_space = world.observation_space
        self.action_space = world.action_space

    def reset(self, seeds: np.ndarray, bodies: Sequence[str] = ()) -> tuple[TracedLivesState, jax.Array]:
        """Begin lives: the observations are those of the reset, after which the robots settle on the floor."""
        robots, observation = self.world.reset(seeds, bodies)
        zero = jnp.zeros(len(seeds), jnp.int32)
        return TracedLivesState(robots, LifeProgress(zero, zero)), observation

    def step(self, state: TracedLivesState, action: jax.Array) -> TracedStep:
        """Advance all lives by one step."""
        robots, observation, progress, fallen = self.world.step(state.robots, action)
        followed, over = follow_lives(state.progress, progress, fallen)
        return TracedStep(TracedLivesState(robots, followed), observation, progress, over)

    def render(self, state: TracedLivesState, slot: int) -> np.ndarray:
        """The robot from the side, followed by the camera."""
        return self.world.render(state.robots, slot)


def make_mujoco(options: Options) -> Task:
    """The task in MuJoCo; raises UsageError where MJX is asked for and missing."""
    _refuse(MUJOCO, options, (C_LIBRARY, MJX))
    if options.simulator != MJX:
        return _task(MUJOCO, lambda slots: QuadrupedLives(MujocoQuadruped(slots), slots), slots=32)
    from metahebb.worlds.quadruped.mjx import MjxQuadruped, import_mjx

    import_mjx()
    return _task(MUJOCO, lambda slots: TracedQuadrupedLives(MjxQuadruped()), slots=8, measured_in=C_LIBRARY)


def make_bullet(options: Options) -> Task:
    """The task in Bullet; raises UsageError where PyBullet is missing."""
    simulators = (EXACT, "merged")
    _refuse(BULLET, options, simulators)
    try:
        import_pybullet()
    except ImportError as e:
        raise UsageError(str(e)) from e
    merged = options.simulator == "merged"

    def lives(slots: int) -> QuadrupedLives:
        return QuadrupedLives(BulletQuadruped(slots, merged=merged), slots)

    return _task(BULLET, lives, slots=16, measured_in=EXACT)


def _refuse(name: str, options: Options, simulators: tuple[str, ...]) -> None:
    if options.environmental:
        raise UsageError(f"Task {name!r} is fixed; {ENVIRONMENTAL} are for gymnasium:<id>.")
    if options.simulator is not None and options.simulator not in simulators:
        raise unknown("simulator", options.simulator, simulators)


def _task(
    name: str,
    simulation: Callable[[int], QuadrupedLives | TracedQuadrupedLives],
    slots: int,
    measured_in: str | None = None,
) -> Task:
    def world(slots: int, render: bool) -> HostWorld | TracedWorld:
        lives = simulation(slots)
        if render:
            # A picture at once, so that what drawing lacks is known before a life is lived.
            try:
                if isinstance(lives, TracedQuadrupedLives):
                    lives.render(lives.reset(np.zeros(1, np.int64))[0], 0)
                else:
                    lives.reset(0, 0)
                    lives.render(0)
            except RuntimeError as e:
                raise UsageError(str(e)) from e
        return lives

    def parse_body(text: str) -> str:
        try:
            return str(parse_morphology(text))
        except ValueError as e:
            raise UsageError(str(e)) from e

    published = {"population": 500, "generations": 500, "lr": 0.2, "sigma": 0.1}
    return Task(
        name,
        VectorEncoder(28),
        TorqueReadout(),
        world,
        output_activation="tanh",
        frames_per_second=1 / 0.0165,
        slots=slots,
        settings={"normaliser": "none", "morphologies": TRAINING_BODIES, **SEARCH},
        paper=published,
        longest=LIFE_ACTIONS,
        bodies=tuple(MORPHOLOGIES),
        measured_in=measured_in,
        parse_body=parse_body,
    )
