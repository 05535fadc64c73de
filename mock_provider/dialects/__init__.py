"""The dialects that are served. A new one is a module here, which is found by itself: its DIALECT, or its DIALECTS."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from streamgauge.mock_provider.dialects.base import Dialect


def _found() -> Iterator[Dialect]:
    for info in iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        if hasattr(module, "DIALECTS"):
            yield from module.DIALECTS
        elif hasattr(module, "DIALECT"):
            yield module.DIALECT


DIALECTS: tuple[Dialect, ...] = tuple(_found())
