"""Numbers as an endpoint, a mock, a file or a peer may write them: fragments of JSON text, most of them wrong."""

import json
import re
from collections.abc import Iterator
from types import UnionType

from hypothesis import strategies as st

_PAYLOAD = re.compile(rb"^(data: ?|)(\{.*\})$", re.MULTILINE)

EDGES = tuple(
    str(sign * (2**power + off)) for power in (0, 31, 53, 61, 62, 63, 64) for off in (-1, 0, 1) for sign in (1, -1)
)
ODD = (
    "null", "true", "false", "-0", "0.0", "-0.0", "1.0", "0.5", "1e5", "1E-9", "1e300", "-1e300", "1e308", "1e999",
    "-1e999", "NaN", "Infinity", "-Infinity", '"7"', '"NaN"', '""', '"\\ud800"', '"\\u0000"', "[]", "{}", "[7]",
    '{"value": 7}', "1" * 400, "-" + "1" * 400, "1" * 4_300, "1" * 5_000, "1" * 100_000, "0" * 400 + "1", "0x10",
    "١٢", "[" * 200 + "]" * 200, "[" * 100_000,
)  # fmt: skip
DEEP = tuple("[" * depth + "7" + "]" * depth for depth in (*range(880, 1_000, 7), 2_000))

fragments = st.one_of(
    st.sampled_from(EDGES + ODD + DEEP),
    st.integers(-(2**70), 2**70).map(str),
    st.integers(0, 1_000).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
"""The text of one value."""


def places(
    document: object, place: tuple[str | int, ...] = (), of: type | UnionType = int | float
) -> Iterator[tuple[str | int, ...]]:
    """The places of all numbers of a JSON document, or of all its values of other types."""
    if of is object:
        yield place
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*place, key), of)
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from places(value, (*place, index), of)
    elif of is not object and isinstance(document, of) and not isinstance(document, bool):
        yield place


def with_number(text: str, place: tuple[str | int, ...], number: str) -> bytes:
    """The document with this text in place of one number."""
    document = json.loads(text)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = "@number@"
    return json.dumps(document).replace('"@number@"', number).encode("utf-8", "surrogatepass")


def in_payloads(body: bytes, at: int, number: str) -> bytes:
    """A stream with this text in place of the value number `at` of each JSON payload, whatever it was before."""

    def changed(line: re.Match[bytes]) -> bytes:
        try:
            document = json.loads(line[2])
        except (ValueError, RecursionError):
            return line[0]
        found = [place for place in places(document, of=object) if place]
        return line[1] + with_number(line[2].decode(), found[at % len(found)], number) if found else line[0]

    return _PAYLOAD.sub(changed, body)
