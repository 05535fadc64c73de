"""Recorded arrivals: a CSV with a header, or JSON lines, with a time and the lengths of prompt and answer.

Times are seconds, or dates with a time of day (ISO 8601); only their differences count. Besides our own column names,
those of the public traces are known: Azure's (TIMESTAMP, ContextTokens, GeneratedTokens), BurstGPT's (Timestamp,
Request tokens, Response tokens), and Mooncake's (timestamp in ms, input_length, output_length).
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

from streamgauge.errors import UsageError
from streamgauge.loadgen.schedule import Arrival
from streamgauge.units import MS, SECOND

MAX_ARRIVALS: Final = 5_000_000
MAX_TOKENS: Final = 10_000_000
MOST_LINE: Final = 1_000_000

_TIME: Final = ("timestamp",)
_PROMPT: Final = ("prompt_tokens", "input_length", "contexttokens", "request tokens")
_OUTPUT: Final = ("output_tokens", "output_length", "generatedtokens", "response tokens")
_HINT: Final = (
    "write CSV with the header timestamp,prompt_tokens,output_tokens or one JSON object with these keys a line; "
    "timestamp is in seconds or ISO 8601, the lengths may be missing"
)


def parse_trace(lines: Iterable[str], name: str) -> list[Arrival]:
    """The arrivals in `lines`, in order of time; times count from the first. Raises UsageError that names the line."""
    rows: list[tuple[int, int | None, int | None]] = []
    for number, row in _rows(_bounded(lines, name), name):
        where = f"{name}, line {number}"
        found = {str(key).strip().lower(): value for key, value in row.items() if key is not None}
        unit_ns = MS if "input_length" in found else SECOND
        at_ns = _time(_first(found, _TIME), unit_ns, where)
        rows.append((at_ns, _tokens(found, _PROMPT, where), _tokens(found, _OUTPUT, where)))
        if len(rows) > MAX_ARRIVALS:
            raise UsageError(f"{name} has more than {MAX_ARRIVALS:,} arrivals", "cut the file to the part to replay")
    if not rows:
        raise UsageError(f"{name} holds no arrival", _HINT)
    rows.sort(key=lambda row: row[0])
    first_ns = rows[0][0]
    return [Arrival(number, at_ns - first_ns, prompt, output) for number, (at_ns, prompt, output) in enumerate(rows)]


def _bounded(lines: Iterable[str], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if len(line) > MOST_LINE:
            raise UsageError(f"{name}, line {number} is longer than {MOST_LINE:,} characters", _HINT)
        yield line


def _rows(lines: Iterable[str], name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    begin, first = next(numbered, (0, ""))
    if first.lstrip("\ufeff \t").startswith("{"):
        for number, line in chain([(begin, first)], numbered):
            try:
                row = json.loads(line.lstrip("\ufeff"))
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise UsageError(f"{name}, line {number} is not a JSON object: {line.strip()[:60]!r}", _HINT)
            yield number, row
        return
    header = [cell.strip() for cell in first.lstrip("\ufeff").split(",")]
    if first and not any(cell.strip('"').lower() in _TIME for cell in header):
        raise UsageError(f"{name}, line {begin} is not a header with a column timestamp: {first.strip()[:60]!r}", _HINT)
    header = [cell.strip('"') for cell in header]
    for number, line in numbered:
        try:
            cells = next(csv.reader([line], strict=True))
        except (csv.Error, StopIteration):
            raise UsageError(f"{name}, line {number} is not a line of CSV: {line.strip()[:60]!r}", _HINT) from None
        yield number, dict(zip(header, cells, strict=False))


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _time(value: Any, unit_ns: int, where: str) -> int:
    if isinstance(value, str):
        text = value.strip()
        try:
            return _scaled(float(text), unit_ns)
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(f"{where}: the timestamp {text[:60]!r} is neither a number nor a date", _HINT) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000) * 1_000
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return _scaled(float(value), unit_ns)
        except (ValueError, OverflowError):
            pass
    raise UsageError(f"{where} has no timestamp that can be read: {str(value)[:60]!r}", _HINT)


def _scaled(value: float, unit_ns: int) -> int:
    if not math.isfinite(value):
        raise ValueError("not finite")
    return round(value * unit_ns)


def _tokens(row: Mapping[str, Any], names: tuple[str, ...], where: str) -> int | None:
    value = _first(row, names)
    if value is None:
        return None
    try:
        number = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not (0 <= number <= MAX_TOKENS and number == int(number)):
        raise UsageError(f"{where}: {names[0]} is {str(value)[:60]!r}, not a whole number up to {MAX_TOKENS:,}", _HINT)
    return int(number)
