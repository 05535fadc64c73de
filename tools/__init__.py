"""Generators of the pages that the code knows better: `make docs` runs them, tests compare what they give."""
