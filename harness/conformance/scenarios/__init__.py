"""The plays: how each scenario's requests are made. Importing this package registers them all."""

from importlib import import_module
from typing import Final

THEMES: Final = (
    "ordinary",
    "refusals",
    "texts",
    "upstream",
    "leaving",
    "lockstep",
    "silence",
    "concurrent",
    "resuming",
)

for _theme in THEMES:
    import_module(f"{__name__}.{_theme}")
