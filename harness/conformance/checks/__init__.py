"""The checks. Importing this package declares them all; a new module is found by itself."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from streamgauge.conformance.registry import DECLARED, Check

MODULES: Final = {found.name: import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)}

CHECKS: Final[Mapping[str, Check]] = DECLARED
