"""What work would take of the machine's memory, and what there is of it: known before anything is allocated.

Estimates are lower bounds, so that what would run is never refused. Counted are

- the genome and its update, and of evosax's strategies the population's genomes, which the parent process holds, and
  their state, twice while it is updated;
- of a strategy that is a transformer, its attention;
- for each worker the process itself, a copy of the genome that its lives are made from, and, where lives are advanced
  on the CPU, the coefficients and weights of its slots' lives;
- a generation's lives, or a validation's or an evaluation's, that wait in the parent process for a worker;
- the bounds of stacked frames.

Not counted are simulators, compiled code, the noise that workers keep, and what other processes are about to take.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from metahebb.errors import UsageError

if TYPE_CHECKING:
    from metahebb.configuration import Configuration
    from metahebb.networks import Network

__all__ = [
    "Need",
    "available_memory",
    "check_memory",
    "cores",
    "gib",
    "needs_of_attention",
    "needs_of_lives",
    "needs_of_search",
    "needs_of_state",
    "needs_of_workers",
]

FLOAT = 4
"""bytes of a float32"""
WORKER = 80 * 2**20
"""bytes that a worker shares with no other process, before it has a network: 96 MiB with jax 0.10 on Linux"""
LIFE, UNIT = 200, 500
"""bytes of a life that waits for a worker, and of the message that it waits in: 320 and 750 in CPython 3.11"""
SMALLER_NETWORK = "make the network smaller (--hidden)"


class Need(NamedTuple):
    """Memory that something would take."""

    what: str
    size: int
    """bytes"""
    remedy: str


def needs_of_search(c: Configuration, network: Network) -> list[Need]:
    """What the parent process would hold of genomes."""
    size = FLOAT * network.evolved_parameters
    # The update is Σ weight·noise, its gradient and the new mean; evosax has at least a genome beside its own state.
    needs = [Need(f"a genome of {network.evolved_parameters:,} parameters and its update", 3 * size, SMALLER_NETWORK)]
    if c.strategy != "openai-es":
        what = f"the genomes of {c.population:,} members of {network.evolved_parameters:,} parameters each"
        needs.append(Need(what, c.population * size, "lower --population, or take openai-es, which makes them anew"))
    return needs


def needs_of_state(strategy: str, template: Any) -> list[Need]:
    """What a strategy would keep between generations, and twice while it is updated, of arrays shaped like these."""
    import jax

    leaves = [leaf for leaf in jax.tree.leaves(template) if hasattr(leaf, "dtype")]
    size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
    remedy = "openai-es, SNES and PGPE keep a few copies of the genome"
    return [Need(f"the state of {strategy} and its update", 2 * size, remedy)]


def needs_of_attention(strategy: str, parameters: int, generations: int) -> list[Need]:
    """What a strategy that is a transformer takes at once: four arrays of its attention along both axes, in XLA."""
    what = f"the attention of {strategy} over {parameters:,} parameters and {generations:,} generations"
    size = 4 * FLOAT * parameters * generations * max(parameters, generations)
    return [Need(what, size, f"lower --strategy-option max_context_len, or {SMALLER_NETWORK}")]


def needs_of_workers(network: Network, workers: int, slots: int) -> list[Need]:
    """What worker processes would take, each with so many slots on the CPU (0 where an accelerator holds them)."""
    stored = 2 if network.coefficients == "float16" else FLOAT
    # A rule is read as its coefficients, or as four terms where these are fewer; weights are never float16.
    coefficients = 0 if network.rule is None else min(len(network.genes), 4) * stored
    life = network.synapses * (FLOAT + coefficients) + network.filter_parameters * FLOAT
    process = WORKER + FLOAT * network.parameters
    return [
        Need(f"{workers:,} worker processes", workers * process, f"lower --workers, or {SMALLER_NETWORK}"),
        Need(
            f"the networks of {workers * slots:,} lives at a time, with {network.synapses:,} synapses each",
            workers * slots * life,
            SMALLER_NETWORK,
        ),
    ]


def needs_of_lives(what: str, lives: int, units: int, remedy: str) -> list[Need]:
    """What lives would take until they are lived, in so many messages."""
    return [Need(f"{lives:,} {what}", lives * LIFE + units * UNIT, remedy)]


def check_memory(needs: Sequence[Need], available: int | None = None) -> None:
    """Raise UsageError if all needs together exceed the memory that is available, in bytes."""
    available = available_memory() if available is None else available
    total = sum(need.size for need in needs)
    if total <= available:
        return
    largest = max(needs, key=lambda need: need.size)
    share = "" if len(needs) == 1 else f", {gib(largest.size)} of it for {largest.what}"
    subject = largest.what[0].upper() + largest.what[1:] if len(needs) == 1 else "This"
    raise UsageError(
        f"{subject} would take at least {gib(total)} of memory{share}; {gib(available)} are available: "
        f"{largest.remedy}."
    )


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int:
    """Bytes that this process and its children can still take; everything where the system does not say.

    What the system calls available, with what it can swap, within the limits of the control groups that it is in.
    """
    try:
        meminfo = _numbers(Path("/proc/meminfo"))
        swap = meminfo.get("SwapFree:", 0) * 1024
        left = meminfo["MemAvailable:"] * 1024 + swap
    except (OSError, KeyError):
        return 2**63 - 1
    return min([left, *(room + swap for room in _rooms_of_groups())])


def _rooms_of_groups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Bytes left in each control group, version 1 or 2, from this process's own up, that limits its memory."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in lines:
        if controllers == "":
            folder, names = root, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            folder, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        group = folder / path.lstrip("/")
        # In a container the path may be the host's; what is mounted is then the group itself.
        for place in (group, *group.parents):
            try:
                limit, used = ((place / name).read_text().strip() for name in names)
                files = _numbers(place / "memory.stat")
                kept = sum(files.get(name, 0) for name in ("active_file", "inactive_file", "slab_reclaimable"))
                if limit != "max":
                    yield int(limit) - int(used) + kept
            except (OSError, ValueError):
                pass
            if place == folder:
                break


def _numbers(path: Path) -> dict[str, int]:
    """The numbers of a file of the system by the words before them."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1}


def gib(size: int) -> str:
    """Bytes, as a user reads them."""
    return f"{size / 2**30:,.1f} GiB"
