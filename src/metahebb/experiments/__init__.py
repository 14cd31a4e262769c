"""Experiments with evolved agents: agents compared in the same lives, and one agent swept over what may vary."""
