"""The run directory: the files of a run, written while it runs and read by every report."""
