"""Lives in a world on the host: the network's step is compiled, the world's is called."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import numpy as np

from metahebb.lifetimes.lives import OBSERVATION, REWARD, Life, Outcome
from metahebb.lifetimes.recorder import To
from metahebb.lifetimes.slots import Alone, Slots, compiler_options, normal_in
from metahebb.lifetimes.step import Look, Step, seen_by, step
from metahebb.networks import Network, Plasticity, State
from metahebb.perturbations import UNDISTURBED, Disturbed, Perturbations, Program
from metahebb.readouts import Readout
from metahebb.tasks import Task
from metahebb.worlds import BODY, HostWorld

__all__ = ["HostSlots"]

LARGEST = float(np.finfo(np.float32).max)
"""of a fitness: the strategies compute in float32, and squares of larger ones are beyond float64 too"""


class HostSlots(Slots):
    """Slots over a ``HostWorld``."""

    STRETCH = 64

    def __init__(
        self,
        network: Network,
        task: Task,
        world: HostWorld,
        variants: Sequence[Perturbations] = ((),),
        keep_rewards: bool = False,
        record: To | None = None,
    ) -> None:
        super().__init__(network, task, variants, keep_rewards, record)
        self._world = world
        self._compiled = functools.partial(_compiled_step, network, task.readout, normal_in(world))
        self._conditions = [dict[str, float]() for _ in range(task.slots)]
        space = world.observation_space
        kept = space.dtype in (np.uint8, np.int64)
        self._observation = np.zeros((task.slots, *(space.shape or ())), space.dtype if kept else np.float32)
        self._disturb(self._observation[0])
        self._make_recorder(self._observation)

    def _begin(self, slot: int, life: Life) -> None:
        self._observation[slot] = self._world.reset(slot, life.world, life.body)
        self._conditions[slot] = {}

    def advance(self) -> list[Outcome]:
        living = self.living
        for _ in range(self.STRETCH if len(living) else 0):
            _, _, ended = self._live_a_step(living, Look.NOTHING if self._recorder is None else Look.SIGNALS)
            if len(ended):
                return [self._end(int(slot)) for slot in ended]
        return []

    def _live_alone(self, slot: int) -> Alone:
        lived, rewards, ended = self._live_a_step(np.array([slot]), Look.ALL)
        assert lived.seen is not None
        return Alone(lived.seen, float(rewards[0]), bool(len(ended)))

    def _picture(self, slot: int) -> np.ndarray:
        return self._world.render(slot)

    def _live_a_step(self, living: np.ndarray, look: Look) -> tuple[Step, np.ndarray, np.ndarray]:
        """Step all networks, and the worlds of the ``living`` slots; the rewards of these, and those that ended.

        A life whose outputs are not finite ends without a step of its world, and its reward is NaN.
        """
        self._look_for_faults(living)
        self._record_weights(living)
        self._sense(living, self._observation[living])
        perturbed = self._perturbed(living, 1)
        compiled = self._compiled(self._program if perturbed else UNDISTURBED, look)
        disturbed = self._disturbed if perturbed else None
        lived = compiled(self._plasticity, self._state, self._observation, disturbed)
        self._state = lived.state
        if self._disturbed is not None:
            self._go_on_disturbing(living, lived)
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
        if self._recorder is not None and lived.seen is not None:
            seen = jax.tree.map(lambda leaf: np.asarray(leaf)[None], lived.seen)
            for slot, reward in zip(living.tolist(), rewards, strict=True):
                self._record_steps(slot, seen, reward[None])
        self._fitness[living] += rewards
        self._age[living] += 1
        if self._rewards is not None:
            for slot, reward in zip(living, rewards, strict=True):
                self._keep(slot, reward[None])
        return lived, rewards, ended

    def _go_on_disturbing(self, living: np.ndarray, lived: Step) -> None:
        """Keep what perturbations remember, and give the world the conditions that they make."""
        assert self._disturbed is not None
        if lived.disturbed is not None:
            self._disturbed = self._disturbed._replace(memory=lived.disturbed.memory)
        changed = {name: np.asarray(values) for name, values in lived.conditions.items()}
        for slot in living:
            before = self._conditions[slot]
            now = {name: float(values[slot]) for name, values in changed.items()}
            # What no perturbation changes any more is normal again.
            for name in before.keys() | now.keys():
                normal = self._world.conditions[name].normal
                value = now.get(name, normal)
                if value != before.get(name, normal):
                    self._world.set_condition(
                        int(slot), name, self._program.body(int(value)) if name == BODY else value
                    )
            self._conditions[slot] = now

    def _look_for_faults(self, living: np.ndarray) -> None:
        """Note whose observations are not finite: what follows is not their network's fault."""
        if self._observation.dtype == np.float32 and not np.isfinite(self._observation).all():
            for slot in living[~np.isfinite(self._observation[living]).reshape(len(living), -1).all(axis=1)]:
                self._fault[slot] = OBSERVATION


_CompiledStep = Callable[[Plasticity, State, np.ndarray, Disturbed | None], Step]
_Conditions: TypeAlias = tuple[tuple[str, float], ...]
"""what is normal in a world, by name"""


@functools.lru_cache(maxsize=16)
def _compiled_step(
    network: Network, readout: Readout, conditions: _Conditions, program: Program, look: Look
) -> _CompiledStep:
    def one_step(plasticity: Plasticity, state: State, observation: jax.Array, disturbed: Disturbed | None) -> Step:
        lived = step(network, readout, plasticity, state, observation, program, disturbed, dict(conditions))
        return lived._replace(seen=seen_by(look, lived.seen))

    return jax.jit(one_step, donate_argnums=() if look is Look.ALL else 1, compiler_options=dict(compiler_options()))
