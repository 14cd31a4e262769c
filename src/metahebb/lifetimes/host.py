"""Lives in a world on the host: the network's step is compiled, the world's is called."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import numpy as np

from metahebb.lifetimes.lives import OBSERVATION, REWARD, Life, Outcome
from metahebb.lifetimes.slots import Alone, Slots, compiler_options
from metahebb.lifetimes.step import Step, step
from metahebb.networks import Network, Plasticity, State
from metahebb.readouts import Readout
from metahebb.tasks import Task
from metahebb.worlds import HostWorld

__all__ = ["HostSlots"]

LARGEST = float(np.finfo(np.float32).max)
"""of a fitness: the strategies compute in float32, and squares of larger ones are beyond float64 too"""


class HostSlots(Slots):
    """Slots over a ``HostWorld``."""

    STRETCH = 64

    def __init__(self, network: Network, task: Task, world: HostWorld) -> None:
        super().__init__(network, task)
        self._world = world
        self._step = _compiled_step(network, task.readout, recorded=False)
        self._recorded_step = _compiled_step(network, task.readout, recorded=True)
        space = world.observation_space
        kept = space.dtype in (np.uint8, np.int64)
        self._observation = np.zeros((task.slots, *(space.shape or ())), space.dtype if kept else np.float32)

    def _begin(self, slot: int, life: Life) -> None:
        self._observation[slot] = self._world.reset(slot, life.world, life.body)

    def advance(self) -> list[Outcome]:
        living = self.living
        for _ in range(self.STRETCH if len(living) else 0):
            _, _, ended = self._live_a_step(self._step, living)
            if len(ended):
                return [self._end(int(slot)) for slot in ended]
        return []

    def _live_alone(self, slot: int) -> Alone:
        lived, rewards, ended = self._live_a_step(self._recorded_step, np.array([slot]))
        assert lived.acted is not None
        return Alone(lived.acted, lived.activities, float(rewards[0]), bool(len(ended)))

    def _picture(self, slot: int) -> np.ndarray:
        return self._world.render(slot)

    def _live_a_step(self, compiled: _CompiledStep, living: np.ndarray) -> tuple[Step, np.ndarray, np.ndarray]:
        """Step all networks, and the worlds of the ``living`` slots; the rewards of these, and those that ended.

        A life whose outputs are not finite ends without a step of its world, and its reward is NaN.
        """
        self._look_for_faults(living)
        lived = compiled(self._plasticity, self._state, self._observation)
        self._state = lived.state
        finite = np.asarray(lived.finite)[living]
        acting, ended = living[finite], living[~finite]
        rewards = np.full(len(living), np.nan)
        if len(acting):
            observations, rewards[finite], over = self._world.step(acting, np.asarray(lived.action)[acting])
            self._observation[acting] = observations
            endless = ~(np.abs(self._fitness[acting] + rewards[finite]) <= LARGEST)
            over = over | endless
            if over.any():
                for slot in acting[endless]:
                    self._fault[slot] = REWARD
                rewards[finite] = np.where(endless, np.nan, rewards[finite])
                ended = np.union1d(ended, acting[over])
        self._fitness[living] += rewards
        self._age[living] += 1
        return lived, rewards, ended

    def _look_for_faults(self, living: np.ndarray) -> None:
        """Note whose observations are not finite: what follows is not their network's fault."""
        if self._observation.dtype == np.float32 and not np.isfinite(self._observation).all():
            for slot in living[~np.isfinite(self._observation[living]).reshape(len(living), -1).all(axis=1)]:
                self._fault[slot] = OBSERVATION


_CompiledStep = Callable[[Plasticity, State, np.ndarray], Step]


@functools.lru_cache(maxsize=16)
def _compiled_step(network: Network, readout: Readout, recorded: bool) -> _CompiledStep:
    def one_step(plasticity: Plasticity, state: State, observation: jax.Array) -> Step:
        lived = step(network, readout, plasticity, state, observation)
        return lived if recorded else lived._replace(acted=None)

    return jax.jit(one_step, donate_argnums=() if recorded else 1, compiler_options=dict(compiler_options()))
