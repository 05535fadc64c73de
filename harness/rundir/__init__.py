"""The run directory: what a run leaves on disk, written while it runs and read by every report."""
