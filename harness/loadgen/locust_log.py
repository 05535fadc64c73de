"""Locust's log: it has the errors of the scenario's own code, which leave no record."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from streamgauge.units import plural

_ERROR: Final = re.compile(r"\[[^\]]*\] \S+/(?:ERROR|CRITICAL)/(\S+?): (.*)")
_RAISED: Final = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b.*")
_TABLE: Final = re.compile(r"Type +Name|-*\||.* \| *\d|(Response time percentiles|Error report)")
_TASKS: Final = "locust.user"
_LONGEST: Final = 500
_KINDS: Final = 100


def task_errors(log: Path) -> str | None:
    """A sentence on the errors that tasks raised, with the most frequent one; None without errors."""
    found: Counter[str] = Counter()
    for line in _lines(log):
        match = _ERROR.fullmatch(line)
        if match and match[1].startswith(_TASKS) and (match[2] in found or len(found) < _KINDS):
            found[match[2]] += 1
    if not found:
        return None
    [(commonest, _)] = found.most_common(1)
    count = plural(found.total(), "error")
    return f"The scenario raised {count}, each a stream that may be missing: {commonest} (see {log})."


def why_it_ended(log: Path) -> str:
    """The last line that looks like a reason, else the last three lines before Locust's tables."""
    last: list[str] = []
    reason = None
    for line in _lines(log):
        if _TABLE.match(line):
            continue
        if match := _ERROR.fullmatch(line):
            reason = match[2]
        elif _RAISED.fullmatch(line) or ": error: " in line:
            reason = line
        last = [*last[-2:], line] if line else last
    return reason or " | ".join(last)


def _lines(log: Path) -> Iterator[str]:
    with suppress(OSError), log.open(errors="replace") as file:
        for line in file:
            yield line.rstrip("\n")[:_LONGEST]
