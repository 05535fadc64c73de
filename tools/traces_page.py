"""The table of docs/traces.md: the formats of traces. `make docs` writes it, a test compares it."""

from pathlib import Path
from typing import Final

from streamgauge.loadgen.traces.registry import FORMATS
from streamgauge.reports.text import md
from tools.blocks import rewritten

TRACES_PAGE: Final = Path(__file__).parent.parent / "docs" / "traces.md"


def traces_page() -> str:
    """The page as it should be."""
    return rewritten(TRACES_PAGE.read_text(encoding="utf-8"), {"formats": _formats})


def _formats() -> str:
    columns = ("name", "format", "fields", "time")
    rows = [columns, ("---",) * 4, *((f"`{one.key}`", one.name, md(one.fields), one.time_text) for one in FORMATS)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
