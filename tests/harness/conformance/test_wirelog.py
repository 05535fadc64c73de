"""The wire behind a verdict: complete where it is quoted, bounded elsewhere, and without secrets."""

import json
import time

from streamgauge.conformance import wirelog
from streamgauge.conformance.cases import Case
from streamgauge.conformance.result import CheckResult, Evidence, Verdict, WireExchange
from streamgauge.conformance.wirelog import exchanges, hidden
from streamgauge.secrets import learn
from streamgauge.units import MS
from tests.harness.conformance.tapes import Tape
from tests.reports.report_builders import check

LINES = tuple((10.0 * n, b'data: {"n":%d}\n\n' % n) for n in range(200))
LONG = Tape(timed=LINES)


def quoting(tape: Tape, *offsets: int) -> CheckResult:
    """A finding at these offsets."""
    return check("bad", Verdict.FAIL, evidence=[tape.play().at(offset) for offset in offsets])


def log(tape: Tape, *results: CheckResult, secrets: tuple[str, ...] = ()) -> WireExchange:
    learn(secrets)
    (only,) = exchanges(Case(observed=[tape.play()]), results)
    return only


def test_rows_are_lines_with_their_arrival() -> None:
    rows = log(LONG).rows

    assert [(row.offset, row.arrival_ns, row.text) for row in rows[:2]] == [
        (0, 0, 'data: {"n":0}␊␊'),
        (15, 10 * MS, 'data: {"n":1}␊␊'),
    ]


def test_a_long_body_is_bounded_and_whole_around_what_is_quoted() -> None:
    """The first rows, the last, and the neighbours of the quoted byte, which is marked."""
    body = b"".join(data for _, data in LINES)
    offset = body.index(b'"n":100')

    rows = log(LONG, quoting(LONG, offset)).rows

    assert len(rows) == wirelog.FIRST_ROWS + wirelog.LAST_ROWS + 2 * wirelog.AROUND + 1
    (marked,) = [row for row in rows if row.cited]
    assert marked.cited == [offset]
    assert marked.text[marked.marks[0] :].startswith('"n":100')
    assert rows[-1].offset + rows[-1].size == len(body)


def test_a_byte_order_mark_belongs_to_the_first_row() -> None:
    tape = Tape(body=b"\xef\xbb\xbfdata: x\n\n")

    (row,) = log(tape, quoting(tape, 0)).rows

    assert (row.offset, row.size, row.text, row.marks) == (0, 12, "<U+FEFF>data: x␊␊", [0])


def test_a_row_shows_the_quoted_byte_of_a_long_line() -> None:
    tape = Tape(body=b"data: " + b"x" * 5_000 + b"\xff" + b"y" * 5_000 + b"\n\n")

    (row,) = log(tape, quoting(tape, 5_006)).rows

    assert len(row.text) <= wirelog.ROW_CHARS + 2
    assert row.text[row.marks[0] :].startswith("<0xFF>")


def test_no_secret_is_kept() -> None:
    """Neither the credential that was sent, wherever it comes back, nor what looks like one."""
    tape = Tape(
        body=b"data: you sent hunter2-hunter2 and sk-abcdefghijklmnop\n\n",
        headers=(("Content-Type", "text/event-stream"), ("Set-Cookie", "s=1"), ("X-Echo", "hunter2-hunter2")),
    )

    kept = log(tape, quoting(tape, 6), secrets=("hunter2-hunter2", "x"))

    assert "hunter2" not in str(kept)
    assert "abcdefgh" not in str(kept)
    assert ("Set-Cookie", "***") in kept.headers


def test_no_secret_is_quoted_not_even_a_part_of_one() -> None:
    """A quotation begins and ends where it must, be it amid a key."""
    key = "hunter2-hunter2-hunter2"
    finding = check(
        "bad",
        Verdict.FAIL,
        actual=f"it said {key}",
        evidence=[Evidence("happy", f"note {key}", 6, f"…{key[9:]} and more {key[:12]}…", mark=3), Evidence("happy")],
    )

    assert hidden(finding) == finding
    learn([key])
    said = hidden(finding)

    assert "hunter" not in str(said)
    assert said.evidence[0].mark is None


def test_no_secret_is_kept_that_the_reads_split() -> None:
    """A body without lines is shown by its reads: each part of the key is masked in its own row."""
    pieces = (b"<p>you sent hun", b"ter", b"2-hunter2", b"-hunter2</p>")
    tape = Tape(
        headers=(("Content-Type", "text/html"),), timed=tuple((1.0 + n, piece) for n, piece in enumerate(pieces))
    )

    rows = log(tape, secrets=("hunter2-hunter2-hunter2",)).rows

    assert [row.text for row in rows] == ["<p>you sent ***", "***", "***", "***</p>"]


def test_an_answer_that_is_no_stream_is_kept_by_what_arrived() -> None:
    refused = Tape(
        status=400, headers=(("Content-Type", "application/json"),), timed=((1, b'{"error":'), (2, b'"no"}\n'))
    )

    rows = log(refused).rows

    assert [(row.offset, row.text, row.arrival_ns) for row in rows] == [(0, '{"error":', MS), (9, '"no"}␊', 2 * MS)]


def test_a_connection_that_gave_nothing() -> None:
    assert log(Tape(status=None)).rows == []


def test_what_is_quoted_comes_first_when_there_is_too_much() -> None:
    """A load check's hundred streams do not crowd out the one that is at fault."""
    many = [Tape(body=b"data: x\n\n", variant=f"stream {n}") for n in range(50)]
    finding = check("bad", Verdict.FAIL, evidence=[Evidence("happy (stream 49)")])

    kept = exchanges(Case(observed=[tape.play() for tape in many]), [finding])

    assert len(kept) == wirelog.PER_SCENARIO
    assert kept[0].label == "happy (stream 49)"


def test_hostile_bytes_are_shown_and_never_kept_raw() -> None:
    tape = Tape(body="data: \x1b]0;title\x07\u202eevil\x00\n\n".encode())

    assert log(tape).rows[0].text == "data: ␛]0;title␇<U+202E>evil␀␊␊"


def test_no_secret_is_kept_that_is_scattered_over_events() -> None:
    """Each event has a few characters of the key in its text; the rest of each event stays."""
    key = 'Zm9v/Y"mFy+ntent'
    pieces = ["your key: ", *(key[at : at + 3] for at in range(0, len(key), 3)), " is wrong"]
    body = b"".join(
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]}).encode() + b"\n\n"
        for piece in pieces
    )

    rows = log(Tape(body=body, dialect="openai-chat"), secrets=(key,)).rows

    texts = [json.loads(row.text.removeprefix("data: ").strip("␊"))["choices"][0]["delta"]["content"] for row in rows]
    assert texts == ["your key: ", *["***"] * 6, " is wrong"]


def test_a_row_of_megabytes_costs_no_more_than_what_it_shows() -> None:
    """Undoing the escapes of 4 MB, for each of many rows, would take minutes."""
    line = b"data: " + b"%41" * 1_300_000 + "é".encode() + b"<here>" + b"\\u0041" * 10_000 + b"\n\n"
    tape = Tape(body=line)
    began = time.process_time()

    (row, *_) = log(tape, quoting(tape, line.index(b"<here>")), secrets=("hunter2-hunter2",)).rows

    assert time.process_time() - began < 2
    assert row.size == len(line)
    assert row.text[row.marks[0] :].startswith("<here>")
    assert row.text.startswith("…%41") or row.text.startswith("…41") or row.text.startswith("…1")
    assert row.text.endswith("…")
