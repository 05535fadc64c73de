"""Live figures: one process and several give the same, and tokens/s counts complete seconds only."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.metrics.live import LATE_S, WINDOW_S, Live, Share
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord
from streamgauge.units import MS, SECOND

BEGAN_S = 1_800_000_000


def record(
    *token_ms: int, scenario: str = "Chat", outcome: Outcome = Outcome.OK, ended_s: int = 0, lag_ns: int = 1000
) -> StreamRecord:
    """A stream that ended some seconds after the run began, with each token in its own read."""
    at_ns = [ms * MS for ms in token_ms]
    closed_ns = 2 * SECOND
    return StreamRecord(
        schema=SCHEMA,
        id="s",
        outcome=outcome,
        scenario=scenario,
        method="POST",
        url="http://test/",
        start_ns=(BEGAN_S + ended_s) * SECOND - closed_ns,
        closed_ns=closed_ns,
        reads=Reads(at_ns, [lag_ns] * len(at_ns), [9] * len(at_ns)),
        token_reads=list(range(len(at_ns))),
        output_tokens=len(at_ns) or None,
        stamp_source="kernel",
    )


def travelled(shares: dict[str, Share]) -> dict[str, Share]:
    return msgspec.json.decode(msgspec.json.encode(shares), type=dict[str, Share])


def test_a_row_has_the_figures_of_its_streams() -> None:
    live = Live()
    live.add(record(100, 110, 120))
    live.add(record(200, outcome=Outcome.TRUNCATED))
    live.add(record(outcome=Outcome.CONNECT_ERROR))
    live.add(record(outcome=Outcome.INCOMPLETE))
    live.add(record(300, outcome=Outcome.CANCELLED))

    (row,) = live.rows(BEGAN_S + LATE_S)

    assert (row.name, row.streams, row.ok, row.failed) == ("Chat", 5, 1, 2)
    assert (row.ttft_p50_ms, row.ttft_p99_ms) == (pytest.approx(200, rel=0.006), pytest.approx(300, rel=0.006))
    assert row.itl_p50_ms == row.itl_p99_ms == pytest.approx(10, rel=0.006)
    assert row.tokens_per_s == 5


def test_a_figure_without_data_is_none() -> None:
    live = Live()
    assert live.rows(BEGAN_S) == []
    live.add(record(outcome=Outcome.CONNECT_ERROR, ended_s=0))
    (row,) = live.rows(BEGAN_S)
    assert {row.ttft_p50_ms, row.ttft_p99_ms, row.itl_p50_ms, row.itl_p99_ms, row.tokens_per_s} == {None}


def test_several_scenarios_have_a_row_for_all_of_them() -> None:
    live = Live()
    for scenario, ms in (("B", 100), ("A", 300), ("A", 300)):
        live.add(record(ms, scenario=scenario))
    rows = live.rows(BEGAN_S + LATE_S)
    assert [(row.name, row.streams) for row in rows] == [("A", 2), ("B", 1), ("Aggregated", 3)]
    assert rows[2].ttft_p50_ms == pytest.approx(300, rel=0.006)


RECORDS = st.lists(
    st.builds(
        lambda tokens, scenario, ended_s, outcome: record(
            *sorted(tokens), scenario=scenario, ended_s=ended_s, outcome=outcome
        ),
        st.lists(st.integers(1, 5000), max_size=5),
        st.sampled_from(["A", "B"]),
        st.integers(0, 30),
        st.sampled_from(list(Outcome)),
    ),
    max_size=20,
)


@given(RECORDS, st.lists(st.integers(0, 2), min_size=20, max_size=20), st.integers(0, 40))
def test_several_workers_give_the_same_figures_as_one_process(
    records: list[StreamRecord], of: list[int], later: int
) -> None:
    alone, master = Live(), Live()
    workers = [Live(), Live(), Live()]
    for index, (item, worker) in enumerate(zip(records, of, strict=False)):
        alone.add(item)
        workers[worker].add(item)
        if index % 3 == 0:
            master.merge(travelled(workers[worker].take()))
    for each in workers:
        master.merge(travelled(each.take()))
        assert each.take() == {}
    assert master.rows(BEGAN_S + later) == alone.rows(BEGAN_S + later)


def test_the_rate_is_that_of_the_last_complete_seconds() -> None:
    live = Live()
    for second in range(100):
        for _ in range(1 + (second >= 80)):
            live.add(record(10, 20, ended_s=second))

    def rate(at_s: int) -> float | None:
        return live.rows(BEGAN_S + at_s)[0].tokens_per_s

    assert rate(60) == 2
    assert rate(99) == 4
    assert rate(99 + LATE_S + WINDOW_S // 2) == 2
    assert rate(99 + LATE_S + WINDOW_S) == 0


def test_memory_does_not_grow_with_the_length_of_a_run() -> None:
    live = Live()
    for second in range(5000):
        live.add(record(10, ended_s=second))
    (share,) = live.take().values()
    assert share.streams == {"ok": 5000}
    assert len(share.per_s) <= 120
