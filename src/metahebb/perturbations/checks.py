"""Whether perturbations can happen in a task, known before a life is lived."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import gymnasium
import numpy as np

from metahebb.errors import UsageError, quoted
from metahebb.initial_weights import CO_EVOLVED
from metahebb.networks import Network
from metahebb.perturbations.perturbation import Perturbation, Perturbations, parse_perturbation
from metahebb.perturbations.trial import try_out
from metahebb.tasks import Task
from metahebb.worlds import BODY, Condition, HostWorld, TracedWorld

__all__ = ["conditions_of", "perturbations_for"]


def conditions_of(task: Task) -> Mapping[str, Condition]:
    """What perturbations may change in a task's world, by name."""
    with _world_of(task) as world:
        return world.conditions


def perturbations_for(perturb: Sequence[str | Perturbation], task: Task, network: Network) -> Perturbations:
    """Perturbations of their texts; raises UsageError for one that the task or the network cannot have."""
    if not perturb:
        return ()
    if isinstance(perturb, str | Perturbation):
        perturb = [perturb]
    with _world_of(task) as world:
        perturbations = tuple(parse_perturbation(text, world.conditions) for text in perturb)
        return tuple(_checked(its, task, network, world) for its in perturbations)


@contextlib.contextmanager
def _world_of(task: Task) -> Iterator[HostWorld | TracedWorld]:
    world = task.make_world(1, False)
    try:
        yield world
    finally:
        if isinstance(world, HostWorld):
            world.close()


def _checked(its: Perturbation, task: Task, network: Network, world: HostWorld | TracedWorld) -> Perturbation:
    kind, said = its.kind, f"--perturb {quoted(its.text or str(its))}"
    if task.longest is not None and its.begin >= task.longest:
        raise UsageError(
            f"{said}: step {its.begin} is never reached: a life ends after {task.longest} steps, from 0 on."
        )
    if network.rule is None and kind.changes == "rate":
        raise UsageError(f"{said}: a static network learns nothing in life, so {kind.name} changes nothing.")
    if kind.name == "resample-weights" and (network.rule is None or network.initial_weights == CO_EVOLVED):
        raise UsageError(f"{said}: the agent's weights are in its genome, so there is no distribution to draw from.")
    if kind.changes == BODY:
        assert task.parse_body is not None
        task.parse_body(its.body)
        return its
    if its.strengths and not kind.least <= its.strengths[0] <= kind.most:
        most = " or more" if kind.most == np.inf else f" to {kind.most:g}"
        what = kind.name if kind.changes in world.conditions else next(iter(kind.strengths))
        raise UsageError(f"{said}: {what} is {its.strengths[0]:g}; it must be {kind.least:g}{most}.")
    shape = _shape(its, world, said)
    if kind.images and not (len(shape) == 3 and shape[2] == 3):
        raise UsageError(f"{said}: {kind.name} is for colour images; the task {task.name!r} observes {task.encoder}.")
    parts = {"layer": len(network.layers), "sensor": int(np.prod(shape)), "actuator": int(np.prod(shape))}
    if its.target and its.index >= parts[its.target]:
        last = parts[its.target] - 1
        raise UsageError(f"{said}: there is no {its.target} {its.index}; they are numbered from 0 to {last}.")
    try_out(its, shape, said)
    return its


def _shape(its: Perturbation, world: HostWorld | TracedWorld, said: str) -> tuple[int, ...]:
    """The shape of what is changed."""
    if its.kind.changes not in ("observation", "action"):
        return (3, 4) if its.kind.changes == "weights" else ()
    space = world.observation_space if its.kind.changes == "observation" else world.action_space
    if not isinstance(space, gymnasium.spaces.Box | gymnasium.spaces.MultiBinary):
        raise UsageError(f"{said}: the task's {its.kind.changes} is {space}, a choice and no number to be changed.")
    return space.shape or ()
