"""A stream that a limit of this client ended is nowhere a failure of the endpoint, and makes the run INVALID."""

import pytest

from streamgauge.cli.load_tables import line
from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.abort_rules import AbortWatch, parse_abort
from streamgauge.metrics.facts import StreamFacts
from streamgauge.metrics.live import Live
from streamgauge.metrics.slo import parse_slo
from streamgauge.metrics.summary import MAX_FAILURE_KINDS, Totals
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.reports.figures.canvas import GREY
from streamgauge.reports.figures.timeline import colour_of
from streamgauge.reports.headline import unsuccessful
from streamgauge.units import MS, SECOND
from tests.builders.made import made
from tests.builders.tapes import START_NS

NO_MEMORY = "this process has no memory left for the rest of the answer"


def cut_off(*token_ms: float, status: int | None = 200) -> StreamRecord:
    record = made(*token_ms, outcome=Outcome.CLIENT_LIMIT, closed_ms=500)
    record.status, record.detail = status, NO_MEMORY
    record.sent_ns = None if status is None else 0
    return record


def totals_of(*records: StreamRecord) -> Totals:
    totals = Totals([parse_slo("ttft < 500ms")])
    for record in records:
        totals.add(record)
    return totals


def test_no_figure_counts_it_as_a_failure() -> None:
    totals = totals_of(made(100, 110, 120), cut_off(100, 110))
    summary = totals.summary()

    assert summary.streams == {"ok": 1, "client_limit": 1}
    assert summary.error_rate == 0
    assert (summary.goodput, summary.goodput_at_most, summary.undecided_streams) == (0.5, 1.0, 1)
    assert summary.e2e_ms is not None
    assert summary.e2e_ms.count == 1
    assert unsuccessful(summary) == 0
    assert line(totals, Workload(length_ns=SECOND), START_NS, "").startswith(": streams 2, failed 0")


def test_no_table_shows_it_as_a_failure() -> None:
    live = Live()
    live.add(cut_off(100, 110))
    (row,) = live.rows(START_NS / SECOND)

    assert (row.streams, row.ok, row.failed) == (1, 0, 0)
    assert colour_of(Outcome.CLIENT_LIMIT) == GREY


def test_no_rule_stops_the_run_for_it() -> None:
    watch = AbortWatch(parse_abort("error_rate > 0% for 1s"))
    for start_ms in range(0, 3_000, 100):
        record = cut_off(100)
        record.start_ns += start_ms * MS
        watch.add(record)

    assert watch.tripped(START_NS + 3 * SECOND) is None


def test_it_had_waited_for_its_end_unless_it_was_never_sent() -> None:
    assert StreamFacts(cut_off()).waited_ns(None) == 500 * MS
    assert StreamFacts(cut_off(status=None)).waited_ns(None) is None


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (200, f"2 streams of the load could not be measured to the end: {NO_MEMORY}"),
        (None, f"2 streams of the load could not be asked for: {NO_MEMORY}"),
    ],
)
def test_it_is_a_fault_of_the_run(status: int | None, fault: str) -> None:
    totals = totals_of(made(100, 110), cut_off(status=status), cut_off(status=status))

    assert totals.faults == [fault]
    client = totals.summary(faults=totals.faults).validity
    assert client is not None
    assert client.verdict == "INVALID"


def test_an_endpoint_that_invents_errors_cannot_hide_it() -> None:
    totals = totals_of(made(100, 110))
    for number in range(MAX_FAILURE_KINDS + 1):
        failed = made(outcome=Outcome.ERROR_EVENT)
        failed.detail = f"error {number}"
        totals.add(failed)
    totals.add(cut_off(100))

    assert len(totals.faults) == 1
