"""For tests of worlds and tasks of one's own:

    from metahebb.testing import check_world

    def test_chase():
        check_world(lambda slots: Chase())

Results are the same for any number of workers, and an agent scores what its training says, only if a world keeps what
``metahebb.worlds`` asks for. Much of it is seen in no single life.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import numpy as np

from metahebb.errors import raised
from metahebb.readouts import Readout, readout_for
from metahebb.tasks import Task
from metahebb.worlds import HostWorld, TracedWorld
from metahebb.worlds.traced import put_life, reset_lives

__all__ = ["check_world"]

SLOTS = 3
LATER = 3
"""steps between the beginnings of lives that live side by side"""


class Lived(NamedTuple):
    """What a life showed."""

    observations: list[np.ndarray]
    """the first one, and one after each step"""
    rewards: list[float]
    ended: list[bool]


class Case(NamedTuple):
    """A life to live: its seed, its body, and its actions [steps, …]."""

    seed: int
    body: str
    actions: np.ndarray

    def __str__(self) -> str:
        return f"seed {self.seed}" + (f", body {self.body!r}" if self.body else "")


def check_world(
    subject: Task | Callable[[int], HostWorld | TracedWorld],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    bodies: Sequence[str] | None = None,
    steps: int = 200,
) -> None:
    """Live a few lives in a world, of either kind, and check what metahebb relies on.

    - Observations, rewards and ends have the shapes and dtypes of the world's spaces.
    - A life is a function of its seed, its body and its actions, bit for bit: in any slot, beside any other lives,
      whatever its slot held before.
    - A traced world's state keeps its form, and stays finite after a life's end.

    Args:
        subject: a task, or ``(slots) → world``.
        seeds: the lives' seeds, three or more, each another.
        bodies: the bodies that the lives have, in turn; by default the task's.
        steps: how long lives are followed, best beyond the end of the longest: a warning says that no life ended. The
            actions are those of random outputs.

    Raises AssertionError with a sentence that says what fails and where.
    """
    if len({*seeds}) < max(SLOTS, len(seeds)):
        raise ValueError(f"The seeds {seeds} were given; a check takes {SLOTS} or more, each another.")
    task = subject if isinstance(subject, Task) else None

    def make(slots: int) -> HostWorld | TracedWorld:
        return subject.make_world(slots, False) if isinstance(subject, Task) else subject(slots)

    world = make(SLOTS)
    _hold(
        isinstance(world, HostWorld | TracedWorld),
        f"the world is of class {type(world).__name__}, which derives neither from HostWorld nor from TracedWorld",
    )
    for name in ("observation_space", "action_space"):
        space = getattr(world, name, None)
        _hold(isinstance(space, gymnasium.Space), f"its {name} is {space!r}, which is no space of Gymnasium's")
    readout = task.readout if task else readout_for(world.action_space)
    names = bodies or (task.bodies if task else ()) or ("",)
    cases = [
        Case(seed, names[i % len(names)], _actions(readout, world.action_space, seed, steps))
        for i, seed in enumerate(seeds)
    ]
    lived = _check_traced(world, cases) if isinstance(world, TracedWorld) else _check_host(world, make, cases)
    if not any(any(life.ended) for life in lived.values()):
        warnings.warn(
            f"no life ended within {steps} steps, so that no end was tested: give steps= beyond the longest life; "
            "lives that never end would hold up a generation for ever",
            stacklevel=2,
        )


def _actions(readout: Readout, space: gymnasium.Space[Any], seed: int, steps: int) -> np.ndarray:
    outputs = np.random.default_rng(seed).standard_normal((steps, readout.outputs), np.float32)
    actions = np.asarray(readout(jax.numpy.asarray(outputs)))
    _hold(
        actions.shape[1:] == space.shape,
        f"the readout makes actions of shape {actions.shape[1:]}, where the action space has {space.shape}",
    )
    return actions


def _check_host(world: HostWorld, make: Callable[[int], Any], cases: Sequence[Case]) -> dict[int, Lived]:
    for case in cases:
        _check_observation(world, np.asarray(world.reset(0, case.seed, case.body)), f"reset with {case}")
        observations, rewards, ended = world.step(np.array([0]), case.actions[:1])
        _check_observation(world, observations[0], "step")
        for name, array, kind in (("rewards", rewards, np.floating), ("ended", ended, np.bool_)):
            _hold(
                isinstance(array, np.ndarray) and array.shape == (1,) and np.issubdtype(array.dtype, kind),
                f"step of one slot returned {name} {array!r}; it must be an array of shape (1,) and {_word(kind)}",
            )
    alone: dict[int, Lived] = {}
    for case, other in zip(cases, [*cases[1:], cases[0]], strict=True):
        again, used = make(SLOTS), make(SLOTS)
        alone[case.seed] = _live_on_host(used, {0: case})[0]
        _same(alone[case.seed], _live_on_host(again, {0: case})[0], case, "again, in another world of the same making")
        _live_on_host(used, {0: other})
        _same(alone[case.seed], _live_on_host(used, {0: case})[0], case, "after another life in the same slot")
        again.close()
        used.close()
    for places in _arrangements(cases):
        beside = _live_on_host(world, places)
        for slot, case in places.items():
            _same(alone[case.seed], beside[slot], case, f"in slot {slot}, beside others")
    world.close()
    world.close()
    return alone


def _live_on_host(world: HostWorld, places: Mapping[int, Case]) -> dict[int, Lived]:
    """Live lives in their slots, each beginning a few steps after the one before, until their ends."""
    lived: dict[int, Lived] = {}
    waiting = [*places]
    now = 0
    living: list[int] = []
    while living or waiting:
        if waiting and now % LATER == 0:
            slot = waiting.pop(0)
            first = np.array(world.reset(slot, places[slot].seed, places[slot].body))
            lived[slot] = Lived([first], [], [])
            living.append(slot)
        # Not in the order of the slots, and now and then one of them waits.
        acting = [slot for i, slot in enumerate(living[::-1]) if len(living) == 1 or (now + i) % 4]
        slots = np.array(acting)
        actions = np.stack([places[slot].actions[len(lived[slot].rewards)] for slot in acting])
        observations, rewards, ended = world.step(slots, actions)
        for slot, observation, reward, end in zip(slots.tolist(), observations, rewards, ended, strict=True):
            _add(lived[slot], observation, reward, end)
            if end or not np.isfinite(reward) or len(lived[slot].rewards) == len(places[slot].actions):
                living.remove(slot)
        now += 1
    return lived


def _check_traced(world: TracedWorld, cases: Sequence[Case]) -> dict[int, Lived]:
    state, observation = _begin_traced(world, cases[:SLOTS])
    _check_observation(world, np.asarray(observation)[0], "reset")
    for name, tree in (("state", state), ("observation", observation)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            _hold(
                np.shape(leaf)[:1] == (SLOTS,),
                f"reset with {SLOTS} seeds returned {name}{jax.tree_util.keystr(path)} of shape {np.shape(leaf)}; "
                "the lives must be the first axis of every array in it",
            )
    begun = {case.seed: _begin_traced(world, [case]) for case in cases}
    for case, row in zip(cases, np.asarray(observation), strict=False):
        alone = np.asarray(begun[case.seed][1])[0]
        # Not bit for bit: other numbers of lives are other code.
        close = np.allclose(
            row.astype(float), alone.astype(float), rtol=1e-3, atol=1 if row.dtype.kind in "iu" else 1e-3
        )
        _hold(close, f"a life of {case} begins with another observation alone than beside others")
    step = jax.jit(world.step)
    _check_form(world, step, (state, observation), cases)
    alone = {case.seed: _live_traced(world, step, {0: case}, cases)[0] for case in cases}
    for case in cases:
        _same(alone[case.seed], _live_traced(world, step, {0: case}, cases)[0], case, "again")
        values = [*alone[case.seed].observations, np.array(alone[case.seed].rewards)]
        after = " after its end" if any(alone[case.seed].ended) else ""
        finite = all(np.isfinite(value).all() for value in values)
        _hold(finite, f"a life of {case} is no longer finite at some step{after}: a traced world is stepped on there")
    for places in _arrangements(cases):
        beside = _live_traced(world, step, places, cases)
        for slot, case in places.items():
            _same(alone[case.seed], beside[slot], case, f"in slot {slot}, beside others")
    return alone


def _begin_traced(world: TracedWorld, cases: Sequence[Case]) -> Any:
    return reset_lives(world, [case.seed for case in cases], [case.body for case in cases])


def _check_form(world: TracedWorld, step: Any, before: Any, cases: Sequence[Case]) -> None:
    """What a step returns has the form of what it was given, so that steps can be scanned."""
    state, observation = before
    actions = jax.numpy.asarray(np.stack([case.actions[0] for case in cases[:SLOTS]]))
    try:
        after = jax.eval_shape(step, state, actions)
    except Exception as e:
        raise AssertionError(f"step cannot be traced by JAX, which raised {raised(e)}") from e
    for name, given, returned in (("state", state, after.state), ("observation", observation, after.observation)):
        form: object = jax.tree.structure(given)
        _hold(form == jax.tree.structure(returned), f"step returned a {name} of another structure than it was given")
        leaves = jax.tree_util.tree_leaves_with_path(given)
        for (path, leaf), new in zip(leaves, jax.tree.leaves(returned), strict=True):
            _hold(
                (leaf.shape, leaf.dtype) == (new.shape, new.dtype),
                f"step returned {name}{jax.tree_util.keystr(path)} as {new.dtype} {new.shape}, where it was given "
                f"{leaf.dtype} {leaf.shape}",
            )
    for name, array, kind in (("reward", after.reward, np.floating), ("ended", after.ended, np.bool_)):
        _hold(
            array.shape == (SLOTS,) and np.issubdtype(array.dtype, kind),
            f"step of {SLOTS} lives returned {name} of {array.dtype} {array.shape}; it must be of shape ({SLOTS},) and "
            f"{_word(kind)}",
        )


def _live_traced(world: TracedWorld, step: Any, places: Mapping[int, Case], cases: Sequence[Case]) -> dict[int, Lived]:
    """Live lives in their slots, each beginning a few steps after the one before, beyond their ends."""
    filler = _begin_traced(world, [cases[-1]])
    lives = jax.tree.map(lambda leaf: jax.numpy.repeat(leaf, SLOTS, axis=0), filler)
    lived: dict[int, Lived] = {}
    waiting = [*places]
    steps = len(cases[0].actions)
    for now in range(steps + LATER * (len(places) - 1)):
        if waiting and now % LATER == 0:
            slot = waiting.pop(0)
            begun = _begin_traced(world, [places[slot]])
            lives = put_life(lives, begun, slot)
            lived[slot] = Lived([np.asarray(begun[1])[0]], [], [])
        actions = np.stack([cases[-1].actions[min(now, steps - 1)]] * SLOTS)
        for slot, life in lived.items():
            actions[slot] = places[slot].actions[min(len(life.rewards), steps - 1)]
        state, observation, reward, ended = step(lives[0], jax.numpy.asarray(actions))
        lives = state, observation
        shown = np.asarray(observation), np.asarray(reward), np.asarray(ended)
        for slot, life in lived.items():
            if len(life.rewards) < steps:
                _add(life, *(array[slot] for array in shown))
    return lived


def _arrangements(cases: Sequence[Case]) -> Iterator[dict[int, Case]]:
    """Lives side by side: in every order that turns them by a slot, and backwards."""
    first = [*cases[:SLOTS]]
    yield dict(enumerate(first))
    for turn in range(1, SLOTS):
        yield dict(enumerate(first[turn:] + first[:turn]))
    yield dict(reversed([*enumerate(cases[-SLOTS:])]))


def _add(life: Lived, observation: Any, reward: Any, ended: Any) -> None:
    # Copies, since a world may use its arrays again.
    life.observations.append(np.array(observation))
    life.rewards.append(float(reward))
    life.ended.append(bool(ended))


def _same(one: Lived, other: Lived, case: Case, how: str) -> None:
    """The lives are the same until the end of the first, bit for bit."""
    for step in range(len(one.observations)):
        pairs = [("observation", one.observations[step], other.observations[step])]
        if step:
            pairs += [
                ("reward", np.array(one.rewards[step - 1]), np.array(other.rewards[step - 1])),
                ("end", np.array(one.ended[step - 1]), np.array(other.ended[step - 1])),
            ]
        for name, a, b in pairs:
            at = f"the {name} of step {step}" if step else "the first observation"
            _hold(a.tobytes() == b.tobytes(), f"a life of {case}, lived {how}, is another: {at} differs")
        if step and one.ended[step - 1]:
            return


def _check_observation(world: HostWorld | TracedWorld, observation: np.ndarray, where: str) -> None:
    space = world.observation_space
    # JAX has no numbers of 64 bits, unless it is told to.
    dtype = jax.dtypes.canonicalize_dtype(space.dtype) if isinstance(world, TracedWorld) else space.dtype
    _hold(
        (observation.shape, observation.dtype) == (space.shape, dtype),
        f"{where} returned an observation of {observation.dtype} {observation.shape}, where the space has {dtype} "
        f"{space.shape}",
    )
    if isinstance(space, gymnasium.spaces.Discrete):
        _hold(
            space.contains(observation[()]), f"{where} returned the observation {observation}, which is not in {space}"
        )


def _word(kind: type) -> str:
    return "floats" if kind is np.floating else "bool"


def _hold(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(f"{sentence}.")
