"""Measure every claim and print the table."""

from __future__ import annotations

import os
import sys

# One thread, as in a worker.
os.environ.setdefault("PJRT_NPROC", "1")
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()

from benchmarks import engine, harness, vision_network

if __name__ == "__main__":
    harness.show(engine.rows() + vision_network.rows())
    sys.exit(0)
