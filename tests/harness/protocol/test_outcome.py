"""The outcome table: every row decides an example of its own, and no row can be left out."""

import pytest

from streamgauge.protocol.outcome import RULES, Facts, Outcome, outcome_of
from streamgauge.wire import End

OK = Facts(has_token=True, has_end_marker=True, end_marker="[DONE]")
EXAMPLES = (
    # Each example would also match the rows below its own where it can, so that the order is part of the test.
    (OK._replace(end=End.CANCELLED, transport_detail="closed by us"), Outcome.CANCELLED, "closed by us"),
    (OK._replace(end=End.INTERRUPTED, transport_detail="run over", sent=False), Outcome.INCOMPLETE, "run over"),
    (OK._replace(sent=False, end=End.TIMEOUT, transport_detail="refused"), Outcome.CONNECT_ERROR, "refused"),
    (OK._replace(end=End.TIMEOUT, transport_detail="no byte for 60 s"), Outcome.STALLED, "no byte for 60 s"),
    (OK._replace(end=End.TIMEOUT, has_token=False, status=None, transport_detail="x"), Outcome.TIMEOUT, "x"),
    (OK._replace(end=End.MALFORMED, status=None, transport_detail="bad"), Outcome.PROTOCOL_ERROR, "bad"),
    (OK._replace(end=End.CLOSED, status=None), Outcome.TRUNCATED, "the connection was closed before any answer"),
    (OK._replace(status=503, reason="Busy", failure="gzip"), Outcome.HTTP_ERROR, "HTTP 503 Busy"),
    (OK._replace(failure="not gzip", is_stream=False), Outcome.PROTOCOL_ERROR, "not gzip"),
    (
        OK._replace(is_stream=False, content_type="text/html", has_error=True),
        Outcome.PROTOCOL_ERROR,
        "Content-Type 'text/html' and the body is not an event stream",
    ),
    (OK._replace(has_error=True, error={"message": "boom"}), Outcome.ERROR_EVENT, "boom"),
    (OK._replace(has_token=False), Outcome.TRUNCATED, "the stream ended without a single token"),
    (OK, Outcome.OK, None),
    (OK._replace(end=End.RESET, transport_detail="reset"), Outcome.OK, "after the end marker: reset"),
    (
        OK._replace(end=End.CLOSED, has_end_marker=False, transport_detail="no last chunk"),
        Outcome.TRUNCATED,
        "no last chunk",
    ),
    (OK._replace(has_end_marker=False), Outcome.TRUNCATED, "the stream ended without its end marker ([DONE])"),
    (OK._replace(has_end_marker=False, end_marker=None), Outcome.OK, None),
)


def test_every_row_has_an_example() -> None:
    assert len(EXAMPLES) == len(RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("row", range(len(RULES)), ids=[rule.name for rule in RULES])
def test_a_row_decides_its_example(row: int) -> None:
    facts, outcome, detail = EXAMPLES[row]
    assert outcome_of(facts) == (outcome, detail)
    deciding = next(number for number, rule in enumerate(RULES) if rule.applies(facts))
    assert deciding == row


@pytest.mark.parametrize("row", range(len(RULES) - 1), ids=[rule.name for rule in RULES[:-1]])
def test_without_a_row_its_example_is_judged_otherwise(row: int) -> None:
    facts, outcome, detail = EXAMPLES[row]
    others = [rule for number, rule in enumerate(RULES) if number != row]
    judged = next(rule for rule in others if rule.applies(facts))
    assert (judged.outcome, judged.detail(facts)) != (outcome, detail)


@pytest.mark.parametrize("end", [End.INTERRUPTED, None])
def test_a_stream_that_has_not_ended_is_incomplete(end: End | None) -> None:
    assert outcome_of(OK._replace(end=end)) == (Outcome.INCOMPLETE, None)


@pytest.mark.parametrize("end", [End.MALFORMED, End.TOO_LARGE])
def test_an_answer_that_is_refused_is_a_protocol_error(end: End) -> None:
    assert outcome_of(OK._replace(end=end))[0] is Outcome.PROTOCOL_ERROR


def test_a_finish_reason_stands_for_a_token() -> None:
    assert outcome_of(OK._replace(has_token=False, has_finish=True)) == (Outcome.OK, None)
