"""The generated blocks of docs/mock-fleet.md: options, formulas, status pages, lies. `make docs` writes them."""

from collections.abc import Sequence
from inspect import getdoc
from pathlib import Path
from types import ModuleType
from typing import Final

from streamgauge.mock_provider import capacity
from streamgauge.mock_provider.fleet import forms
from streamgauge.mock_provider.fleet.engines import ENGINES, RESETS
from streamgauge.mock_provider.fleet.gauges import LIES
from streamgauge.mock_provider.fleet.settings import FleetSettings
from streamgauge.mock_provider.options import Option, options
from tools.blocks import rewritten

FLEET_PAGE: Final = Path(__file__).parent.parent / "docs" / "mock-fleet.md"


def fleet_page() -> str:
    """The page with its generated blocks."""
    blocks = {
        "options": _options,
        "forms of one replica": lambda: _formulas(capacity),
        "forms of the fleet": lambda: _formulas(forms),
        "status pages": _status_pages,
        "lies": _lies,
    }
    return rewritten(FLEET_PAGE.read_text(encoding="utf-8"), blocks)


def _options() -> str:
    rows = [(f"`{option.flag}`", _default(option), _meaning(option)) for option in options(FleetSettings)]
    return _table(("option", "default", "meaning"), rows)


def _meaning(option: Option) -> str:
    words = ", ".join(f"`{word}`" for word in option.choices)
    return f"{option.text} One of {words}." if words and not option.repeats else option.text


def _default(option: Option) -> str:
    return "" if option.default in (None, ()) else f"`{option.default}`"


def _formulas(module: ModuleType) -> str:
    return f"```\n{getdoc(module)}\n```"


def _status_pages() -> str:
    rows = [
        (
            f"`{engine}`",
            ", ".join(f"`{path}`" for path in pages),
            ", ".join(f"`POST {path}`" for path in RESETS.get(engine, {})),
        )
        for engine, pages in ENGINES.items()
    ]
    return _table(("`--engine`", "status pages", "empties the prefix cache"), rows)


def _lies() -> str:
    return _table(("`--gauge-lie`", "what the status pages show"), [(f"`{lie}`", text) for lie, text in LIES.items()])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))
