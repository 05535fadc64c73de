"""The whole reports: their content, and that any part of a run is enough to make one."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from streamgauge.errors import UsageError
from streamgauge.metrics.comparison import Ledgered, compare_with_ledger
from streamgauge.metrics.distributions import FIGURES, show_interval
from streamgauge.metrics.openloop import OpenLoop
from streamgauge.metrics.sessions import sessions_of
from streamgauge.metrics.slo import parse_slo
from streamgauge.metrics.summary import Totals, Window
from streamgauge.protocol.outcome import Outcome
from streamgauge.reports.render import render
from streamgauge.reports.text import ABSENT, ms, ms_cell, percent
from streamgauge.rundir import runs
from streamgauge.serverlane.figures import Figures
from streamgauge.serverlane.lane import Sample
from streamgauge.serverlane.lane import summary as server_summary
from streamgauge.serverlane.samples import SERVER
from streamgauge.units import MS, SECOND
from tests.reports.report_builders import (
    EPOCH,
    EVERY_VERDICT,
    HOSTILE,
    cancel_row,
    cancellation_file,
    check,
    checks_file,
    diagnosis_file,
    full_run,
    manifest,
    stream,
    summary_of,
    write_streams,
)

VOID = {"meta", "br", "path", "use", "link", "img", "input"}
SECTIONS = {"load", "checks", "cancellation", "diagnosis", "caveats", "definitions", "manifest"}


class Page(HTMLParser):
    """A strict enough reading of the page: sections, ids, references, text, and whether every tag is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.sections: set[str] = set()
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        if tag == "section":
            self.sections.add(given["id"] or "")
        if "id" in given:
            self.ids.append(given["id"] or "")
        self.references += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(directory: Path) -> Page:
    return Page(directory / "report.html")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full run with its reports."""
    directory = full_run(tmp_path_factory.mktemp("full"))
    assert [path.name for path in render(directory)] == ["report.html", "report.md", "junit.xml"]
    return directory


def test_a_full_run_has_every_section_in_both_reports(full: Path) -> None:
    page = page_of(full)
    assert page.sections == SECTIONS
    assert page.open == []
    markdown = (full / "report.md").read_text()
    assert re.findall(r"^## (.*)$", markdown, re.MULTILINE) == [
        "Load", "Checks", "Cancellation", "Diagnosis", "Caveats", "Definitions", "Manifest",
    ]  # fmt: skip


@pytest.mark.parametrize("part", ["load", "checks", "cancellation", "diagnosis"])
def test_each_section_is_there_exactly_when_its_file_is(tmp_path: Path, part: str) -> None:
    match part:
        case "load":
            write_streams(tmp_path, [stream(1)])
        case "checks":
            runs.write(tmp_path / runs.CHECKS, checks_file(EVERY_VERDICT))
        case "cancellation":
            runs.write(tmp_path / runs.CANCELLATION, cancellation_file([cancel_row()]))
        case "diagnosis":
            runs.write(tmp_path / runs.DIAGNOSIS, diagnosis_file())

    written = {path.name for path in render(tmp_path)}

    assert page_of(tmp_path).sections == {part, "caveats", "definitions", "manifest"}
    assert f"## {part.capitalize()}" in (tmp_path / "report.md").read_text()
    assert ("junit.xml" in written) is (part == "checks")


def test_the_numbers_are_those_of_the_summary(tmp_path: Path) -> None:
    records = [stream(n, ttft_ms=180 + 1.37 * (n * 17 % 40), itl_ms=19.3) for n in range(40)]
    summary = summary_of(records)
    write_streams(tmp_path, records)
    runs.write(tmp_path / runs.RUN, manifest(summary))

    render(tmp_path)

    text, markdown = page_of(tmp_path).text, (tmp_path / "report.md").read_text()
    ttft, itl = summary.ttft_ms, summary.itl_ms
    assert ttft
    assert itl
    assert f"TTFT p50 {ms(ttft.p50)}" in text
    assert f"ITL p99 {ms(itl.p99)}" in text
    for name, dist in (("ttft", ttft), ("itl", itl)):
        cells = [
            ms_cell(getattr(dist, figure))
            + (f" ({show_interval(dist.intervals[figure])})" if figure in dist.intervals else "")
            for figure in FIGURES
        ]
        assert " ".join([name, *cells, str(dist.count)]) in text
        assert " | ".join([f"`{name}`", *cells, str(dist.count)]) in markdown
    assert f"{summary.output_tokens_per_s:,.0f}" in text


def test_the_summary_of_the_run_file_wins_and_a_caveat_names_the_difference(tmp_path: Path) -> None:
    runs.write(tmp_path / runs.RUN, manifest(summary_of([stream(n, ttft_ms=777) for n in range(3)])))
    write_streams(tmp_path, [stream(1)])

    render(tmp_path)

    text = page_of(tmp_path).text
    assert "TTFT p50 777 ms" in text
    assert "run.json summarises 3 streams, streams.jsonl holds 1" in text


def test_an_interrupted_run_is_computed_from_its_records(tmp_path: Path) -> None:
    records = [stream(n, ttft_ms=600 if n == 0 else 250) for n in range(10)]
    write_streams(tmp_path, records)
    runs.write(tmp_path / runs.RUN, manifest())

    render(tmp_path)

    text = page_of(tmp_path).text
    assert "TTFT p50 250 ms" in text
    assert "recomputed from the 10 records" in text
    assert "the run did not finish (status: running)" in text
    assert "Goodput 90.0 %" in text, "the objectives come from the settings"


def test_an_unreadable_objective_is_named_in_a_caveat(tmp_path: Path) -> None:
    write_streams(tmp_path, [stream(1)])
    runs.write(tmp_path / runs.RUN, manifest(settings={"slos": ["ttft < soon"]}))

    render(tmp_path)

    assert "The objective 'ttft < soon' could not be read" in page_of(tmp_path).text


def test_the_time_outside_the_measured_window_is_shaded(tmp_path: Path) -> None:
    write_streams(tmp_path, [stream(n) for n in range(40)])
    begin_ns = stream(0).start_ns + 500 * MS
    runs.write_window(tmp_path, Window(begin_ns, begin_ns + 1_400 * MS))
    render(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert page.count(">warm-up<") == 2
    assert page.count(">drain<") == 1, "no stream begins in it"
    assert "measured window</td><td>1.4 s" in re.sub(r'<td class="[^"]*">', "<td>", page)


def test_true_values_are_shown_beside_reported_ones(tmp_path: Path) -> None:
    records = [stream(n) for n in range(3)]
    known = {record.id: Ledgered(0, [199 * MS + 20 * MS * token for token in range(10)]) for record in records}
    write_streams(tmp_path, records)
    runs.write(
        tmp_path / runs.RUN, manifest(summary_of(records), truth=compare_with_ledger(records, known, direct=True))
    )

    render(tmp_path)

    assert "ttft error of this client, stream by stream 1.00 1.00 1.00 1.00" in page_of(tmp_path).text
    assert "| ttft, true | 199.0 | 199.0 | 199.0 | 199.0 |" in (tmp_path / "report.md").read_text()


def test_a_torn_last_line_is_left_out_and_counted_in_a_caveat(tmp_path: Path) -> None:
    write_streams(tmp_path, [stream(1), stream(2)])
    whole = (tmp_path / runs.STREAMS).read_bytes()
    (tmp_path / runs.STREAMS).write_bytes(whole + whole[:100])

    render(tmp_path)

    for name in ("report.html", "report.md"):
        assert "1 line of streams.jsonl could not be read" in (tmp_path / name).read_text()
    assert "0 of 2 streams failed" in page_of(tmp_path).text


def test_a_record_that_contradicts_itself_is_left_out(tmp_path: Path) -> None:
    wrong = stream(2)
    wrong.token_reads = [0, 99]
    write_streams(tmp_path, [stream(1), wrong])

    render(tmp_path)

    assert "1 line of streams.jsonl could not be read" in page_of(tmp_path).text


def test_only_torn_lines_still_make_a_report_that_says_so(tmp_path: Path) -> None:
    (tmp_path / runs.STREAMS).write_bytes(b'{"schema":1,"id":')

    render(tmp_path)

    assert "No record could be read." in page_of(tmp_path).text


def test_streams_that_never_got_a_token_show_dashes_not_zeros(tmp_path: Path) -> None:
    refused = [stream(n, tokens=0, outcome=Outcome.CONNECT_ERROR, detail="refused") for n in range(3)]
    write_streams(tmp_path, refused)

    render(tmp_path)

    text = page_of(tmp_path).text
    assert "TTFT p50 –" in text
    assert "ttft – – – – – – –" in text
    assert "3 of 3 streams failed (100 %)" in text


def test_a_limit_of_this_client_is_no_failure_in_any_part_of_a_report(tmp_path: Path) -> None:
    limited = [stream(n, outcome=Outcome.CLIENT_LIMIT, detail="no memory left", scenario="a") for n in (1, 2)]
    write_streams(tmp_path, [stream(0, scenario="a"), *limited, stream(3, scenario="b")])

    render(tmp_path)

    report = (tmp_path / "report.md").read_text()
    assert re.search(r"^\| a \| 3 \| 100(\.0)? % ", report, re.MULTILINE), report
    assert "0 of 4 streams failed" in report
    assert "2 streams of the load could not be measured to the end: no memory left" in report


def test_small_samples_are_named(tmp_path: Path) -> None:
    write_streams(tmp_path, [stream(n, tokens=50) for n in range(5)])

    render(tmp_path)

    assert "p99 rests on fewer than 299 values for ttft (5), itl (245), tpot (5), e2e (5)" in page_of(tmp_path).text


def test_coalesced_gaps_are_called_out(tmp_path: Path) -> None:
    write_streams(tmp_path, [stream(n, tokens=11, per_read=2) for n in range(5)])

    render(tmp_path)

    assert "50.0 % of the gaps between tokens are coalesced" in page_of(tmp_path).text


def test_a_failed_check_tells_its_whole_story(tmp_path: Path) -> None:
    runs.write(tmp_path / runs.CHECKS, checks_file(EVERY_VERDICT))

    render(tmp_path)

    text, markdown = page_of(tmp_path).text, (tmp_path / "report.md").read_text()
    for part in ("the statement of bad", "two newlines", "the actual of bad", r"data: x\n", "curl -N", "a blank line"):
        assert part in text
        assert part in markdown
    assert "byte 1,207" in text
    assert "Needs: --mock URL" in text
    assert "Problems found" in text


def test_the_diagnosis_gives_the_lines_to_change_and_hides_cookies(tmp_path: Path) -> None:
    runs.write(tmp_path / runs.DIAGNOSIS, diagnosis_file())

    render(tmp_path)

    html, markdown = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    for text in (html, markdown):
        assert "proxy_buffering off;\nproxy_http_version 1.1;" in text
        assert "verysecret" not in text
    assert "Path via: fully-buffered" in html


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    hostile = HOSTILE
    records = [
        stream(1, outcome=Outcome.ERROR_EVENT, detail=hostile, scenario=hostile),
        stream(2, scenario="b"),
    ]
    write_streams(tmp_path, records)
    runs.write(
        tmp_path / runs.RUN,
        manifest(summary_of(records), target=hostile, caveats=[hostile], settings={hostile: [hostile]}, status=hostile),
    )
    everything = {
        "id": hostile, "group": hostile, "statement": hostile, "actual": hostile, "expected": hostile,
        "fix": hostile, "reproduce": hostile, "references": [hostile],
        "fixes": {hostile: hostile}, "breaks": hostile, "needs": hostile,
    }  # fmt: skip
    runs.write(
        tmp_path / runs.CHECKS,
        checks_file([check("x", Verdict, **everything) for Verdict in (r.verdict for r in EVERY_VERDICT)]),
    )
    runs.write(
        tmp_path / runs.CANCELLATION,
        cancellation_file([cancel_row(path=hostile, phase=hostile, note=hostile, seen=False, verdict=hostile)]),
    )
    found = diagnosis_file(answer=hostile, hop=hostile, culprit=hostile, evidence=[hostile])
    runs.write(tmp_path / runs.DIAGNOSIS, found)

    render(tmp_path)

    page = page_of(tmp_path)
    assert page.open == []
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    for name in ("report.html", "report.md", "junit.xml"):
        raw = (tmp_path / name).read_text()
        # Inside a code span nothing is markup; outside of one, everything that could be is escaped.
        assert "<script" not in (
            re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", raw, flags=re.DOTALL) if name == "report.md" else raw
        )
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", raw)
        assert "[31m" not in raw
        assert "49" not in re.findall(r"\{\{ (.*?) \}\}", raw), "no template in a value is run"


def test_the_page_needs_nothing_from_anywhere(full: Path) -> None:
    page, html = page_of(full), (full / "report.html").read_text()
    assert all(reference.startswith("#") for reference in page.references)
    assert {reference[1:] for reference in page.references} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "form"}
    assert "w3.org" not in html
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) <= {"#"}


def test_every_figure_speaks_to_those_who_cannot_see_it(full: Path) -> None:
    html = (full / "report.html").read_text()
    labels = re.findall(r'<div class="plot" role="img" aria-label="([^"]{20,})"', html)
    assert len(labels) == html.count("<svg") == 8


def test_rendering_twice_gives_the_same_bytes(full: Path, tmp_path: Path) -> None:
    first = [(full / name).read_bytes() for name in ("report.html", "report.md", "junit.xml")]

    assert [path.read_bytes() for path in render(full)] == first
    assert [path.read_bytes() for path in render(full_run(tmp_path))] == first
    assert not [path for path in full.iterdir() if path.name.startswith(".")]


def test_many_streams_make_a_page_of_bounded_size(tmp_path: Path) -> None:
    kinds = list(Outcome)
    records = [
        stream(
            n,
            ttft_ms=150 + n % 97,
            tokens=30,
            outcome=kinds[n % len(kinds)] if n % 7 == 0 else Outcome.OK,
            detail=f"detail {n} " + "x" * 400,
        )
        for n in range(5_000)
    ]
    write_streams(tmp_path, records)

    render(tmp_path)

    assert (tmp_path / "report.html").stat().st_size < 1_500_000
    assert (tmp_path / "report.md").stat().st_size < 100_000


def test_records_with_times_out_of_range_are_left_out_and_counted(tmp_path: Path) -> None:
    odd = stream(1)
    odd.start_ns = -(2**62)
    late = stream(2)
    late.end_ns = late.closed_ns = 2**62
    write_streams(tmp_path, [odd, late, stream(3)])

    render(tmp_path)

    page = page_of(tmp_path).text
    assert "0 of 1 stream failed" in page
    assert "2 lines of streams.jsonl could not be read" in page


@pytest.mark.parametrize("content", [None, {}, {"notes.txt": b"hello"}, {runs.STREAMS: b""}])
def test_a_directory_without_a_run_is_a_usage_error(tmp_path: Path, content: dict[str, bytes] | None) -> None:
    directory = tmp_path / "run"
    if content is not None:
        directory.mkdir()
        for name, data in content.items():
            (directory / name).write_bytes(data)

    with pytest.raises(UsageError, match="does not exist" if content is None else "holds no run"):
        render(directory)


def test_a_file_in_place_of_a_directory_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")

    with pytest.raises(UsageError, match="is a file"):
        render(tmp_path / "run.json")


def test_a_damaged_file_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    full_run(tmp_path)
    (tmp_path / runs.CHECKS).write_text('{"schema": 1, "target"')

    with pytest.raises(UsageError, match=r"checks\.json cannot be read"):
        render(tmp_path)

    assert not (tmp_path / "report.html").exists()


def test_reports_import_no_load_engine() -> None:
    code = (
        "import sys, streamgauge.reports.render; "
        "sys.exit(bool({'locust', 'gevent', 'httpx', 'matplotlib.pyplot'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_objective_stands_beside_its_measured_value(tmp_path: Path) -> None:
    totals = Totals([parse_slo("ttft p95 < 100ms"), parse_slo("error_rate <= 1%")])
    records = [stream(n) for n in range(400)]
    for record in records:
        totals.add(record)
    write_streams(tmp_path, records)
    runs.write(tmp_path / runs.RUN, manifest(totals.summary()))

    render(tmp_path)

    text, markdown = page_of(tmp_path).text, (tmp_path / "report.md").read_text()
    assert "objective ttft p95 < 100ms missed: measured 200ms (95% interval 200ms, 400 streams)" in text
    assert "objective error_rate <= 1% met: measured 0% (95% interval 0% to 0.95%, 400 streams)" in text
    assert "| `ttft p95 < 100ms` | missed | 200ms | 200ms | 400 | 59 |" in markdown
    assert "| `error_rate <= 1%` | met | 0% | 0% to 0.95% | 400 | 381 |" in markdown
    assert 'failures="1"' in (tmp_path / "junit.xml").read_text()


def test_a_report_of_records_alone_says_what_waited_and_why_nothing_is_decided(tmp_path: Path) -> None:
    """A run that was killed before its figures were written: one stream at a time, and four that still waited."""
    # A stream starts every 50 ms and takes 400 ms, so each waits for all in front of it.
    served = [stream(n, ttft_ms=100 + 350 * n, itl_ms=30, tokens=10) for n in range(12)]
    waiting = [stream(n, tokens=0, outcome=Outcome.INCOMPLETE) for n in range(12, 16)]
    waiting = [msgspec.structs.replace(record, closed_ns=6_000 * MS) for record in waiting]
    write_streams(tmp_path, [*served, *waiting])
    runs.write(tmp_path / runs.RUN, manifest(settings={"users": 16, "slos": ["ttft p95 < 1m", "goodput > 90%"]}))

    render(tmp_path)

    text, markdown = page_of(tmp_path).text, (tmp_path / "report.md").read_text()
    assert "the endpoint serves one stream at a time: of 11 streams that came behind others, 0 had a token" in text
    assert "objective ttft p95 < 60000ms undecided: measured ≥ 6000ms" in text
    assert "undecided: 4 waits had not ended when the streams were cut: give --drain" in markdown
    assert "4 streams had no token when cut, after up to 6000 ms" in text
    assert "75.0 % to 100 %" in text, "goodput with none and with all of the undecided streams"
    junit = (tmp_path / "junit.xml").read_text()
    assert 'errors="2"' in junit
    assert 'failures="0"' in junit


def test_a_closed_loop_is_named_by_the_streams_that_were_open(tmp_path: Path) -> None:
    records = [stream(n) for n in range(30)]
    found = OpenLoop(
        model="20/s", planned=30, started=30, late=3, dropped=0, late_limit_ms=10, planned_per_s=20, achieved_per_s=20,
        max_streams=1_000, most_open=24,
    )  # fmt: skip
    write_streams(tmp_path, records)
    runs.write(tmp_path / runs.RUN, manifest(summary_of(records), open_loop=found))

    render(tmp_path)

    text, markdown = page_of(tmp_path).text, (tmp_path / "report.md").read_text()
    assert "became a closed loop" not in text
    assert "| most streams open at once | 24 |" in markdown
    assert "| limit of open streams (--max-streams) | 1,000 |" in markdown


def test_the_servers_own_figures_are_under_those_of_the_client(tmp_path: Path) -> None:
    records = [stream(number) for number in range(30)]
    write_streams(tmp_path, records)
    lines = [
        Sample(begin_ns=EPOCH + at, end_ns=EPOCH + at, figures=Figures(running=4, waiting=at / SECOND, kv_share=0.5))
        for at in range(0, 2 * SECOND, SECOND // 5)
    ]
    (tmp_path / SERVER).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    server = server_summary("http://127.0.0.1:8000/metrics", HOSTILE, "It can be stale.", lines, open_mean=100)
    runs.write(tmp_path / runs.RUN, manifest(summary_of(records), server=server))
    render(tmp_path)
    page, short = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()

    assert 'id="server-lane' in page
    assert "requests waiting, at most" in page
    assert "requests waiting, at most" in short
    assert "one of several" in page
    assert "<script>alert" not in page


def test_sessions_are_shown_by_turn_and_by_how_they_ended(tmp_path: Path) -> None:
    records = [
        msgspec.structs.replace(stream(n), session="a", turn=n, usage_prompt_tokens=100, usage_cached_tokens=40)
        for n in (1, 2)
    ]
    write_streams(tmp_path, records)
    sessions = sessions_of(records, {"a": 3}.get)
    runs.write(tmp_path / runs.RUN, manifest(summary_of(records), sessions=sessions))
    render(tmp_path)
    text, short = page_of(tmp_path).text, (tmp_path / "report.md").read_text()

    assert "not finished when the run ended" in text
    assert f"| turn 2, TTFT | 1 | 0 | {ABSENT} | {percent(0.4)} |" in short
    assert "| not finished when the run ended | 1 |" in short
