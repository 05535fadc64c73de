"""Silences are named by the moments around them, and tries by the ledger."""

from typing import Any

import pytest

from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.waiting import longest_silence, tries_in_words
from streamgauge.units import SECOND
from streamgauge.wire import End
from tests.harness.conformance.tapes import Example, Tape, Verdict
from tests.harness.conformance.tapes_upstream import tries

TOKEN = b'data: {"token":"a","done":false}\n\n'
LAST = b'data: {"token":"","done":true}\n\n'


@pytest.mark.parametrize(
    ("tape", "words"),
    [
        ({"timed": ((50_001.0, TOKEN),), "head_ms": 50_000}, "50.00 s without a byte from the request to the head"),
        (
            {"timed": ((50_000.0, TOKEN),), "head_ms": 1},
            "50.00 s without a byte from the head to the first byte of the body",
        ),
        (
            {"timed": ((10.0, TOKEN), (50_010.0, LAST))},
            "50.00 s without a byte from the first byte of the body to a later byte",
        ),
        ({"timed": ((1.0, TOKEN), (2.0, TOKEN), (50_002.0, LAST))}, "50.00 s without a byte inside the body"),
        (
            {"timed": ((1.0, TOKEN), (2.0, TOKEN)), "end": End.CLOSED, "end_ms": 50_002},
            "50.00 s without a byte from a later byte to the end",
        ),
        (
            {"status": None, "end": End.TIMEOUT, "end_ms": 50_000},
            "50.00 s without a byte from the request to the end",
        ),
    ],
)  # fmt: skip
def test_a_silence_is_named_by_the_moments_around_it(tape: dict[str, Any], words: str) -> None:
    assert str(longest_silence(Tape(**tape).play().transcript)) == words


@pytest.mark.parametrize(
    ("gaps_ms", "words"),
    [
        ((), ""),
        ((100_000, 100_400), "3 requests to the upstream, 100.40 s apart"),
        ((1_000, 4_000), "3 requests to the upstream, 1000 ms, 4000 ms apart"),
    ],
)
def test_tries_are_told_from_patience_by_the_ledger(gaps_ms: tuple[int, ...], words: str) -> None:
    assert tries_in_words(Tape(upstream=tries(*gaps_ms)).play()) == words


def test_a_give_up_is_called_that_and_not_a_missing_heartbeat() -> None:
    tape = Tape(
        scenario="quiet-start", timed=((10_000.0, b"{}"),), head_ms=10_000, status=504, end_ms=10_000,
        upstream=tries(5_000), silence_ns=40 * SECOND,
    )  # fmt: skip
    check = CHECKS["liveness.heartbeat-before-first-token"]

    (result,) = judge_case(Example("", Verdict.PASS, (Tape(body=TOKEN + LAST), tape)).case(), [check])

    assert result.actual == (
        "the endpoint gave up after 10.00 s with status 504, before a heartbeat was missing; "
        "2 requests to the upstream, 5000 ms apart"
    )
