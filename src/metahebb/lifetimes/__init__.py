"""Lives: a network in a world, from random weights to the end."""

from __future__ import annotations

import inspect
from typing import cast

from metahebb.lifetimes.host import HostSlots
from metahebb.lifetimes.slots import Slots
from metahebb.lifetimes.traced import TracedSlots
from metahebb.networks import Network
from metahebb.tasks import Task
from metahebb.worlds import HostWorld, TracedWorld

__all__ = ["make_slots"]


def make_slots(network: Network, task: Task, world: HostWorld | TracedWorld) -> Slots:
    """The slots for a kind of world: a host world is reset slot by slot, a traced one by seeds alone."""
    if "slot" in inspect.signature(world.reset).parameters:
        return HostSlots(network, task, cast(HostWorld, world))
    return TracedSlots(network, task, cast(TracedWorld, world))
