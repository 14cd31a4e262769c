"""Evolve plasticity rules for neural networks that start every life from random weights."""

__version__ = "0.1.0"
