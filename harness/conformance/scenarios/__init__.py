"""The scenarios: the requests that `check` sends, so that checks have answers to judge.

Importing this package declares all of them. A new scenario is a function in the module of its theme; a new theme is a
module, named in THEMES, whose order is the order of SCENARIOS.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from streamgauge.conformance.scenarios.declaration import DECLARED, Scenario

THEMES: Final = (
    "ordinary",
    "refusals",
    "lockstep",
    "texts",
    "forms",
    "upstream",
    "fidelity",
    "silence",
    "concurrent",
    "resuming",
    "promise",
    "saved",
    "cancellation",
    "upstream_errors",
)

for _theme in THEMES:
    import_module(f"{__name__}.{_theme}")

SCENARIOS: Final[Mapping[str, Scenario]] = DECLARED
