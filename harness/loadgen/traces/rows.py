"""The rows of a trace file: CSV with a header, JSON lines, or one JSON document (an object, or a list of objects)."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

from streamgauge.errors import UsageError
from streamgauge.units import MIB, plural, show_bytes

MOST_LINE: Final = 16 * MIB
"""Characters. A session of an agent is one line of several MiB in some traces."""
MOST_DOCUMENT: Final = 128 * MIB
"""Characters of a JSON document, which is held in memory as a whole. JSON lines have no such limit."""

HINT: Final = (
    "give CSV with the header timestamp,prompt_tokens,output_tokens, or one JSON object with these keys a line, or a "
    "public trace as it was published (docs/traces.md lists the formats)"
)
_AS_LINES: Final = "convert the file to JSON lines: jq -c '.[]' FILE > FILE.jsonl"


class Row(NamedTuple):
    """A row and its place. `fields` has the names in lower case, without blanks around them."""

    where: str
    fields: Mapping[str, Any]

    def first(self, *names: str) -> Any:
        """The first of these fields that has a value."""
        return next((self.fields[name] for name in names if self.fields.get(name) not in (None, "")), None)


def rows_of(lines: Iterable[str], name: str) -> Iterator[Row]:
    """The rows of a file. Raises UsageError that names the line."""
    numbered = ((number, line) for number, line in enumerate(_bounded(lines, name), 1) if line.strip())
    number, first = next(numbered, (0, ""))
    first = first.lstrip("\ufeff \t")
    if not first:
        return
    if first.startswith("["):
        yield from _document(chain([first], (line for _, line in numbered)), name)
    elif not first.startswith("{"):
        yield from _csv(first, number, numbered, name)
    elif _object(first) is None:
        yield from _one_object(first, number, numbered, name)
    else:
        yield from _json_lines(chain([(number, first)], numbered), name)


def _bounded(lines: Iterable[str], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if len(line) > MOST_LINE:
            raise UsageError(f"{name}, line {number} is longer than {MOST_LINE:,} characters", HINT)
        yield line


def _json_lines(numbered: Iterable[tuple[int, str]], name: str) -> Iterator[Row]:
    for number, line in numbered:
        found = _object(line.lstrip("\ufeff"))
        if found is None:
            raise _not_an_object(line, f"{name}, line {number}")
        yield _row(f"{name}, line {number}", found)


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _not_an_object(line: str, where: str) -> UsageError:
    return UsageError(f"{where} is not a JSON object: {line.strip()[:60]!r}", HINT)


def _one_object(first: str, number: int, numbered: Iterator[tuple[int, str]], name: str) -> Iterator[Row]:
    """A file that holds one object over several lines, as the sessions of an agent are published."""
    found = _object(_whole(chain([first], (line for _, line in numbered)), name))
    if found is None:
        raise _not_an_object(first, f"{name}, line {number}")
    yield _row(name, found)


def _document(lines: Iterable[str], name: str) -> Iterator[Row]:
    try:
        found = json.loads(_whole(lines, name))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} begins as a JSON list but cannot be read: {error}", HINT) from None
    if not isinstance(found, list):
        raise UsageError(f"{name} is not a JSON list of objects", HINT)
    for index, item in enumerate(found, 1):
        if not isinstance(item, dict):
            raise _not_an_object(str(item), f"{name}, item {index}")
        yield _row(f"{name}, item {index}", item)


def _whole(lines: Iterable[str], name: str) -> str:
    pieces: list[str] = []
    left = MOST_DOCUMENT
    for line in lines:
        left -= len(line)
        if left < 0:
            raise UsageError(f"{name} is one JSON document of more than {show_bytes(MOST_DOCUMENT)}", _AS_LINES)
        pieces.append(line)
    return "".join(pieces)


def _csv(first: str, number: int, numbered: Iterator[tuple[int, str]], name: str) -> Iterator[Row]:
    """A cell in quotes may hold line breaks, so a row is named by the line on which it begins."""
    at = number

    def lines() -> Iterator[str]:
        nonlocal at
        for at, line in numbered:  # noqa: B007 - read by the loop below
            yield line

    try:
        header = next(csv.reader([first], strict=True), [])
    except csv.Error as error:
        raise UsageError(f"{name}, line {number} is not a line of CSV: {error}", HINT) from None
    if len({cell.strip().lower() for cell in header}) < len(header):
        raise UsageError(f"{name}, line {number}: the header has two columns of the same name", HINT)
    reader = csv.reader(lines(), strict=True)
    while True:
        begins = at
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UsageError(f"{name}, line {max(at, begins + 1)} is not a line of CSV: {error}", HINT) from None
        if cells is None:
            return
        if len(cells) < len(header):
            raise UsageError(
                f"{name}, line {at} has {plural(len(cells), 'cell')} where the header has {len(header)}: it lacks the "
                f"column {header[len(cells)].strip()[:60]!r}",
                "write a comma for each column; a cell without a value may be empty",
            )
        yield _row(f"{name}, line {at}", dict(zip(header, cells, strict=False)))


def _row(where: str, fields: Mapping[str, Any]) -> Row:
    return Row(where, {str(key).strip().lower(): value for key, value in fields.items() if key is not None})
