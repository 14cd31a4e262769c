"""Figures, videos and statistics of runs and agents."""
