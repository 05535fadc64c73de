"""The vendors' SDKs, imported by the first test that uses one: to import them all takes 3 s of each pytest process."""

from importlib import import_module
from typing import Any


class Lazily:
    """Stands for a module, and imports it when a name in it is used.

    A test module needs `from __future__ import annotations`, else its annotations use names in it.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pytest asks all that it collects for names of its own
            raise AttributeError(name)
        return getattr(import_module(self._module), name)
