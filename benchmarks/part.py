"""The process of a ``harness.Part``: ``python -m benchmarks.part module:function core [argument …]``.

Makes its work, says so with a line, and then does it once for each line that it reads, answering what it cost.
"""

from __future__ import annotations

import importlib
import os
import sys


def main() -> None:
    """Serve until the input is closed."""
    make, core, *arguments = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(core) % len(cores)]})
    # The answers have the standard output to themselves; what libraries print in C is not for the table.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    module, _, function = make.partition(":")
    work = getattr(importlib.import_module(module), function)(*arguments)
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        print(work(), file=answers, flush=True)


if __name__ == "__main__":
    main()
