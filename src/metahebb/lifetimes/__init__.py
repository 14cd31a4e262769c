"""Lives: a network in a world, from random weights to the end."""

from __future__ import annotations

from metahebb.lifetimes.host import HostSlots
from metahebb.lifetimes.slots import Slots
from metahebb.lifetimes.traced import TracedSlots
from metahebb.networks import Network
from metahebb.tasks import Task
from metahebb.worlds import HostWorld, TracedWorld

__all__ = ["make_slots"]


def make_slots(network: Network, task: Task, world: HostWorld | TracedWorld) -> Slots:
    """The slots for a kind of world."""
    if isinstance(world, HostWorld):
        return HostSlots(network, task, world)
    return TracedSlots(network, task, world)
