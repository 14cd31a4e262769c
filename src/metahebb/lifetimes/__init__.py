"""Lives: a network in a world, from random weights to the end."""

from __future__ import annotations

from typing import cast

from metahebb.lifetimes.host import HostSlots
from metahebb.lifetimes.slots import Slots
from metahebb.lifetimes.traced import TracedSlots
from metahebb.networks import Network
from metahebb.tasks import Task
from metahebb.worlds import HostWorld, TracedWorld, is_traced

__all__ = ["make_slots"]


def make_slots(network: Network, task: Task, world: HostWorld | TracedWorld) -> Slots:
    """The slots for a kind of world."""
    if is_traced(world):
        return TracedSlots(network, task, world)
    return HostSlots(network, task, cast(HostWorld, world))
