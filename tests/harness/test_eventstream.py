"""The event-stream format against the standard, under every chunking (conformance.md section B)."""

from dataclasses import replace
from itertools import pairwise

import httpx
import httpx_sse
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import LimitExceeded
from harness.eventstream import Event, Interpreter, Lexer, Line, plain_events
from tests.harness.tapes import chunkings, cut

BOM = b"\xef\xbb\xbf"


class Parsed:
    """A body taken in pieces: its lines (terminators as they ended up), its events, and what was left."""

    def __init__(self, pieces: list[bytes]) -> None:
        lexer, interpreter = Lexer(), Interpreter()
        self.lines: list[Line] = []
        self.events: list[Event] = []
        for read, piece in enumerate(pieces):
            for line in lexer.feed(piece, read):
                self.lines.append(line)
                if event := interpreter.feed(line):
                    self.events.append(event)
        self.rest = lexer.finish(len(pieces))
        self.had_bom = lexer.had_bom
        self.retry_ms = interpreter.retry_ms
        self.pending = interpreter.pending

    @property
    def cut_lines(self) -> list[tuple[int, bytes, bytes]]:
        return [(line.offset, line.raw, line.terminator) for line in self.lines]

    @property
    def plain_events(self) -> list[tuple[str, str, str, int, int]]:
        return [event[:5] for event in self.events]

    def joined(self) -> bytes:
        parts = [line.raw + line.terminator for line in self.lines] + ([self.rest.raw] if self.rest else [])
        return (BOM if self.had_bom else b"") + b"".join(parts)


def everywhere(body: bytes) -> Parsed:
    """Parse under the chunking matrix, insist on one result, and return it."""
    whole = Parsed([body])
    for name, pieces in chunkings(body):
        parsed = Parsed(pieces)
        assert parsed.cut_lines == whole.cut_lines, name
        assert parsed.plain_events == whole.plain_events, name
        assert (parsed.retry_ms, parsed.pending, parsed.had_bom) == (
            whole.retry_ms,
            whole.pending,
            whole.had_bom,
        ), name
        assert parsed.joined() == body, name
    return whole


def events(body: bytes) -> list[tuple[str, str]]:
    """(type, data) of each event."""
    return [(event.type, event.data) for event in everywhere(body).events]


def data(body: bytes) -> list[str]:
    return [event.data for event in everywhere(body).events]


# Each case: the requirement or WPT file, the body, the events as (type, data).
CASES = [
    ("PR-01 invalid bytes become U+FFFD", b"data: a\xffb\n\n", [("message", "a\ufffdb")]),
    ("PR-01 a character cut by a line end", b"data: \xe2\x82\ndata: \xac\n\n", [("message", "\ufffd\n\ufffd")]),
    ("PR-01 multibyte characters", "data: ok…\U0001f600\n\n".encode(), [("message", "ok…\U0001f600")]),
    ("PR-01 U+2028 and U+0085 end no line", "data: a\u2028b\u0085c\n\n".encode(), [("message", "a\u2028b\u0085c")]),
    ("PR-02 one BOM is removed", BOM + b"data: a\n\n", [("message", "a")]),
    ("PR-03 LF", b"data: a\n\ndata: b\n\n", [("message", "a"), ("message", "b")]),
    ("PR-03 CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", [("message", "a"), ("message", "b")]),
    ("PR-03 CR", b"data: a\r\rdata: b\r\r", [("message", "a"), ("message", "b")]),
    ("PR-03 CR, then CRLF", b"data: a\r\r\ndata: b\n\n", [("message", "a"), ("message", "b")]),
    ("PR-03 LF CR is two line ends", b"data: a\n\rdata: b\n\r", [("message", "a"), ("message", "b")]),
    ("PR-03 VT and FF end no line", b"data: a\x0bb\x0cc\n\n", [("message", "a\x0bb\x0cc")]),
    ("PR-04 comments of any length, with NUL", b":" + b"x" * 2000 + b"\0\n:\ndata: a\n:\n\n", [("message", "a")]),
    ("PR-05 no trimming, case-sensitive", b" data: a\nData: b\ndata : c\nda-ta: d\ndata\0: e\n\n", []),
    ("PR-06 one space is removed, no tab", b"data:  a\ndata:\tb\ndata: \tc\n\n", [("message", " a\n\tb\n\tc")]),
    ("PR-06 no space is needed", b"data:a\n\n", [("message", "a")]),
    ("PR-07 a field without a colon", b"data\ndata\n\n", [("message", "\n")]),
    ("PR-08 lines are joined with LF", b"data: a\ndata: b\ndata:\n\n", [("message", "a\nb\n")]),
    ("PR-08 NUL is kept", b"data: a\0b\n\n", [("message", "a\0b")]),
    ("PR-08 a colon in the value is kept", b"data: a: b\n\n", [("message", "a: b")]),
    ("PR-09 no data, no event", b"event: x\n\n\n\nid: 1\n\n", []),
    ("PR-09 the type is reset without data", b"event: x\n\ndata: a\n\n", [("message", "a")]),
    ("PR-10 an empty data field dispatches", b"data:\n\ndata\n\n", [("message", ""), ("message", "")]),
    ("PR-11 the last type wins", b"event: x\nevent: y\ndata: a\n\n", [("y", "a")]),
    ("PR-11 an empty type is message", b"event: x\nevent: \ndata: a\n\n", [("message", "a")]),
    ("PR-11 the type is reset after an event", b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a"), ("message", "b")]),
    ("PR-14 the end discards what is pending", b"data: a\n\ndata: b\n", [("message", "a")]),
    ("PR-14 an unterminated blank line is none", b"data: a\n", []),
    ("WPT event-data",
     b"data: msg\n\ndata: msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n",
     [("message", "msg"), ("message", "msg\nmsg"), ("message", ""), ("message", "end")]),
    ("WPT format-bom", BOM + b"data:1\n\n" + BOM + b"data:2\n\ndata:3\n\n", [("message", "1"), ("message", "3")]),
    ("WPT format-bom-2", BOM + BOM + b"data:1\n\ndata:2\n\ndata:3\n\n", [("message", "2"), ("message", "3")]),
    ("WPT format-comments",
     b"data:1\r:\0\n:\r\ndata:2\n:" + b"x" * 2048 + b"\rdata:3\n:data:fail\r:" + b"x" * 2048 + b"\ndata:4\n\n",
     [("message", "1\n2\n3\n4")]),
    ("WPT format-data-before-final-empty-line",
     b"retry:1000\ndata:test1\n\nid:test\ndata:test2", [("message", "test1")]),
    ("WPT format-field-data", b"data:\n\ndata\ndata\n\ndata:test\n\n",
     [("message", ""), ("message", "\n"), ("message", "test")]),
    ("WPT format-field-event", b"event:test\ndata:x\n\ndata:x\n\n", [("test", "x"), ("message", "x")]),
    ("WPT format-field-parsing",
     b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
     [("message", "\0\n 2\n1\n3\n\n4")]),
    ("WPT format-field-unknown", b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
     [("message", "test\n\ntest")]),
    ("WPT format-leading-space", b"data:\ttest\rdata: \ndata:test\n\n", [("message", "\ttest\n\ntest")]),
    ("WPT format-newlines", b"data:test\r\ndata\ndata:test\r\n\r", [("message", "test\n\ntest")]),
    ("WPT format-null-character", b"data:\0\n\n\n\n", [("message", "\0")]),
    ("WPT format-utf-8", "data:ok…\n\n".encode(), [("message", "ok…")]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_standard_is_followed_under_every_chunking(body: bytes, expected: list[tuple[str, str]]) -> None:
    assert events(body) == expected


def ids(body: bytes) -> list[str]:
    return [event.id for event in everywhere(body).events]


def test_an_id_persists_until_it_is_replaced_or_emptied() -> None:
    body = b"id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\nid\ndata: d\n\nid:\ndata: e\n\n"
    assert ids(body) == ["1", "1", "2", "", ""]


def test_an_id_with_a_nul_is_ignored_and_the_old_one_stays() -> None:
    assert ids(b"id: ok\ndata: a\n\nid: x\0y\ndata: b\n\nid: \0\ndata: c\n\n") == ["ok", "ok", "ok"]


def test_an_id_counts_from_its_blank_line_even_without_data() -> None:
    assert ids(b"id: 7\n\ndata: a\n\n") == ["7"]


def test_an_id_is_read_as_utf_8() -> None:
    assert ids("id: …\ndata: a\n\n".encode()) == ["…"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"retry: 3000\n", 3000),
        (b"retry:03000\n", 3000),
        (b"retry: 000000000000000000000003000\n", 3000),
        (b"retry: 0\n", 0),
        (b"retry: 3000\nretry: 1000x\n", 3000),
        (b"retry: 3000\nretry\nretry:\n", 3000),
        (b"retry: +5\nretry: -5\nretry: 1_0\nretry:  5\nretry: 5 \nretry: 1.5\n", None),
        ("retry: ٥\n".encode(), None),
    ],
)
def test_retry_takes_ascii_digits_only_and_leading_zeros(body: bytes, expected: int | None) -> None:
    assert everywhere(body).retry_ms == expected


def test_a_line_ended_by_cr_is_complete_without_the_next_read() -> None:
    lexer, interpreter = Lexer(), Interpreter()
    dispatched = [interpreter.feed(line) for line in lexer.feed(b"data: a\r\r", 0)]
    assert [event.data for event in dispatched if event] == ["a"]


def test_an_lf_in_the_next_read_belongs_to_the_cr_before_it() -> None:
    lexer = Lexer()
    (first,) = lexer.feed(b"a\r", 0)
    assert first.terminator == b"\r"

    assert lexer.feed(b"\n", 1) == []
    (second,) = lexer.feed(b"b\n", 2)

    assert first.terminator == b"\r\n"
    assert (second.raw, second.offset) == (b"b", 3)


def test_a_second_lf_after_a_cut_crlf_is_a_line_of_its_own() -> None:
    lexer = Lexer()
    lexer.feed(b"a\r", 0)
    assert [line.raw for line in lexer.feed(b"\n\n", 1)] == [b""]


def test_lines_and_events_name_the_read_that_completed_them() -> None:
    parsed = Parsed([b"data: a\n", b"\ndata:", b" b\n", b"", b"\n"])

    assert [line.read for line in parsed.lines] == [0, 1, 2, 4]
    assert [event.read for event in parsed.events] == [1, 4]


def test_an_event_spans_from_its_first_line_to_its_blank_line() -> None:
    body = b": hello\n\n: c\nevent: x\ndata: a\r\n\r\ndata: b\n\n"
    spans = [body[event.offset : event.end] for event in everywhere(body).events]
    assert spans == [b": c\nevent: x\ndata: a\r\n", b"data: b\n"]


def test_a_line_tells_its_field_and_value() -> None:
    raw = [b"data:  a:b", b"data", b": note", b"", b":"]
    lines = [Line(0, item, b"\n", 0) for item in raw]

    assert [line.field for line in lines] == [b"data", b"data", None, None, None]
    assert [line.value for line in lines[:2]] == [b" a:b", b""]
    assert [line.is_comment for line in lines] == [False, False, True, False, True]


def test_what_the_end_leaves_is_told() -> None:
    assert everywhere(b"data: a\n\ndata: b\n").pending
    assert everywhere(b"event: x\n").pending
    assert not everywhere(b"data: a\n\n").pending
    rest = Parsed([b"data: a\n\ndata: b"]).rest
    assert rest is not None
    assert (rest.raw, rest.terminator, rest.offset) == (b"data: b", b"", 9)


@pytest.mark.parametrize("body", [b"\xef", b"\xef\xbb", BOM, b"\xef\xbbx\n", b"\xef\xbf\xbb\n", b"", b"\r", b"\n"])
def test_part_of_a_bom_is_content(body: bytes) -> None:
    parsed = everywhere(body)
    assert parsed.had_bom is (body == BOM)


WIRE = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"\n\n", b":", b" ", b"data", b"data:", b"data: x", b"event: e", b"id: 1", b"id",
         b"retry: 5", BOM, b"\0", b"\xe2\x82\xac", b"\xff", b"\xe2", "\u2028".encode(), b"x"]
    ) | st.binary(max_size=4),
    max_size=30,
).map(b"".join)  # fmt: skip


@given(WIRE, st.lists(st.integers(0, 120), max_size=12))
def test_any_chunking_of_any_bytes_gives_the_lines_and_events_of_the_whole(body: bytes, points: list[int]) -> None:
    whole, pieces = Parsed([body]), Parsed(cut(body, points))

    assert pieces.cut_lines == whole.cut_lines
    assert pieces.plain_events == whole.plain_events
    assert (pieces.retry_ms, pieces.pending) == (whole.retry_ms, whole.pending)


PLAIN = st.lists(
    st.sampled_from(
        [b"data: x\n\n", b"event: e\ndata: y\n\n", b"data: \xe2\x82\xac\n\n", b"data: \n\n", b"event: \ndata: z\n\n",
         b"event: e\n\n", b"data: a\ndata: b\n\n", b"id: 7\ndata: c\n\n", b"id: 8\n\n", b": hi\n\n", b"\n",
         b"data:q\n\n", b"data: r\r\n\r\n", b"retry: 5\n\n", b"data: cut", b"event: cut", b"id: \0\n\n",
         b"data: \xff\n\n", BOM]
    ),
    max_size=12,
)  # fmt: skip


@given(PLAIN)
def test_plain_events_are_what_the_strict_way_gives(pieces: list[bytes]) -> None:
    strict = Parsed(pieces)
    lexer, interpreter, events = Lexer(), Interpreter(), list[Event]()
    for read, piece in enumerate(pieces):
        plain = plain_events(lexer, interpreter, piece, read)
        if plain is None:
            plain = [event for line in lexer.feed(piece, read) if (event := interpreter.feed(line))]
        events += plain

    assert events == strict.events
    assert lexer.finish(0) == (strict.rest and replace(strict.rest, read=0))
    assert interpreter.pending == strict.pending


def test_what_nearly_every_token_is_goes_the_short_way() -> None:
    lexer, interpreter = Lexer(), Interpreter()
    lexer.feed(b": hello\n\n", 0)
    assert plain_events(lexer, interpreter, b"data: a\n\nevent: e\ndata: b\n\n", 1) == [
        Event("message", "a", "", 9, 17, 1), Event("e", "b", "", 18, 35, 1),
    ]  # fmt: skip


@given(WIRE, st.lists(st.integers(0, 120), max_size=12))
def test_the_lines_joined_are_the_body(body: bytes, points: list[int]) -> None:
    parsed = Parsed(cut(body, points))

    assert parsed.joined() == body
    for before, after in pairwise(parsed.lines):
        assert after.offset == before.end


SAFE_TEXT = st.text(st.characters(exclude_characters="\r\n\0\ufeff", exclude_categories=["Cs"]), max_size=12)
FIELD = st.one_of(
    SAFE_TEXT.map(lambda text: f"data: {text}"),
    SAFE_TEXT.map(lambda text: f"data:{text}"),
    SAFE_TEXT.map(lambda text: f":{text}"),
    st.sampled_from(["event: token", "event:", "event: done", "other: field", "data"]),
)
BLOCK = st.lists(FIELD, min_size=1, max_size=4).filter(lambda fields: any(f.startswith("data") for f in fields))


@given(st.lists(BLOCK, max_size=5), st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(0, 200), max_size=6))
def test_httpx_sse_agrees_where_it_is_conformant(blocks: list[list[str]], end: str, points: list[int]) -> None:
    """Not compared, for it departs there: blocks without data, `id:`, a BOM, odd `retry:` (conformance.md F)."""
    body = "".join(end.join(fields) + end + end for fields in blocks).encode()
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Pieces(cut(body, points)))
    theirs = [(event.event, event.data) for event in httpx_sse.EventSource(response).iter_sse()]

    ours = [(event.type, event.data) for event in Parsed(cut(body, points)).events]

    assert ours == theirs
    assert len(ours) == len(blocks)


class _Pieces(httpx.SyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self):
        return iter(self._pieces)


@pytest.mark.parametrize("pieces", [[b"x" * 11 + b"\n"], [b"x"] * 11, [b"x" * 10, b"x\n"], [b"ab\n" + b"x" * 11]])
def test_a_line_above_the_limit_is_refused_however_it_comes(pieces: list[bytes]) -> None:
    lexer = Lexer(max_line_bytes=10)
    with pytest.raises(LimitExceeded, match="longer than 10 bytes"):
        [lexer.feed(piece, 0) for piece in pieces]


@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_line_of_exactly_the_limit_passes(points: list[int]) -> None:
    lexer = Lexer(max_line_bytes=10)
    lines = [line for piece in cut(b"x" * 10 + b"\n" + b"y" * 10 + b"\n", points) for line in lexer.feed(piece, 0)]
    assert [line.raw for line in lines] == [b"x" * 10, b"y" * 10]


def test_the_line_limit_names_where_the_line_starts() -> None:
    lexer = Lexer(max_line_bytes=10)
    lexer.feed(b"data: a\n\n", 0)
    with pytest.raises(LimitExceeded, match="starts at byte 9"):
        lexer.feed(b"x" * 11, 1)


def test_an_event_above_the_limit_is_refused_and_a_smaller_one_after_it_is_not_blamed() -> None:
    interpreter = Interpreter(max_event_bytes=10)
    with pytest.raises(LimitExceeded, match="larger than 10 bytes"):
        [interpreter.feed(Line(0, b"data: xxx", b"\n", 0)) for _ in range(4)]

    interpreter = Interpreter(max_event_bytes=10)
    for _ in range(5):
        interpreter.feed(Line(0, b"data: xxx", b"\n", 0))
        assert interpreter.feed(Line(0, b"", b"\n", 0)) is not None


class Counting(bytes):
    """Bytes that count how many of them concatenation and slicing copy; so do the bytes made from them."""

    copied = 0

    def __add__(self, other: bytes) -> "Counting":
        return self._count(bytes(self) + bytes(other))

    def __radd__(self, other: bytes) -> "Counting":
        return self._count(bytes(other) + bytes(self))

    def __getitem__(self, index: slice) -> "Counting":
        return self._count(bytes(self)[index])

    @classmethod
    def _count(cls, made: bytes) -> "Counting":
        cls.copied += len(made)
        return cls(made)


def test_one_byte_pieces_of_a_long_line_are_copied_a_fixed_number_of_times_each() -> None:
    lexer = Lexer()
    Counting.copied = 0
    size = 20_000
    for _ in range(size):
        assert lexer.feed(Counting(b"x"), 0) == []
    copied = Counting.copied
    (line,) = lexer.feed(b"\n", 1)

    assert len(line.raw) == size
    assert copied <= 4 * size, "each byte must wait as it is until the line is joined once"
