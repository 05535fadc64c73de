"""The outcome table: every row decides an example of its own, and no row can be left out."""

import pytest

from streamgauge.protocol.outcome import RULES, Facts, Outcome, outcome_of
from streamgauge.units import SECOND
from streamgauge.wire import End

OK = Facts(has_token=True, has_end_marker=True, end_marker="[DONE]")
OPEN = OK._replace(has_end_marker=False)
EXAMPLES = (
    # Each example would also match the rows below its own where it can, so that the order is part of the test.
    (OK._replace(end=End.NO_MEANS, transport_detail="no descriptor"), Outcome.CLIENT_LIMIT, "no descriptor"),
    (OK._replace(end=End.CANCELLED, transport_detail="closed by us"), Outcome.CANCELLED, "closed by us"),
    (OK._replace(end=End.TIMEOUT, has_error=True, error="boom"), Outcome.ERROR_EVENT, "boom"),
    (
        OK._replace(end=End.TIMEOUT, has_finish=True, transport_detail="still open"),
        Outcome.OK,
        "after the end marker: still open",
    ),
    (
        OPEN._replace(end=End.TIMEOUT, has_finish=True, transport_detail="2.5 s"),
        Outcome.TRUNCATED,
        "the content ended, but neither the end marker ([DONE]) nor the end of the body came: 2.5 s",
    ),
    (
        OPEN._replace(end=End.TIMEOUT, status=404, reason="Not Found"),
        Outcome.HTTP_ERROR,
        "HTTP 404 Not Found, and the body did not end",
    ),
    (
        OPEN._replace(end=End.INTERRUPTED, silent_ns=9 * SECOND, sent=False),
        Outcome.STALLED,
        "no content had come for over 5 s when the run ended",
    ),
    (OPEN._replace(end=End.INTERRUPTED, transport_detail="run over", sent=False), Outcome.INCOMPLETE, "run over"),
    (
        OPEN._replace(end=End.NO_ROOM, sent=False, status=None, transport_detail="no memory left"),
        Outcome.CLIENT_LIMIT,
        "no memory left",
    ),
    (OPEN._replace(sent=False, end=End.TIMEOUT, transport_detail="refused"), Outcome.CONNECT_ERROR, "refused"),
    (OPEN._replace(end=End.TIMEOUT, transport_detail="no byte for 60 s"), Outcome.STALLED, "no byte for 60 s"),
    (OPEN._replace(end=End.TIMEOUT, has_token=False, status=None, transport_detail="x"), Outcome.TIMEOUT, "x"),
    (OK._replace(end=End.MALFORMED, status=None, transport_detail="bad"), Outcome.PROTOCOL_ERROR, "bad"),
    (OK._replace(end=End.CLOSED, status=None), Outcome.TRUNCATED, "the connection was closed before any answer"),
    (OK._replace(status=503, reason="Busy", failure="gzip"), Outcome.HTTP_ERROR, "HTTP 503 Busy"),
    (OK._replace(failure="not gzip", is_stream=False), Outcome.PROTOCOL_ERROR, "not gzip"),
    (
        OK._replace(is_stream=False, content_type="application/json", has_error=True, error={"message": "no model"}),
        Outcome.ERROR_EVENT,
        "a JSON error in place of a stream: no model",
    ),
    (
        OK._replace(is_stream=False, content_type="text/html", unreadable="not JSON: 'x'"),
        Outcome.PROTOCOL_ERROR,
        "Content-Type 'text/html' and the body is not an event stream",
    ),
    (OK._replace(has_error=True, error={"message": "boom"}), Outcome.ERROR_EVENT, "boom"),
    (
        OK._replace(unreadable="not JSON: 'x'", has_token=False),
        Outcome.PROTOCOL_ERROR,
        "a payload cannot be read: not JSON: 'x'",
    ),
    (OK._replace(has_token=False), Outcome.EMPTY, "the stream ended without a single token"),
    (OK, Outcome.OK, None),
    (OK._replace(end=End.RESET, transport_detail="reset"), Outcome.OK, "after the end marker: reset"),
    (
        OK._replace(end=End.CLOSED, has_end_marker=False, transport_detail="no last chunk"),
        Outcome.TRUNCATED,
        "no last chunk",
    ),
    (OK._replace(has_end_marker=False), Outcome.TRUNCATED, "the stream ended without its end marker ([DONE])"),
    (
        OPEN._replace(end_marker=None, marker_unknown=True),
        Outcome.OK,
        "no end marker came, so a stream that is cut cleanly would look the same",
    ),
    (OPEN._replace(end_marker=None), Outcome.OK, None),
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
    assert outcome_of(OPEN._replace(end=end)) == (Outcome.INCOMPLETE, None)


@pytest.mark.parametrize("end", [End.INTERRUPTED, None])
def test_what_the_stream_had_said_counts_when_the_run_ends(end: End | None) -> None:
    assert outcome_of(OK._replace(end=end))[0] is Outcome.OK
    assert outcome_of(OPEN._replace(end=end, has_error=True, error="boom")) == (Outcome.ERROR_EVENT, "boom")
    unended = OPEN._replace(end=end, has_finish=True, end_marker=None, silent_ns=3 * SECOND)
    assert outcome_of(unended)[0] is Outcome.TRUNCATED
    assert outcome_of(unended._replace(silent_ns=SECOND))[0] is Outcome.INCOMPLETE  # the end may be on its way


@pytest.mark.parametrize(
    ("silent_s", "longest_s", "outcome"),
    [
        (4, 0.1, Outcome.INCOMPLETE),
        (6, 0.1, Outcome.STALLED),
        (6, 4, Outcome.INCOMPLETE),  # it had been silent for nearly as long before, and gone on
        (9, 4, Outcome.STALLED),
    ],
)
def test_a_stream_that_the_run_cuts_is_stalled_after_a_silence_that_is_long_for_it(
    silent_s: float, longest_s: float, outcome: Outcome
) -> None:
    facts = OPEN._replace(end=End.INTERRUPTED, silent_ns=int(silent_s * SECOND), longest_gap_ns=int(longest_s * SECOND))
    assert outcome_of(facts)[0] is outcome
    assert outcome_of(facts._replace(has_token=False))[0] is Outcome.INCOMPLETE


def test_a_deadline_that_ends_a_stream_which_flows_is_not_a_stall() -> None:
    facts = OPEN._replace(end=End.TIMEOUT, silent_ns=SECOND // 100, longest_gap_ns=SECOND // 50)
    assert outcome_of(facts)[0] is Outcome.TIMEOUT


@pytest.mark.parametrize("end", [End.MALFORMED, End.TOO_LARGE])
def test_an_answer_that_is_refused_is_a_protocol_error(end: End) -> None:
    assert outcome_of(OK._replace(end=end))[0] is Outcome.PROTOCOL_ERROR


def test_a_finish_reason_stands_for_a_token() -> None:
    assert outcome_of(OK._replace(has_token=False, has_finish=True)) == (Outcome.OK, None)


def test_what_is_odd_about_a_whole_stream_is_all_in_the_detail() -> None:
    odd = OK._replace(status=201, greeting="a greeting", framing_fault="two lengths")
    told = "two lengths; the status is 201, and 200 is that of a stream; a greeting"
    assert outcome_of(odd) == (Outcome.OK, told)
    assert outcome_of(odd._replace(is_stream=False)) == (Outcome.HTTP_ERROR, "HTTP 201")


def test_a_detail_quotes_at_most_a_thousand_characters() -> None:
    """A reason phrase may be as long as a whole head."""
    _, detail = outcome_of(Facts(status=500, reason="x" * 60_000))

    assert detail is not None
    assert len(detail) < 1_100
    assert detail.endswith("... (60,009 characters)")


NO_ROOM = OPEN._replace(end=End.NO_ROOM, transport_detail="no memory left")


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (NO_ROOM, Outcome.CLIENT_LIMIT),
        (NO_ROOM._replace(has_token=False), Outcome.CLIENT_LIMIT),
        (NO_ROOM._replace(has_finish=True, silent_ns=9 * SECOND), Outcome.CLIENT_LIMIT),
        (NO_ROOM._replace(has_end_marker=True), Outcome.OK),
        (NO_ROOM._replace(failure="a line is longer than 16 MiB"), Outcome.PROTOCOL_ERROR),
        (NO_ROOM._replace(is_stream=False, content_type="text/html"), Outcome.PROTOCOL_ERROR),
        (NO_ROOM._replace(unreadable="not JSON: 'x'"), Outcome.PROTOCOL_ERROR),
        (NO_ROOM._replace(has_error=True, error="boom"), Outcome.ERROR_EVENT),
        (NO_ROOM._replace(status=500), Outcome.HTTP_ERROR),
    ],
)
def test_an_answer_without_room_accuses_the_endpoint_only_of_what_had_come(facts: Facts, outcome: Outcome) -> None:
    assert outcome_of(facts)[0] is outcome
