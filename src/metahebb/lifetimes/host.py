"""Lives in a world on the host: the network's step is compiled, the world's is called."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from metahebb.lifetimes.lives import OBSERVATION, REWARD, Life, Outcome
from metahebb.lifetimes.slots import Moment, Slots, compiler_options
from metahebb.networks import Layer, Network, Plasticity
from metahebb.readouts import Readout
from metahebb.tasks import Task
from metahebb.worlds import HostWorld

__all__ = ["HostSlots"]

LARGEST = float(np.finfo(np.float32).max)
"""of a fitness: the strategies compute in float32, and squares of larger ones are beyond float64 too"""


class HostSlots(Slots):
    """Slots over a ``HostWorld``."""

    STRETCH = 64
    """steps after which ``advance`` returns although no life has ended"""

    def __init__(self, network: Network, task: Task, world: HostWorld) -> None:
        super().__init__(network, task)
        self._world = world
        self._step = _compiled_step(network, task.readout)
        space = world.observation_space
        kept = space.dtype in (np.uint8, np.int64)
        self._observation = np.zeros((task.slots, *(space.shape or ())), space.dtype if kept else np.float32)

    def _begin(self, slot: int, life: Life) -> None:
        self._observation[slot] = self._world.reset(slot, life.world, life.body)

    def advance(self) -> list[Outcome]:
        living = self.living
        for _ in range(self.STRETCH if len(living) else 0):
            activities, actions = self._act_and_learn()
            finite = np.isfinite(np.asarray(activities[-1])[living]).all(axis=1)
            if outcomes := self._step_world(living, actions, finite):
                return outcomes
        return []

    def record(self, genome: np.ndarray, life: Life, render: bool = False) -> Iterator[Moment]:
        self.place(0, genome, life)
        slot = np.array([0])
        while self._lives[0] is not None:
            weights = tuple(np.asarray(layer.weights[0]) for layer in self._weights)
            all_activities, actions = self._act_and_learn()
            activities = tuple(np.asarray(layer)[0] for layer in all_activities)
            before, step = self._fitness[0], int(self._age[0])
            self._step_world(slot, actions, np.isfinite(activities[-1]).all(keepdims=True))
            frame = self._world.render(0) if render else None
            yield Moment(step, float(self._fitness[0] - before), activities, weights, frame)

    def _act_and_learn(self) -> tuple[tuple[jax.Array, ...], np.ndarray]:
        self._weights, activities, actions = self._step(self._plasticity, self._weights, self._observation)
        return activities, np.asarray(actions)

    def _step_world(self, living: np.ndarray, actions: np.ndarray, finite: np.ndarray) -> list[Outcome]:
        """Step the worlds of the ``living`` slots whose outputs are ``finite``; the lives that ended."""
        if self._observation.dtype == np.float32 and not np.isfinite(self._observation).all():
            for slot in living[~np.isfinite(self._observation[living]).reshape(len(living), -1).all(axis=1)]:
                # From here on it is not the network that brings infinity into its weights.
                self._fault[slot] = OBSERVATION
        acting, ended = living[finite], living[~finite]
        self._fitness[ended] = np.nan
        if len(acting):
            observations, rewards, over = self._world.step(acting, actions[acting])
            self._observation[acting] = observations
            self._fitness[acting] += rewards
            endless = ~(np.abs(self._fitness[acting]) <= LARGEST)
            over |= endless
            if over.any():
                for slot in acting[endless]:
                    self._fault[slot] = REWARD
                    self._fitness[slot] = np.nan
                ended = np.union1d(ended, acting[over])
        self._age[living] += 1
        return [self._end(int(slot)) for slot in ended]


@functools.lru_cache(maxsize=8)
def _compiled_step(network: Network, readout: Readout) -> Any:
    @functools.partial(jax.jit, donate_argnums=1, compiler_options=dict(compiler_options()))
    def act_and_learn(
        plasticity: Plasticity, weights: tuple[Layer, ...], observation: jax.Array
    ) -> tuple[tuple[Layer, ...], tuple[jax.Array, ...], jax.Array]:
        # The update uses the activities of this step's forward pass; the action is decided by then.
        activities = network.act(plasticity, weights, observation)
        return network.learn(plasticity, weights, activities), activities, readout(activities[-1])

    return act_and_learn
