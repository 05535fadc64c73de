"""The files of a comparison: HTML, Markdown, JUnit and JSON say the same, and hostile text acts in none of them."""

import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from streamgauge.comparing.change import parse_change
from streamgauge.comparing.compare import compare
from streamgauge.comparing.report import CompareReport
from streamgauge.protocol.outcome import Outcome
from streamgauge.reports.compare_html import compare_html
from streamgauge.reports.compare_markdown import compare_markdown
from streamgauge.reports.junit import compare_junit
from tests.builders.command import streamgauge
from tests.builders.compared import simulated_run, stream, write_run
from tests.reports.report_builders import HOSTILE

RULES = tuple(map(parse_change, ("ttft p50 > +5%", "ttft p99 > +1%", "ttft p95 > +90%")))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("runs")
    base = simulated_run(directory / "a", 1)
    cut = {"outcome": Outcome.TRUNCATED, "detail": HOSTILE}
    records = [stream(number, 2.5e8 + number % 5 * 1e6, **({} if number % 40 else cut)) for number in range(400)]
    return base, write_run(directory / "b", records)


@pytest.fixture(scope="module")
def report(places: tuple[Path, Path]) -> CompareReport:
    return compare(*map(str, places), fail_on=RULES, resamples=60)


def test_the_page_has_the_verdict_the_shift_and_the_failures(report: CompareReport) -> None:
    page = compare_html(report)
    assert "Regression in B: ttft p50 &gt; +5%" in page
    assert page.count('<div class="plot"') == len(report.against[0].shifts) + 1 == 4
    assert "How streams failed" in page
    assert "ttft: change of every quantile" in page
    assert "Failures, side by side" in page
    assert compare_html(report) == page, "the same report gives the same bytes"


def test_hostile_text_acts_in_no_file(report: CompareReport) -> None:
    for text in (compare_html(report), compare_markdown(report)):
        assert "<script" not in text
        assert "\x1b" not in text
    assert "\x1b" not in compare_junit(report)


def test_the_page_needs_neither_network_nor_script(report: CompareReport) -> None:
    page = compare_html(report)
    assert "<script" not in page
    assert "src=" not in page
    assert page.count("http-equiv") == 1, "the policy, and no refresh"
    assert "default-src 'none'; style-src 'unsafe-inline'" in page


def test_junit_fails_for_a_regression_and_is_an_error_without_a_verdict(report: CompareReport) -> None:
    root = ET.fromstring(compare_junit(report))
    kinds = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert kinds == {
        "ttft p50 > +5%": ["failure"], "ttft p99 > +1%": ["error"], "ttft p95 > +90%": ["system-out"],
    }  # fmt: skip
    assert (root.get("failures"), root.get("errors")) == ("1", "1")


def test_markdown_has_every_figure_and_rule(report: CompareReport) -> None:
    text = compare_markdown(report)
    for row in report.against[0].rows:
        assert " ".join(part for part in (row.metric, row.statistic) if part) in text
    for rule in report.against[0].rules:
        assert f"`{rule.rule}`" in text


def test_the_command_writes_all_files_and_its_exit_code_is_the_verdict(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    names = {"json": "c.json", "markdown": "c.md", "junit": "c.xml", "html": "c.html"}
    written = [word for option, name in names.items() for word in (f"--{option}", tmp_path / name)]
    done = streamgauge("compare", *places, "--fail-on", "ttft p50 > +5%", *written)
    assert done.returncode == 1
    assert "Regression in B: ttft p50 > +5%: +" in done.stdout
    found = msgspec.json.decode((tmp_path / "c.json").read_bytes(), type=CompareReport)
    assert found.against[0].rules[0].verdict == "regression"
    assert all((tmp_path / name).stat().st_size > 200 for name in names.values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "two sides at least"),
        (["a", "b", "--fail-on", "ttft p95 > 10%"], "character 12"),
        (["a", "b"], "a is not a directory"),
        (["a", "b", "--html", "/nowhere/c.html"], "its directory does not exist"),
        (["a", "b", "--html", "x", "--json", "x"], "two of the files to write are the same"),
    ],
)
def test_bad_input_is_one_message(words: list[str], message: str) -> None:
    done = streamgauge("compare", *words)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
