"""The parser against the standard: one test a requirement PR-01 to PR-21, and an independent reference for any bytes.

The requirements are those that the web platform tests of `eventsource/` imply (https://github.com/web-platform-tests).
Everything is cut in all ways: whole, in 1 and 2 bytes, around each line end, inside each character.
"""

import random
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.result import Verdict
from streamgauge.endpoint.client import not_a_stream
from streamgauge.endpoint.target import Target
from streamgauge.errors import LimitExceeded
from streamgauge.protocol import dialects
from streamgauge.protocol.eventstream import MAX_RETRY_MS, Event, Interpreter, Lexer, Line
from streamgauge.protocol.eventstream_fast import plain_events, plain_runs
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.transcript import Transcript
from streamgauge.wire import Capture, End, Head, Read
from tests.builders import reference_eventstream as reference
from tests.builders import tapes
from tests.builders.parsing import BOM, Parsed, everywhere
from tests.builders.tapes import cut
from tests.harness.conformance.tapes import Example, Tape, headers


def events(body: bytes) -> list[tuple[str, str]]:
    """(type, data) of each event, the same however the body is cut."""
    return [(event.type, event.data) for event in everywhere(body).events]


def data(body: bytes) -> list[str]:
    """The data of each event; no event may have a type."""
    found = events(body)
    assert {kind for kind, _ in found} <= {"message"}
    return [text for _, text in found]


def ids(body: bytes) -> list[str]:
    return [event.id for event in everywhere(body).events]


def test_pr_01_utf_8_with_replacement_whatever_the_charset_says() -> None:
    assert data(b"data: a\xffb\n\n") == ["a\ufffdb"]
    assert data(b"data: \xe2\x82\ndata: \xac\n\n") == ["\ufffd\n\ufffd"], "a character that a line end cuts"
    assert data(b"data: \xed\xa0\x80\xf0\x9f\x98\n\n") == ["\ufffd\ufffd\ufffd\ufffd"], "a surrogate, a cut character"
    assert data("data: ok…\U0001f600\n\n".encode()) == ["ok…\U0001f600"]
    assert data("data: a\u2028b\u0085c\n\n".encode()) == ["a\u2028b\u0085c"], "neither ends a line"
    labelled = answer(200, "text/event-stream; charset=windows-1252", "data: ok…\n\n".encode())
    assert [event.data for event in labelled.events] == ["ok…"]


def test_pr_02_exactly_one_leading_bom_is_removed() -> None:
    assert data(BOM + b"data: a\n\n") == ["a"]
    assert data(BOM + BOM + b"data: a\n\ndata: b\n\n") == ["b"], "the second one is part of a field name"
    assert data(BOM + b"data:1\n\n" + BOM + b"data:2\n\ndata:3\n\n") == ["1", "3"]
    assert data(b"data: " + BOM + b"a\n\n") == ["\ufeffa"]


@pytest.mark.parametrize("body", [b"\xef", b"\xef\xbb", BOM, b"\xef\xbbx\n", b"\xef\xbf\xbb\n", b"", b"\r", b"\n"])
def test_pr_02_part_of_a_bom_is_content(body: bytes) -> None:
    assert everywhere(body).had_bom is (body == BOM)


def test_pr_03_crlf_lf_and_cr_end_a_line() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        assert data(b"data: a%s%sdata: b%s%s" % (end, end, end, end)) == ["a", "b"]
    assert data(b"data: a\r\r\ndata: b\n\n") == ["a", "b"]
    assert data(b"data: a\n\rdata: b\n\r") == ["a", "b"], "LF CR is two line ends"
    assert data(b"data: a\x0bb\x0cc\n\n") == ["a\x0bb\x0cc"]


def test_pr_03_a_line_ended_by_cr_is_not_held_back_for_its_lf() -> None:
    lexer, interpreter = Lexer(), Interpreter()
    dispatched = [interpreter.feed(line) for line in lexer.feed(b"data: a\r\r", 0)]
    assert [event.data for event in dispatched if event] == ["a"]
    assert lexer.feed(b"\n", 1) == [], "the LF that does come belongs to the CR"


def test_pr_04_comments_of_any_length_are_ignored() -> None:
    assert data(b":" + b"x" * 2000 + b"\0\n:\ndata: a\n:\n\n") == ["a"]
    assert data(b"data: a\n: b\ndata: c\n\n: d\n\n") == ["a\nc"]


def test_pr_05_a_field_name_is_case_sensitive_and_not_trimmed() -> None:
    assert data(b" data: a\nData: b\ndata : c\nda-ta: d\ndata\0: e\ndata_5: f\nx\n\n") == []
    assert data(b"data: a: b\n\n") == ["a: b"], "only the first colon counts"


def test_pr_06_one_space_is_removed_and_no_tab() -> None:
    assert data(b"data:  a\ndata:\tb\ndata: \tc\ndata:d\n\n") == [" a\n\tb\n\tc\nd"]


def test_pr_07_a_line_without_colon_is_a_field_with_an_empty_value() -> None:
    assert data(b"data\ndata\n\n") == ["\n"]
    assert events(b"event: x\nevent\ndata: a\n\n") == [("message", "a")]
    assert ids(b"id: 1\ndata: a\n\nid\ndata: b\n\n") == ["1", ""]


def test_pr_08_data_lines_are_joined_and_one_last_lf_is_removed() -> None:
    assert data(b"data: a\ndata: b\ndata:\n\n") == ["a\nb\n"]
    assert data(b"data: a\0b\n\n") == ["a\0b"], "NUL is kept"


def test_pr_09_a_blank_line_dispatches_and_without_data_only_resets() -> None:
    assert events(b"event: x\n\n\n\nid: 1\n\n") == []
    assert events(b"event: x\n\ndata: a\n\n") == [("message", "a")]


def test_pr_10_an_empty_data_field_dispatches() -> None:
    assert data(b"data:\n\ndata\n\ndata: \n\n") == ["", "", ""]


def test_pr_11_the_last_type_wins_and_an_empty_one_is_message() -> None:
    assert events(b"event: x\nevent: y\ndata: a\n\ndata: b\n\n") == [("y", "a"), ("message", "b")]
    assert events(b"event: x\nevent: \ndata: a\n\n") == [("message", "a")]


def test_pr_12_an_id_persists_until_it_is_replaced_or_emptied() -> None:
    body = b"id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\nid\ndata: d\n\nid:\ndata: e\n\n"
    assert ids(body) == ["1", "1", "2", "", ""]
    assert ids(b"id: ok\ndata: a\n\nid: x\0y\ndata: b\n\nid: \0\ndata: c\n\n") == ["ok", "ok", "ok"], "NUL"
    assert ids(b"id: 7\n\ndata: a\n\n") == ["7"], "it counts from its blank line even without data"
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
        (b"retry: " + b"9" * 5000 + b"\n", MAX_RETRY_MS),
    ],
)
def test_pr_13_retry_takes_ascii_digits_only_and_leading_zeros(body: bytes, expected: int | None) -> None:
    assert everywhere(body).retry_ms == expected


def test_pr_14_the_end_discards_what_no_blank_line_has_ended() -> None:
    assert data(b"data: a\n\ndata: b\n") == ["a"]
    assert data(b"data: a\n\ndata: b") == ["a"]
    assert data(b"data: a\n") == []
    cut_off = Parsed([b"id: 1\ndata: a\n\nid: 2\ndata: b"])
    assert [event.id for event in cut_off.events] == ["1"]
    assert cut_off.rest is not None, "and the checks are told"


def answer(status: int, content_type: str | None, body: bytes = b"data: a\n\n", **more: str) -> Transcript:
    """What an answer is taken for."""
    given = {"Content-Type": content_type} | {name.replace("_", "-"): value for name, value in more.items()}
    capture = Capture(1, url="http://x/", sent_ns=1, end=End.COMPLETE, reads=[Read(2, 2, 9)], body=[(0, body)])
    capture.head = Head(status, "", "1.1", tuple((name, value) for name, value in given.items() if value is not None))
    return interpret(capture, keep=True)


@pytest.mark.parametrize("status", [204, 205, 301, 404, 410, 503])
def test_pr_15_only_status_200_opens(status: int) -> None:
    refused = answer(status, "text/event-stream")
    assert (refused.is_stream, refused.outcome, refused.events) == (False, Outcome.HTTP_ERROR, [])


@pytest.mark.parametrize("status", [201, 202, 203, 206, 210, 299])
def test_pr_15_another_success_is_read_all_the_same_and_told(status: int) -> None:
    """A browser's EventSource would refuse it (the check http.status-200 says so), all other clients read it."""
    opened = answer(status, "text/event-stream")
    assert (opened.is_stream, opened.outcome, len(opened.events)) == (True, Outcome.OK, 1)
    assert opened.detail == f"the status is {status}, and 200 is that of a stream"


@pytest.mark.parametrize("content_type", ["text/event-stream", "text/event-stream;", "TEXT/Event-Stream; charset=x"])
def test_pr_15_the_type_of_an_event_stream_opens(content_type: str) -> None:
    assert answer(200, content_type, b"no field at all\n\n").is_stream


@pytest.mark.parametrize("content_type", ["x bogus", "text/x-bogus", "text/event-streams", "", None])
def test_pr_15_another_type_is_no_stream_unless_the_bytes_are_and_then_a_finding(content_type: str | None) -> None:
    """A browser would refuse it. The harness reads on where it can, and the check says what a browser does."""
    assert not answer(200, content_type, b"<html>").is_stream
    assert answer(200, content_type, b"data: a\n\n").is_stream

    told = Example("", Verdict.FAIL, (Tape(body=b"data: a\n\n", headers=headers(content_type=content_type)),))
    (result,) = judge_case(told.case(), [CHECKS["headers.content-type"]])
    assert result.verdict is Verdict.FAIL


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_pr_16_a_redirect_is_told_and_not_followed(status: int) -> None:
    """Which URL was measured must not be a guess; whoever asked gets the other one named."""
    moved = answer(status, None, b"", Location="http://elsewhere/\x1b[31m")
    assert (moved.is_stream, moved.outcome) == (False, Outcome.HTTP_ERROR)
    assert "http://elsewhere/" in (not_a_stream(moved).hint or "")


def test_pr_17_what_a_reconnect_needs_is_known_at_the_end() -> None:
    ended = answer(200, "text/event-stream", "retry: 10\nid: é\ndata: a\n\n".encode())
    assert (ended.retry_ms, ended.events[-1].id) == (10, "é")


def test_pr_18_after_204_there_is_nothing_to_read() -> None:
    assert answer(204, None, b"").outcome is Outcome.HTTP_ERROR


def test_pr_19_an_event_stream_is_asked_for() -> None:
    """But no Cache-Control: a cache that answers instead of the endpoint is a finding."""
    request = Target(url="http://x/stream?message=x").request()
    assert request.headers["Accept"] == "text/event-stream"
    assert "Cache-Control" not in request.headers


def test_pr_20_no_origin_is_claimed_unless_cors_is_what_is_tried() -> None:
    assert "Origin" not in Target(url="http://x/stream?message=x").request().headers


def test_pr_21_a_line_and_an_event_are_bounded() -> None:
    for pieces in ([b"x" * 11 + b"\n"], [b"x"] * 11, [b"x" * 10, b"x\n"], [b"ab\n" + b"x" * 11]):
        lexer = Lexer(max_line_bytes=10)
        with pytest.raises(LimitExceeded, match="longer than 10 bytes"):
            [lexer.feed(piece, 0) for piece in pieces]
    interpreter = Interpreter(max_event_bytes=10)
    with pytest.raises(LimitExceeded, match="larger than 10 bytes"):
        [interpreter.feed(Line(0, b"data: xxx", b"\n", 0)) for _ in range(4)]


def test_every_requirement_has_its_test() -> None:
    named = {match[1] for name in dir(sys.modules[__name__]) if (match := re.match(r"test_pr_(\d\d)_", name))}
    assert named == {f"{number:02}" for number in range(1, 22)}


# Any bytes at all, against the reference.

END = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])
NOISE = st.sampled_from(
    [b"\r", b"\n", b":", b" ", b"\t", b"\0", BOM, BOM[:2], b"\xef", b"\xff", b"\xe2\x82", "\u2028".encode(),
     "\U0001f600".encode(), b"\xed\xa0\x80", b"x", b"data", b"[DONE]", b'{"token":"a","done":false}']
) | st.binary(max_size=3)  # fmt: skip
NAME = st.sampled_from(
    [b"data", b"data", b"data", b"event", b"id", b"retry", b"", b"Data", b" data", b"data ", b"error", BOM + b"data"]
)
COLON = st.sampled_from([b": ", b": ", b":", b"", b":  ", b" :", b"::", b":\t"])
VALUE = st.one_of(
    st.lists(NOISE, max_size=3).map(b"".join),
    st.sampled_from([b"a", b"1", b"2", b"id\0", b"\0", b"message", b"error", b"done"]),
    st.sampled_from([b"3000", b"007", b"0", b"12x", b"-1", "٣".encode(), b"9" * 19, b"0" * 30 + b"5"]),
)
LINE = st.tuples(NAME, COLON, VALUE, END).map(b"".join)
BODY = st.tuples(
    st.sampled_from([b"", b"", BOM, BOM + BOM, b"\n", b"\r"]),
    st.lists(st.one_of(LINE, LINE, END, st.tuples(END, END).map(b"".join), NOISE), max_size=30).map(b"".join),
).map(b"".join)
POINTS = st.lists(st.integers(0, 200), max_size=12)


@given(BODY, POINTS)
def test_any_body_in_any_pieces_means_what_the_reference_says(body: bytes, points: list[int]) -> None:
    expected = reference.parse(body)
    size = len(body)
    for pieces in ([body], cut(body, range(size)), cut(body, range(0, size, 2)), cut(body, points)):
        parsed = Parsed(pieces)
        assert [event[:3] for event in parsed.events] == expected.events
        assert parsed.retry_ms == (
            None if expected.reconnection_time is None else min(expected.reconnection_time, MAX_RETRY_MS)
        )


@given(BODY, POINTS)
def test_the_place_of_an_event_holds_its_lines(body: bytes, points: list[int]) -> None:
    """What `offset` and `end` cut out of the body is by itself, with a blank line, that event again."""
    for event in Parsed(cut(body, points)).events:
        (again,) = reference.parse(b":\n" + body[event.offset : event.end] + b"\n\n").events
        assert again[:2] == event[:2]


@given(BODY, POINTS)
def test_an_id_that_was_dispatched_is_the_one_a_reconnect_would_send(body: bytes, points: list[int]) -> None:
    ended = body + b"\n\n"
    lexer, interpreter = Lexer(), Interpreter()
    for piece in cut(ended, points):
        for line in lexer.feed(piece, 0):
            interpreter.feed(line)

    assert interpreter.plain_id == reference.parse(ended).last_event_id


# Mostly what the fast ways take, and what they must not.
PLAIN_BLOCK = st.sampled_from(
    [b"data: x\n\n", b"data: y\n\n", b"event: e\ndata: y\n\n", b"data: \xe2\x82\xac\n\n", b"data: \n\n",
     b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', b"data: [DONE]\n\n", b"data: a:\xff b\n\n",
     b"event: \ndata: z\n\n", b"data: \xe2", b"\x82\xac\n\n", b"data: a\ndata: b\n\n", b"id: 7\ndata: c\n\n",
     b"id: 8\n\n", b": hi\n\n", b"\n", b"data:q\n\n", b"data: r\r\n\r\n", b"retry: 5\n\n", b"data: cut", b"id: \0\n\n",
     b"event: cut", b"\r", BOM, b"data: a\rdata: b\n\n", b"data: c\r\n\n", b"event: e\rdata: d\n\n"]
)  # fmt: skip
PLAIN_BODY = st.lists(PLAIN_BLOCK, max_size=40)
LONG_RUN = st.lists(st.sampled_from([b"data: x\n\n", b"data: y\n\n"]), min_size=60, max_size=140)


@given(PLAIN_BODY, st.randoms(use_true_random=False))
def test_the_fast_ways_mean_what_the_reference_says(blocks: list[bytes], source: random.Random) -> None:
    """`plain_events` a piece, or `plain_runs` for some pieces, or the strict way: whichever takes it, in any order."""
    body = b"".join(blocks)
    pieces = blocks if source.random() < 0.7 else cut(body, source.choices(range(len(body) + 1), k=8))
    lexer, interpreter = Lexer(), Interpreter()
    found: list[Event] = []
    at = 0
    while at < len(pieces):
        count = source.choice([1, 1, 2, 5])
        run = pieces[at : at + count]
        taken = plain_runs(lexer, interpreter, run, list(range(at, at + len(run))))
        if taken is None:
            taken = []
            for read, piece in enumerate(run, at):
                plain = plain_events(lexer, interpreter, piece, read)
                if plain is None:
                    plain = [event for line in lexer.feed(piece, read) if (event := interpreter.feed(line))]
                taken += plain
        found += taken
        at += count

    assert found == Parsed(pieces).events
    assert [event[:3] for event in found] == reference.parse(body).events


@given(st.tuples(PLAIN_BODY, LONG_RUN, PLAIN_BODY).map(lambda parts: [*parts[0], *parts[1], *parts[2]]), POINTS)
def test_a_whole_stream_is_read_as_the_reference_says(blocks: list[bytes], points: list[int]) -> None:
    """As load tests read it, with nothing kept and everything fast, in any dialect."""
    body = b"".join(blocks)
    expected = reference.parse(body).events
    for name in (None, "openai-chat", "raw-text", "token-done"):
        for pieces in (blocks, cut(body, points)):
            tape = [(n, tapes.SSE_HEAD if n == 0 else piece) for n, piece in enumerate([b"", *pieces])]
            transcript = interpret(tapes.play(tape), dialects.by_name(name) if name else None)
            assert [event[:3] for event in transcript.events] == expected
