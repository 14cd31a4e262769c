"""Lives: a network in a world, from random weights to the end."""

from __future__ import annotations

from collections.abc import Sequence

from metahebb.errors import UsageError
from metahebb.lifetimes.device import DeviceSlots
from metahebb.lifetimes.host import HostSlots
from metahebb.lifetimes.recorder import To
from metahebb.lifetimes.slots import Slots
from metahebb.lifetimes.traced import TracedSlots
from metahebb.networks import Network
from metahebb.perturbations import Perturbations
from metahebb.tasks import Task
from metahebb.worlds import HostWorld, TracedWorld

__all__ = ["make_slots"]


def make_slots(
    network: Network,
    task: Task,
    world: HostWorld | TracedWorld,
    variants: Sequence[Perturbations] = ((),),
    keep_rewards: bool = False,
    record: To | None = None,
    accelerated: bool = False,
) -> Slots:
    """The slots for a kind of world; raises UsageError for what is of neither.

    ``variants`` are what may disturb lives: ``Life.variant`` says which. With ``keep_rewards`` outcomes have the reward
    of each step; ``record`` says where lives are recorded. ``accelerated`` slots are shared by JAX's devices.
    """
    if isinstance(world, TracedWorld):
        traced = DeviceSlots if accelerated else TracedSlots
        return traced(network, task, world, variants, keep_rewards, record)
    if isinstance(world, HostWorld):
        return HostSlots(network, task, world, variants, keep_rewards, record)
    raise UsageError(
        f"Task {task.name!r} made a world of class {type(world).__name__}, which is neither a HostWorld nor a "
        "TracedWorld of metahebb.worlds: derive it from one of them."
    )
