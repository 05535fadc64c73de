"""Recorded workloads: files of other systems, read by their content.

`reading.py` is the way in, `registry.py` lists the formats, and each format is a file here.
"""
