"""The record of an answer during which the clock of this machine was set has no times, and blames nobody for one."""

import pytest

from streamgauge.endpoint.answer import Answer
from streamgauge.metrics.facts import StreamFacts
from streamgauge.metrics.summary import Totals
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord, contradicts_itself
from streamgauge.units import MS, SECOND
from streamgauge.wire import End
from tests.builders.tapes import SSE_HEAD, START_NS, play

TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"busy"}}\n\n'


def answered(*pieces: bytes, then: End | None = End.CLOSED, set_by_ns: int) -> StreamRecord:
    """A stream during which the clock is set: so far ahead was it when the request began, and now it is not."""
    capture = play([(0, SSE_HEAD), *((MS * number, piece) for number, piece in enumerate(pieces, 1))], then)
    return Answer(capture, clock_ns=-set_by_ns).over().record("s", None, url="http://test/")


def test_a_clock_that_nobody_sets_changes_nothing() -> None:
    record = answered(TOKEN, DONE, set_by_ns=0)

    assert record.outcome is Outcome.OK
    assert record.start_ns == START_NS
    assert record.token_ns


@pytest.mark.parametrize("by_ns", [-5 * SECOND, 7 * SECOND])
def test_a_stream_in_which_the_clock_is_set_has_no_times_and_counts_for_nothing(by_ns: int) -> None:
    record = answered(TOKEN, TOKEN, DONE, set_by_ns=by_ns)

    assert record.outcome is Outcome.CLIENT_LIMIT
    assert f"was set by {by_ns / SECOND:+.3f} s" in (record.detail or "")
    assert (record.output_tokens, record.status) == (2, 200)
    assert not contradicts_itself(record)
    facts = StreamFacts(record)
    assert (facts.ttft_ns, facts.end_ns, facts.cut_ns, facts.gaps_ns, facts.stalls_ns) == (None, None, None, [], [])
    assert [
        name for name in record.__struct_fields__ if name.endswith("_ns") and getattr(record, name) is not None
    ] == ["start_ns"]
    totals = Totals()
    totals.add(record)
    summary = totals.summary()
    assert (summary.error_rate, summary.ttft_ms, summary.e2e_ms) == (None, None, None)
    assert len(totals.faults) == 1


def test_a_timeout_of_such_a_stream_is_not_the_endpoints() -> None:
    assert answered(TOKEN, then=End.TIMEOUT, set_by_ns=0).outcome is Outcome.STALLED
    assert answered(TOKEN, then=End.TIMEOUT, set_by_ns=70 * SECOND).outcome is Outcome.CLIENT_LIMIT


def test_an_error_of_such_a_stream_stays_an_error() -> None:
    record = answered(ERROR, set_by_ns=70 * SECOND)

    assert (record.outcome, record.detail) == (Outcome.ERROR_EVENT, "busy")
    assert record.closed_ns is None


def test_a_stream_behind_the_step_is_on_the_axis_of_the_run() -> None:
    capture = play([(0, SSE_HEAD), (MS, TOKEN + DONE)], End.CLOSED)

    record = Answer(capture, clock_ns=7 * SECOND).record("s", None, url="http://test/")

    assert record.outcome is Outcome.OK
    assert record.start_ns == START_NS - 7 * SECOND
    assert record.token_ns == [MS]
