"""CarRacing as a Gymnasium environment, and as a vector environment."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.error import InvalidAction
from gymnasium.utils import seeding
from gymnasium.vector.utils import batch_space

from metahebb.worlds.car_racing.physics import FPS
from metahebb.worlds.car_racing.picture import draw_picture
from metahebb.worlds.car_racing.world import CarRacing, Course, State, draw_colours, draw_course
from metahebb.worlds.traced import put_life

__all__ = ["CarRacingEnv", "CarRacingVectorEnv"]

RENDER_MODES = ["rgb_array"]


def _check_action(action: Any, shape: tuple[int, ...], continuous: bool) -> np.ndarray:
    given = np.asarray(action)
    if given.shape != shape:
        raise InvalidAction(f"the action has shape {given.shape}; it must be {shape}")
    if continuous:
        with np.errstate(over="ignore"):
            given = given.astype(np.float32)
        if np.isnan(given).any():
            lives = np.flatnonzero(np.isnan(given).any(-1)) if given.ndim > 1 else ()
            whose = f"s of lives {', '.join(map(str, lives))} are NaN" if len(lives) else f" {given} is NaN"
            raise InvalidAction(f"the action{whose} in at least one place")
        return given
    if not np.issubdtype(given.dtype, np.integer) or (given < 0).any() or (given > 4).any():
        raise InvalidAction(f"the action {action} is none of 0 to 4: nothing, right, left, gas, brake")
    return given.astype(np.int32)


def _check_render_mode(render_mode: str | None) -> None:
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode is {render_mode!r}; it must be None or one of {RENDER_MODES}")


@functools.lru_cache(maxsize=8)
def _compiled_step(continuous: bool, lap_complete_percent: float) -> Any:
    """One step for all environments that are alike; each number of lives is compiled once."""
    world = CarRacing(continuous=continuous, lap_complete_percent=lap_complete_percent)
    return jax.jit(world.step, donate_argnums=0)


def _keeps_colours(options: dict[str, Any] | None) -> bool:
    return options is not None and not options.get("randomize", True)


class CarRacingEnv(gymnasium.Env[np.ndarray, Any]):
    """One life of CarRacing, with the arguments, spaces, seeds and rewards of Gymnasium's CarRacing-v3.

    ``reset(options={"randomize": False})`` keeps the colours of the life before, under ``domain_randomize``.
    ``render()`` with ``render_mode="rgb_array"`` gives uint8 [400, 600, 3].
    """

    metadata = {"render_modes": RENDER_MODES, "render_fps": FPS}  # noqa: RUF012

    def __init__(
        self,
        render_mode: str | None = None,
        lap_complete_percent: float = 0.95,
        domain_randomize: bool = False,
        continuous: bool = True,
    ) -> None:
        _check_render_mode(render_mode)
        self.render_mode = render_mode
        self.world = CarRacing(
            continuous=continuous,
            domain_randomize=domain_randomize,
            lap_complete_percent=lap_complete_percent,
        )
        self.observation_space = self.world.observation_space
        self.action_space = self.world.action_space
        self._step = _compiled_step(continuous, lap_complete_percent)
        self._state: State | None = None
        self._colours = draw_colours(self.np_random) if domain_randomize else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a life; without a seed, the next one of the environment's random numbers."""
        super().reset(seed=seed)
        keep = self._colours if _keeps_colours(options) else None
        course = draw_course(self.np_random, self.world.domain_randomize, keep)
        if self.world.domain_randomize:
            self._colours = np.asarray(course.colours)
        self._state, observation = self.world.begin([course])
        return np.array(observation[0]), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Drive for a fiftieth of a second."""
        if self._state is None:
            raise gymnasium.error.ResetNeeded("step() before reset()")
        checked = _check_action(action, self.action_space.shape or (), self.world.continuous)
        self._state, observation, reward, terminated = self._step(self._state, jnp.asarray(checked[None]))
        ended = bool(terminated[0])
        info = {"lap_finished": float(reward[0]) > -100} if ended else {}
        return np.array(observation[0]), float(reward[0]), ended, False, info

    def render(self) -> np.ndarray | None:
        """The big view, uint8 [400, 600, 3]."""
        if self.render_mode is None or self._state is None:
            return None
        return draw_picture(self._state, 0)


class CarRacingVectorEnv(gymnasium.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Many lives in one compiled step; an ended life begins anew with the step after its last.

    ``reset(options={"randomize": False})`` keeps the lives' colours, under ``domain_randomize``; a life that
    begins anew by itself has new ones.
    """

    metadata = {  # noqa: RUF012
        "render_modes": RENDER_MODES,
        "render_fps": FPS,
        "autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        lap_complete_percent: float = 0.95,
        domain_randomize: bool = False,
        continuous: bool = True,
        max_episode_steps: int = 1000,
    ) -> None:
        _check_render_mode(render_mode)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.world = CarRacing(
            continuous=continuous,
            domain_randomize=domain_randomize,
            lap_complete_percent=lap_complete_percent,
        )
        self.single_observation_space = self.world.observation_space
        self.single_action_space = self.world.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._max_episode_steps = max_episode_steps
        self._step = _compiled_step(continuous, lap_complete_percent)
        self._state: State | None = None
        self._rngs = [seeding.np_random()[0] for _ in range(num_envs)]
        self._colours = [draw_colours(rng) if domain_randomize else None for rng in self._rngs]
        self._ended = np.zeros(num_envs, bool)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin all lives; ``seed`` s gives life i the seed s + i."""
        if seed is not None:
            seeds = [seed + slot for slot in range(self.num_envs)] if isinstance(seed, int) else seed
            if len(seeds) != self.num_envs:
                raise ValueError(f"{len(seeds)} seeds were given for {self.num_envs} lives")
            self._rngs = [seeding.np_random(one)[0] for one in seeds]
        keep = _keeps_colours(options)
        courses = [self._draw_course(slot, keep) for slot in range(self.num_envs)]
        self._state, observations = self.world.begin(courses)
        self._ended = np.zeros(self.num_envs, bool)
        return np.array(observations), {}

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Drive all lives; those that ended with the last step begin anew, their actions unused."""
        if self._state is None:
            raise gymnasium.error.ResetNeeded("step() before reset()")
        shape = (self.num_envs, *(self.single_action_space.shape or ()))
        checked = _check_action(actions, shape, self.world.continuous)
        self._state, observations, rewards, terminated = self._step(self._state, jnp.asarray(checked))
        begun = np.flatnonzero(self._ended)
        for slot in begun:
            newborn = self.world.begin([self._draw_course(int(slot))])
            self._state, observations = put_life((self._state, observations), newborn, int(slot))
        # Copies, which the next step's donation cannot touch and whoever asked may write to.
        observation_array, reward_array, terminated_array = (
            np.array(leaf) for leaf in (observations, rewards, terminated)
        )
        reward_array[begun], terminated_array[begun] = 0.0, False
        truncated = np.asarray(self._state.steps) >= self._max_episode_steps
        self._ended = terminated_array | truncated
        info = {}
        if terminated_array.any():
            info = {"lap_finished": terminated_array & (reward_array > -100), "_lap_finished": terminated_array.copy()}
        return observation_array, reward_array.astype(np.float64), terminated_array, truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """The big views, uint8 [400, 600, 3] each."""
        if self.render_mode is None or self._state is None:
            return None
        return tuple(draw_picture(self._state, slot) for slot in range(self.num_envs))

    def _draw_course(self, slot: int, keep_colours: bool = False) -> Course:
        colours = self._colours[slot] if keep_colours else None
        course = draw_course(self._rngs[slot], self.world.domain_randomize, colours)
        self._colours[slot] = np.asarray(course.colours)
        return course
