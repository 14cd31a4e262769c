"""Simulators, each behind one of two interfaces: traced (written in JAX) or stepped on the host."""
