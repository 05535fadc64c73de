"""Comparison of runs, and of two paths to one endpoint: differences with their intervals, and verdicts."""
