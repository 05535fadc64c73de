"""The checks, one file a group. Importing this package declares them all."""

from importlib import import_module
from typing import Final

GROUPS: Final = (
    "http", "headers", "framing", "text", "openai_chat", "custom", "termination", "errors", "cancel", "flush",
    "liveness", "security",
)  # fmt: skip

for _group in GROUPS:
    import_module(f"{__name__}.{_group}")
