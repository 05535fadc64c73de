"""Spec as code: the catalogue, the checks, and how their findings become results. Pure code."""
