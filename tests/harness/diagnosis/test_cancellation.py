"""What the upstream did after its reader had left, judged from both sides' times."""

import pytest

from streamgauge.diagnosis.cancellation import (
    EARLY,
    ITL_NS,
    MID,
    PROMPT_NS,
    TOKENS,
    CancelRow,
    Phase,
    Upstream,
    enough,
    judge_cancellation,
    overall,
)
from streamgauge.protocol.transcript import Transcript
from streamgauge.units import MS, SECOND
from streamgauge.wire import End
from tests.builders.tapes import START_NS, stream

CLOSE_NS = START_NS + 20 * MS  # the last read of the tape below
LEFT = stream(b"data: a\n\n", b"data: b\n\n", then=End.CANCELLED)


def upstream(
    seen_after_ns: int | None = None,
    tokens_after_ns: tuple[int, ...] | None = None,
    *,
    end: str | None = "disconnected",
    tokens_after: int = 0,
    requests: int = 1,
) -> Upstream:
    """Without other times it wrote a token every ITL until it saw the client leave, or had written all."""
    seen = None if seen_after_ns is None else CLOSE_NS + seen_after_ns
    if tokens_after_ns is None:
        tokens_after_ns = tuple(range(ITL_NS, seen_after_ns or 0, ITL_NS))[: TOKENS - 2]
    times = [CLOSE_NS - 5 * MS, CLOSE_NS, *(CLOSE_NS + after for after in tokens_after_ns)]
    return Upstream(requests, end, seen, "fin" if seen else None, times, tokens_after, 300_000)


def row(upstream: Upstream | None, transcript: Transcript = LEFT, phase: Phase = MID) -> CancelRow:
    return judge_cancellation(transcript, upstream, path="via", phase=phase, method="FIN")


@pytest.mark.parametrize(
    ("delay_ns", "verdict"),
    [(0, "pass"), (PROMPT_NS, "pass"), (PROMPT_NS + 1, "warn"), (MID.late_ns, "warn"), (MID.late_ns + 1, "fail")],
)
def test_how_soon_the_upstream_saw_it_decides(delay_ns: int, verdict: str) -> None:
    assert row(upstream(delay_ns)).verdict == verdict


def test_a_row_tells_delay_waste_and_clock_error() -> None:
    found = row(upstream(45 * MS, (10 * MS, 30 * MS), tokens_after=3, requests=2))
    assert (found.propagation_ms, found.wasted_tokens, found.clock_error_ms) == (45.0, 5, 0.3)
    assert (found.seen, found.tokens_received, found.upstream_requests) == (True, 2, 2)
    assert (found.upstream_end, found.upstream_kind) == ("disconnected", "fin")
    assert (found.path, found.phase, found.method) == ("via", "mid-stream", "FIN")


def test_a_mock_that_stood_still_itself_proves_nothing_about_the_endpoint() -> None:
    """One close of five took 1,610 ms on a busy machine; the mock wrote 4 tokens in that time, and not 80."""
    found = row(upstream(1_610 * MS, tuple(range(ITL_NS, 5 * ITL_NS, ITL_NS))))
    assert (found.verdict, found.wasted_tokens) == ("inconclusive", None)
    assert "wrote 4 tokens" in (found.note or "")
    assert overall([*closes(5, 40, 778), found]).verdict == "pass"
    assert row(upstream(1_610 * MS, tuple(range(ITL_NS, 60 * ITL_NS, ITL_NS)))).verdict == "warn"
    assert row(upstream(1_610 * MS, ()), phase=EARLY).verdict == "warn"  # where no token is due


def test_a_disconnect_that_clocks_put_before_the_close_took_no_time() -> None:
    found = row(upstream(-MS))
    assert (found.verdict, found.propagation_ms) == ("pass", 0.0)


def test_an_upstream_that_never_saw_it_and_ran_to_its_end_fails_with_all_its_waste() -> None:
    found = row(upstream(None, tuple(n * MS for n in range(1, 41)), end="complete"))
    assert (found.verdict, found.seen, found.propagation_ms, found.wasted_tokens) == ("fail", False, None, 40)
    assert "ran to its end" in (found.note or "")


def test_an_upstream_that_is_still_running_fails_and_says_how_long_it_was_watched() -> None:
    found = row(upstream(None, end=None))
    assert found.verdict == "fail"
    assert "still ran when the harness stopped waiting" in (found.note or "")


def test_an_upstream_that_had_finished_before_is_no_evidence() -> None:
    found = row(upstream(None, end="complete"))
    assert (found.verdict, found.wasted_tokens) == ("inconclusive", 0)


def test_a_stream_that_ended_by_itself_was_not_cancelled() -> None:
    found = row(upstream(0), stream(b"data: a\n\n"))
    assert found.verdict == "inconclusive"
    assert "ended before it could be cancelled" in (found.note or "")


def test_a_request_that_never_reached_the_mock_is_inconclusive() -> None:
    found = row(None)
    assert (found.verdict, found.upstream_requests, found.clock_error_ms) == ("inconclusive", None, None)
    assert "never reached the mock" in (found.note or "")


@pytest.mark.parametrize(("delay_ns", "named"), [(1_799 * MS, False), (2 * SECOND, True), (2_401 * MS, False)])
def test_the_delay_of_dotnet_is_named(delay_ns: int, named: bool) -> None:
    assert ("ResponseDrainTimeout" in (row(upstream(delay_ns)).note or "")) is named


def test_a_hop_that_learns_it_with_the_first_token_is_named_in_that_phase_only() -> None:
    early = row(upstream(3 * SECOND), phase=EARLY)
    assert "at its next write" in (early.note or "")
    assert row(upstream(3 * SECOND)).note is None
    assert row(upstream(PROMPT_NS), phase=EARLY).note is None


def closes(*delays_ms: int | None) -> list[CancelRow]:
    """Closes that the upstream noticed so much later, or never."""
    return [
        row(upstream(None if ms is None else ms * MS, end=None if ms is None else "disconnected")) for ms in delays_ms
    ]


@pytest.mark.parametrize(
    ("delays_ms", "verdict", "note"),
    [
        ((5, 40, 778), "pass", None),
        ((5, 40, 900, 1_500, 30), "warn", None),
        ((None, None, None), "fail", "never saw"),
        ((5, None, None, None, None), "fail", "never saw"),
        ((778, None, None, 5, 5), "inconclusive", "2 of 5 closes not noticed in time"),
        ((5, 5, 5, 5, None), "inconclusive", "1 of 5 closes not noticed in time"),
        ((5, 5, None, None, 11_000), "inconclusive", "3 of 5 closes not noticed in time"),
        ((11_000, 12_000, 13_000), "fail", None),
    ],
)
def test_several_closes_pass_when_all_do_and_fail_when_most_do(
    delays_ms: tuple[int | None, ...], verdict: str, note: str | None
) -> None:
    rows = closes(*delays_ms)

    assert enough(rows)
    found = overall(rows)
    assert (found.verdict, found.closes) == (verdict, len(rows))
    assert (note or "") in (found.note or "")


@pytest.mark.parametrize("delays_ms", [(5,), (5, 5), (5, None, 5), (5, None, None, 5)])
def test_closes_that_differ_are_repeated_up_to_five_times(delays_ms: tuple[int | None, ...]) -> None:
    assert not enough(closes(*delays_ms))
    assert enough(closes(*delays_ms, *[5] * (5 - len(delays_ms))))


def test_closes_that_told_nothing_do_not_count() -> None:
    nothing = row(None)

    assert overall([nothing, nothing, nothing]).verdict == "inconclusive"
    assert (overall([*closes(5, 6), nothing]).verdict, overall([*closes(5, 6), nothing]).closes) == ("pass", 2)


def test_of_several_closes_the_worst_is_shown() -> None:
    found = overall(closes(5, 778, 40))

    assert (found.propagation_ms, found.missed) == (778.0, 0)
