"""The first line of a report says what the objectives came to, and how far the client itself can be trusted."""

from pathlib import Path

import msgspec
import pytest

from streamgauge.metrics.slo import parse_slo
from streamgauge.metrics.summary import Totals
from streamgauge.protocol.outcome import Outcome
from streamgauge.reports.headline import Headline, headline
from streamgauge.reports.load import load
from streamgauge.reports.text import moment
from streamgauge.rundir import runs
from tests.reports.report_builders import manifest, stream, summary_of, write_streams


def top(directory: Path, *slos: str, validity: str | None = None) -> Headline:
    """The headline of 400 streams with a TTFT of 200 ms."""
    records = [stream(number) for number in range(400)]
    totals = Totals([parse_slo(slo) for slo in slos])
    for record in records:
        totals.add(record)
    summary = totals.summary()
    if validity is not None:
        judged = msgspec.structs.replace(summary.validity, verdict=validity, reasons=["a core was busy for 100 %"])
        summary = msgspec.structs.replace(summary, validity=judged)
    write_streams(directory, records)
    runs.write(directory / runs.RUN, manifest(summary))
    return headline(load(directory))


@pytest.mark.parametrize(
    ("slos", "words"),
    [
        (["ttft p95 < 500ms"], "the objective is met"),
        (["ttft p95 < 100ms"], "the objective is missed"),
        (["ttft p95 < 500ms", "ttft p50 < 300ms"], "all 2 objectives are met"),
        (["ttft p95 < 500ms", "ttft p50 < 100ms", "error_rate < 0.1%"], "1 of 3 objectives missed, 1 undecided, 1 met"),
    ],
)
def test_the_first_line_counts_the_objectives_by_verdict(tmp_path: Path, slos: list[str], words: str) -> None:
    assert top(tmp_path, *slos).words.endswith(f": {words}")


def test_invalid_timings_decide_nothing_and_their_reason_is_in_the_verdict(tmp_path: Path) -> None:
    found = top(tmp_path, "ttft p95 < 500ms", validity="INVALID")

    assert found.words == "Problems found: the timings are INVALID, so they decide nothing"
    assert "the timings are INVALID: a core was busy for 100 %" in [finding.text for finding in found.findings]


def test_failed_streams_are_counted_with_their_most_frequent_failure(tmp_path: Path) -> None:
    refused = [stream(number, outcome=Outcome.HTTP_ERROR, detail="Too Many Requests", tokens=0) for number in range(3)]
    records = [stream(number) for number in range(3, 11)]
    records += [msgspec.structs.replace(record, status=429) for record in refused]
    records.append(stream(11, outcome=Outcome.TRUNCATED, detail="no end marker", tokens=3))
    write_streams(tmp_path, records)
    runs.write(tmp_path / runs.RUN, manifest(summary_of(records)))

    found = headline(load(tmp_path)).findings[0]

    assert found.text == "4 of 12 streams failed (33.3 %); 3 of them http_error 429: Too Many Requests"


def test_many_objectives_are_counted_where_their_list_would_be_too_long(tmp_path: Path) -> None:
    limits = [f"ttft p{rank} < 500ms" for rank in (50, 90, 95)]

    assert [tile.note for tile in top(tmp_path, *limits).tiles if tile.label == "Goodput"] == [
        "all 3 objectives together"
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2025-11-21T10:00:00Z", "2025-11-21 10:00:00 UTC"),
        ("2025-11-21T10:00:00.123456+00:00", "2025-11-21 10:00:00 UTC"),
        ("2025-11-21T10:00:00+02:00", "2025-11-21T10:00:00+02:00"),
        ("yesterday", "yesterday"),
        (None, "–"),
    ],
)
def test_a_time_is_shown_as_people_write_it(text: str | None, shown: str) -> None:
    assert moment(text) == shown
