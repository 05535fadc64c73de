"""The only place of the version: the package, its reports and pyproject.toml read it from here."""

from typing import Final

__version__: Final = "0.1.0"
