"""Lives: a network in a world, from random weights to the end."""

from __future__ import annotations

from metahebb.errors import UsageError
from metahebb.lifetimes.host import HostSlots
from metahebb.lifetimes.slots import Slots
from metahebb.lifetimes.traced import TracedSlots
from metahebb.networks import Network
from metahebb.tasks import Task
from metahebb.worlds import HostWorld, TracedWorld

__all__ = ["make_slots"]


def make_slots(network: Network, task: Task, world: HostWorld | TracedWorld) -> Slots:
    """The slots for a kind of world; raises UsageError for what is of neither."""
    if isinstance(world, TracedWorld):
        return TracedSlots(network, task, world)
    if isinstance(world, HostWorld):
        return HostSlots(network, task, world)
    raise UsageError(
        f"Task {task.name!r} made a world of class {type(world).__name__}, which is neither a HostWorld nor a "
        "TracedWorld of metahebb.worlds: derive it from one of them."
    )
