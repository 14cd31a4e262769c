"""Najarro & Risi (2020): what belongs to the paper and its published implementation alone."""
