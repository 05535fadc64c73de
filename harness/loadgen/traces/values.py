"""The values of a row: each is what its name says, or an error that names the row."""

import json
import math
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces.request import Blocks
from streamgauge.loadgen.traces.rows import HINT, Row
from streamgauge.units import MS, SECOND

MAX_TOKENS: Final = 10_000_000
LATEST_NS: Final = 2**63
"""In the year 2262: no timestamp is larger, in any unit."""
MOST_IDS: Final = 200_000
"""Blocks of one prompt: 10 million tokens in blocks of 64."""
_LONGEST_ID: Final = 128
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Time(NamedTuple):
    """A time as it stands in the file: a number whose unit is not known yet, or ns when it was a date."""

    value: int | float
    is_date: bool = False


def time_of(value: Any, where: str) -> Time:
    """A number from 0, or a date with a time of day (ISO 8601)."""
    if isinstance(value, str):
        text = value.strip()
        number = _number(text)
        if number is None:
            return Time(_date_ns(text, where), is_date=True)
    else:
        number = _number(value)
    if number is None:
        raise UsageError(f"{where} has no timestamp that can be read: {str(value)[:60]!r}", HINT)
    if not 0 <= number <= LATEST_NS:
        wrong = "below 0" if number < 0 else "later than any clock can show"
        raise UsageError(f"{where}: the timestamp {str(value)[:60]!r} is {wrong}", HINT)
    return Time(number)


def _number(value: Any) -> int | float | None:
    """A finite number, exact where it is whole."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
        if not math.isfinite(number):
            return None
        return int(value) if isinstance(value, int) or str(value).isdecimal() else number
    except (ValueError, OverflowError):
        return None


def _date_ns(text: str, where: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{where}: the timestamp {text[:60]!r} is neither a number nor a date", HINT) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def tokens_of(row: Row, *names: str) -> int | None:
    """A number of tokens under the first of these names that has a value."""
    value = row.first(*names)
    if value is None:
        return None
    number = _number(value)
    if number is None or not (0 <= number <= MAX_TOKENS and number == int(number)):
        raise UsageError(
            f"{row.where}: {names[0]} is {str(value)[:60]!r}, not a whole number up to {MAX_TOKENS:,}", HINT
        )
    return int(number)


def length_ns(row: Row, unit_ns: int, name: str) -> int | None:
    """A duration of at most a year under this name, in units of `unit_ns`."""
    value = row.first(name)
    if value is None:
        return None
    number = _number(value)
    if number is None or not 0 <= number * unit_ns <= 366 * 86_400 * SECOND:
        raise UsageError(f"{row.where}: {name} is {str(value)[:60]!r}, not a duration", HINT)
    return round(number * unit_ns)


def milliseconds(row: Row, name: str) -> int | None:
    return length_ns(row, MS, name)


def flag_of(row: Row, name: str) -> bool:
    """Whether this field is true: true, 1 or yes. An absent field is false."""
    value = row.first(name)
    text = str(value).strip().lower()
    if value is None or text in ("false", "0", "no", "0.0"):
        return False
    if text in ("true", "1", "yes", "1.0"):
        return True
    raise UsageError(f"{row.where}: {name} is {text[:60]!r}, neither true nor false", HINT)


def id_of(row: Row, name: str) -> str | None:
    """An identifier: a text or a whole number."""
    value = row.first(name)
    if value is None:
        return None
    if isinstance(value, bool | float | list | dict) or len(str(value)) > _LONGEST_ID:
        raise UsageError(f"{row.where}: {name} is {str(value)[:60]!r}, not an identifier", HINT)
    return str(value)


def blocks_of(row: Row, name: str, size: int, scope: str = "") -> Blocks | None:
    """The blocks of a prompt: a list of numbers or texts, in CSV as JSON."""
    value = row.first(name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = 0
    if value is None or value == []:
        return None
    is_list = isinstance(value, list) and len(value) <= MOST_IDS
    if not is_list or not all(type(item) in (int, str) and len(str(item)) <= _LONGEST_ID for item in value):
        raise UsageError(f"{row.where}: {name} is not a list of at most {MOST_IDS:,} numbers or texts", HINT)
    return Blocks(size, tuple(value), scope)
