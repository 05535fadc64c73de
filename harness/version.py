"""The version, said here alone: the package, its reports and pyproject.toml take it from this line."""

from typing import Final

__version__: Final = "0.1.0"
