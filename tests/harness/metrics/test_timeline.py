"""One stream as a timeline."""

from streamgauge.metrics.timeline import marks, reads
from streamgauge.protocol.reader import interpret
from streamgauge.wire import Read
from tests.builders.tapes import MS, SSE_HEAD, START_NS, play

TAPE = [
    (10 * MS, SSE_HEAD),
    (100 * MS, b"data: a\n\n"),
    (110 * MS, b"data: b\n\ndata: c\n\n"),
    (900 * MS, b"data: d\n\n"),
    (910 * MS, b": bye\n\n"),
]


def test_moments_come_in_order_with_their_times() -> None:
    capture = play(TAPE)
    capture.connect_ns, capture.tls_ns, capture.sent_ns = 2 * MS, 3 * MS, START_NS + 6 * MS
    found = [(mark.at_ns // MS, mark.name) for mark in marks(interpret(capture))]
    assert found == [
        (2, "connected"), (5, "TLS ready"), (6, "request sent"), (10, "headers"), (100, "first event"),
        (100, "first token"), (110, "stall"), (900, "last token"), (910, "end"),
    ]  # fmt: skip


def test_a_stall_says_after_which_token() -> None:
    (stall,) = [mark for mark in marks(interpret(play(TAPE))) if mark.name == "stall"]
    assert stall.note == "nothing for 790 ms after token 3"


def test_a_reused_connection_has_its_own_note() -> None:
    capture = play(TAPE)
    capture.reused = True
    assert "an idle connection was reused" in [mark.note for mark in marks(interpret(capture))]


def test_each_read_has_the_number_of_events_and_tokens_that_it_completed() -> None:
    rows = reads(interpret(play(TAPE, lag_ns=5)))
    assert [(row.at_ns // MS, row.lag_ns, row.events, row.tokens) for row in rows] == [
        (10, 5, 0, 0),
        (100, 5, 1, 1),
        (110, 5, 2, 2),
        (900, 5, 1, 1),
        (910, 5, 0, 0),
    ]
    assert [row.size for row in rows] == [len(data) for _, data in TAPE]


def test_a_read_without_a_kernel_stamp_has_no_lag() -> None:
    capture = play(TAPE)
    capture.reads[0] = Read(START_NS, START_NS, 5, stamped=False)
    assert reads(interpret(capture))[0].lag_ns is None


def test_a_moment_that_did_not_happen_is_left_out() -> None:
    assert [mark.name for mark in marks(interpret(play([])))] == ["request sent", "end"]
