"""What the performance claims rest on: ``python -m benchmarks`` (``make bench``) measures them on this machine."""
