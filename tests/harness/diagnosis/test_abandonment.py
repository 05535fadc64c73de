"""What became of the streams that users left: hand-made records and ledgers."""

from streamgauge.diagnosis.abandonment import abandonment
from streamgauge.diagnosis.cancellation import Upstream
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord
from streamgauge.units import MS
from tests.builders.tapes import START_NS

CLOSE_NS = START_NS + 100 * MS


def left(name: str, tokens: int = 3, outcome: Outcome = Outcome.CANCELLED) -> StreamRecord:
    """A stream that was left 100 ms after its start."""
    return StreamRecord(
        schema=SCHEMA, id=name, outcome=outcome, method="GET", url="u", start_ns=START_NS, closed_ns=100 * MS,
        reads=Reads([MS], [0], [1]), token_reads=[0] * tokens,
    )  # fmt: skip


def upstream(end: str | None, *tokens_ms: int, seen_ms: int | None = None, after: int = 0) -> Upstream:
    """Its ledger; times from the client's close."""
    seen = None if seen_ms is None else CLOSE_NS + seen_ms * MS
    times = [CLOSE_NS + at * MS for at in tokens_ms]
    return Upstream(1, end, seen, "fin" if seen else None, times, after, 200_000)


def test_every_fate_is_counted_once() -> None:
    records = [*(left(name) for name in "abcde"), left("f", outcome=Outcome.OK), left("g", outcome=Outcome.INCOMPLETE)]
    found = abandonment(
        records,
        {
            "a": upstream("disconnected", -20, -10, 10, seen_ms=15, after=2),
            "b": upstream("disconnected", -20, seen_ms=-1),
            "c": upstream("complete", -20, -10),
            "d": upstream("complete", -20, 10, 20, 30),
            "f": upstream("complete", -20),
        },
    )
    assert found is not None
    assert (found.streams, found.joined, found.seen, found.finished, found.unnoticed) == (5, 4, 2, 1, 1)
    assert found.wasted_tokens == 3 + 0 + 0 + 3
    assert found.received_tokens == 15
    assert found.propagation_ms is not None
    assert (found.propagation_ms.p50, found.propagation_ms.max) == (0, 15)  # never before it was done
    assert found.clock_error_ms == 0.2


def test_without_a_ledger_only_the_client_knows() -> None:
    found = abandonment([left("a"), left("b", tokens=5)], {})
    assert found is not None
    assert (found.streams, found.joined, found.received_tokens) == (2, 0, 8)
    assert found.propagation_ms is None
    assert found.clock_error_ms is None


def test_a_run_that_nobody_left_has_none() -> None:
    assert abandonment([left("a", outcome=Outcome.OK)], {}) is None
