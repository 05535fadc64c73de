"""The formats of traces. A new format is one file and a line here."""

from collections.abc import Sequence
from typing import Final

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces import (
    aiperf,
    azure,
    bailian,
    baseten,
    burstgpt,
    lengths,
    mooncake,
    own,
    records,
    sharegpt,
    weka,
)
from streamgauge.loadgen.traces.format import TraceFormat
from streamgauge.loadgen.traces.rows import HINT

FORMATS: Final[Sequence[TraceFormat]] = (
    records.FORMAT,
    weka.FORMAT,
    sharegpt.FORMAT,
    bailian.FORMAT,
    baseten.FORMAT,
    burstgpt.FORMAT,
    azure.FORMAT,
    aiperf.FORMAT,
    mooncake.FORMAT,
    lengths.FORMAT,
    own.FORMAT,
)
"""The first that fits counts, so a format with more columns comes before one with fewer."""


def format_named(key: str) -> TraceFormat:
    """The format that --trace-format names. Raises UsageError."""
    found = next((known for known in FORMATS if known.key == key.strip().lower()), None)
    if found is None:
        raise UsageError(f"--trace-format {key!r} is not known", f"one of: {', '.join(known.key for known in FORMATS)}")
    return found


def format_of(columns: frozenset[str], where: str) -> TraceFormat:
    """The format of a file with these columns. Raises UsageError that shows the columns."""
    found = next((known for known in FORMATS if any(needed <= columns for needed in known.columns)), None)
    if found is None:
        shown = ", ".join(sorted(columns))[:200]
        raise UsageError(
            f"{where} has no columns of a known trace, such as timestamp. It has: {shown or 'none'}",
            f"{HINT}; --trace-columns timestamp=NAME,prompt_tokens=NAME,... says what columns of other names mean",
        )
    return found
