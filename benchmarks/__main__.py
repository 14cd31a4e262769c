"""Measure the claims and print the table: ``python -m benchmarks [group …]``, by default all groups of a CPU."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Iterator

from benchmarks import harness

GROUPS = ("engine", "vision_network", "car_racing", "quadruped", "experiments", "recording")
"""Modules of this package with ``rows() -> Iterable[Row]``."""
ACCELERATOR, CLUSTER = "accelerator", "cluster"
"""Measured when they are named: JAX's accelerator, alone (all others measure the CPU), and Ray."""


def main() -> None:
    """Measure all groups or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the claims on this machine.")
    parser.add_argument(
        "groups", nargs="*", metavar="group", help=f"one of {', '.join(GROUPS)}; or {CLUSTER}, {ACCELERATOR}"
    )
    groups = parser.parse_args().groups or GROUPS
    for group in groups:
        if group not in (*GROUPS, CLUSTER) and groups != [ACCELERATOR]:
            parser.error(
                f"there is no group {group!r}; there are {', '.join(GROUPS)}, {CLUSTER}, and {ACCELERATOR} alone"
            )

    if groups != [ACCELERATOR]:
        os.environ["JAX_PLATFORMS"] = "cpu"

    # One thread, as in a worker.
    os.environ.setdefault("PJRT_NPROC", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()

    def rows() -> Iterator[harness.Row]:
        for group in groups:
            yield from importlib.import_module(f"benchmarks.{group}").rows()

    harness.show(rows())


if __name__ == "__main__":
    main()
