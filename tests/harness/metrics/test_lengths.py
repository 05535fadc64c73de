"""Answers of another length than the load asked for are a finding, with the reason that the endpoint gave."""

import msgspec
import pytest

from streamgauge.metrics.lengths import AnswerLengths, Lengths
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from tests.builders.made import made


def answer(
    asked: int | None, received: int, finish: str | None = "stop", *, source: str = "usage", chars: int = 0
) -> StreamRecord:
    record = made(10, 20, 30)
    return msgspec.structs.replace(
        record, asked_output_tokens=asked, output_tokens=received, tokens_source=source, finish_reason=finish,
        token_chars=chars,
    )  # fmt: skip


def of(*records: StreamRecord) -> Lengths | None:
    lengths = AnswerLengths()
    for record in records:
        lengths.add(record)
    return lengths.lengths()


def test_a_clean_answer_that_is_much_shorter_than_asked_for_is_a_finding() -> None:
    found = of(answer(1_024, 10), answer(1_024, 12), answer(1_024, 1_024, "length"))
    assert found == Lengths(streams=3, asked_p50=1_024, received_p50=12, short=2, short_by_finish={"stop": 2})
    assert found.caveat is not None
    assert found.caveat.startswith(
        "Of 3 ok streams that asked for a number of output tokens (p50 1,024, received 12), 2 were shorter by more "
        "than 10% (finish reason: stop 2)."
    )
    assert "ignore_eos" in found.caveat


@pytest.mark.parametrize("finish", ["length", "max_tokens", "MAX_TOKENS"])
def test_an_endpoint_with_a_lower_limit_of_its_own_is_told_from_a_model_that_ends(finish: str) -> None:
    found = of(answer(1_024, 256, finish))
    assert found is not None
    assert "The endpoint ended some by a limit of its own" in (found.caveat or "")


def test_an_endpoint_that_ignores_the_limit_is_a_finding() -> None:
    found = of(answer(100, 250, "stop"), answer(100, 105, "length"))
    assert found is not None
    assert (found.short, found.long) == (0, 1)
    assert "1 were longer by more than 10%: the endpoint ignores the limit" in (found.caveat or "")


def test_answers_of_the_length_that_was_asked_for_are_no_finding() -> None:
    found = of(answer(100, 100, "length"), answer(100, 95), answer(100, 109))
    assert found is not None
    assert found.caveat is None


def test_without_a_usage_only_what_is_certain_counts() -> None:
    """Three events are at least three tokens; forty characters are at most 160 bytes, and a token has one at least."""
    short, open_, long = (answer(asked, 3, source="token events", chars=40) for asked in (1_024, 50, 2))
    assert of(short) == Lengths(streams=1, asked_p50=1_024, received_p50=None, short=1, short_by_finish={"stop": 1})
    assert of(open_) == Lengths(streams=1, asked_p50=50, received_p50=None, unknown=1)
    assert of(long) == Lengths(streams=1, asked_p50=2, received_p50=None, long=1)


def test_only_ok_streams_that_asked_for_a_length_count() -> None:
    cut = msgspec.structs.replace(answer(100, 5), outcome=Outcome.INCOMPLETE)
    assert of(answer(None, 10), cut) is None


def test_an_endpoint_that_invents_finish_reasons_fills_no_memory() -> None:
    found = of(*(answer(100, 1, f"reason {number}") for number in range(50)))
    assert found is not None
    assert (found.short, len(found.short_by_finish), found.short_by_finish["other"]) == (50, 21, 30)
