"""The files of `check`: each says the same, in its own form, and nothing of an endpoint's is active in any."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import jsonschema
import msgspec
import pytest

from streamgauge.cli.check_files import FORMATS, json_text
from streamgauge.conformance.matrix import ClientRow, ClientVerdict, Matrix, Replay
from streamgauge.conformance.report import ChecksReport, TargetChecks
from streamgauge.conformance.result import CheckResult, Evidence, UpstreamError, Verdict, WireExchange, WireRow
from streamgauge.reports.checks_html import checks_html
from streamgauge.reports.checks_markdown import MAX_CHARS, checks_markdown
from streamgauge.reports.junit import report_junit
from streamgauge.reports.sarif import sarif
from streamgauge.units import MS
from tests.reports.report_builders import EVERY_VERDICT, HOSTILE, check, checks_file
from tests.reports.sarif_rules import SARIF
from tools.schema import PUBLISHED, schema, text

WIRE = WireExchange(
    label="happy",
    scenario="happy",
    method="POST",
    url="http://a/",
    outcome="ok",
    status=200,
    http_version="1.1",
    headers=[("Content-Type", "text/event-stream"), ("X-Bad", HOSTILE)],
    headers_ns=MS,
    size=5_000,
    reads=3,
    rows=[
        WireRow(0, 9, "data: a␊␊", MS, 0),
        WireRow(1_200, 9, "data: x␊␊", 3 * MS, 1, [1_207], [6]),
        WireRow(1_209, 3_791, HOSTILE, 3 * MS, 1),
    ],
)


def row(name: str, results: list[CheckResult], **changes: Any) -> TargetChecks:
    checks = msgspec.structs.replace(checks_file(results), exchanges=[WIRE])
    given = {"failing": [one.id for one in results if one.verdict is Verdict.FAIL], **changes}
    return TargetChecks(name=name, target=f"http://{name}/", checks=checks, **given)


def report(*rows: TargetChecks, **changes: Any) -> ChecksReport:
    given = {"streamgauge": "0.1.0", "started": "2025-11-21T10:00:00+00:00", "fail_on": "fail", **changes}
    return ChecksReport(targets=list(rows), **given)


GONE = TargetChecks(name="gone", target="http://gone/", reason="cannot connect to gone:80", hint="is it running?")
ACCEPTED = row("old", EVERY_VERDICT, failing=[], accepted=["framing.bad"], stale=["framing.good"])
BAD = row("bad", EVERY_VERDICT, file="ci/targets.toml", line=7)
SEVERAL = report(BAD, ACCEPTED, GONE)
ONE = report(BAD)
NAUGHTY = report(
    row(
        HOSTILE,
        [
            check(
                "bad",
                Verdict.FAIL,
                **dict.fromkeys(("statement", "actual", "expected", "reproduce", "fix", "breaks"), HOSTILE),
                references=[HOSTILE],
                fixes={"nginx": HOSTILE},
                evidence=[Evidence("happy", HOSTILE, 1_207, HOSTILE, 3 * MS, 4)],
            ),
            check("open", Verdict.INCONCLUSIVE, needs=HOSTILE),
        ],
    ),
    TargetChecks(name="x", target="http://x/", reason=HOSTILE, hint=HOSTILE),
)
CUT = report(BAD, interrupted=True)
ALL = {"several": SEVERAL, "one": ONE, "hostile": NAUGHTY, "unmeasured": report(GONE), "cut": CUT}


@pytest.fixture(params=ALL.values(), ids=ALL.keys())
def any_report(request: pytest.FixtureRequest) -> ChecksReport:
    found: ChecksReport = request.param
    return found


def test_the_published_schema_is_that_of_the_structs() -> None:
    """`make docs` writes it."""
    assert PUBLISHED.read_text(encoding="utf-8") == text()


def test_the_json_file_is_as_its_schema_says(any_report: ChecksReport) -> None:
    jsonschema.validate(json.loads(json_text(any_report)), schema())


@pytest.mark.parametrize("change", [{"schema": 2}, {"targets": [{"name": "x"}]}, {"fail_on": None}])
def test_the_schema_refuses_what_is_no_report(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(json_text(ONE)) | change, schema())


def test_sarif_is_as_the_standard_says(any_report: ChecksReport) -> None:
    log = json.loads(sarif(any_report))

    jsonschema.validate(log, SARIF, format_checker=jsonschema.FormatChecker())
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[one["ruleIndex"]] for one in run["results"]] == [one["ruleId"] for one in run["results"]]


def test_sarif_levels_places_and_suppressions() -> None:
    """A finding points at the target's line; offsets are properties; what is accepted is suppressed, not lost."""
    (run,) = json.loads(sarif(SEVERAL))["runs"]
    by_name = {(one["properties"]["target"], one["ruleId"]): one for one in run["results"]}

    assert {check: one["level"] for (target, check), one in by_name.items() if target == "http://bad/"} == {
        "framing.bad": "error", "framing.soft": "warning", "framing.fact": "note",
    }  # fmt: skip
    bad, old = by_name["http://bad/", "framing.bad"], by_name["http://old/", "framing.bad"]
    physical = bad["locations"][0]["physicalLocation"]
    assert (physical["artifactLocation"]["uri"], physical["region"]["startLine"]) == ("ci/targets.toml", 7)
    assert bad["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "http://bad/"
    assert bad["properties"]["evidence"][0]["byteOffset"] == 1207
    assert "suppressions" not in bad
    assert old["suppressions"][0]["kind"] == "external"
    assert bad["partialFingerprints"] != old["partialFingerprints"]
    told = [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    assert any("gone could not be measured" in line for line in told)
    assert any("framing.broken" in line for line in told)
    assert run["invocations"][0]["executionSuccessful"] is False


def test_a_finding_keeps_its_fingerprint_when_its_bytes_change() -> None:
    def prints(results: list[CheckResult]) -> list[str]:
        (run,) = json.loads(sarif(report(row("a", results))))["runs"]
        return [one["partialFingerprints"]["streamgauge/v1"] for one in run["results"]]

    assert prints([check("bad", Verdict.FAIL, actual="one")]) == prints([check("bad", Verdict.FAIL, actual="two")])


def test_markdown_says_what_failed_where_and_what_is_open() -> None:
    said = checks_markdown(SEVERAL)

    assert "## Streamgauge: 3 of 3 targets fail" in said
    assert "| 3 | gone | not measured | cannot connect to gone:80 |" in said
    assert "| `framing.bad` | ✗ | (✗) | · |" in said
    assert "passes now: remove the entry" in said
    assert "byte 1,207" in said
    assert "- 1: --mock URL" in said


def test_markdown_is_bounded() -> None:
    """A comment holds 65,536 characters; what is left out is counted."""
    many = [check(f"bad{n}", Verdict.FAIL, actual="x" * 3_000) for n in range(200)]

    said = checks_markdown(report(row("a", many)))

    assert len(said) <= MAX_CHARS + 1
    assert "more findings: see the other report files." in said


def test_nothing_of_the_endpoints_is_active_in_markdown() -> None:
    """Outside of code, where nothing is; GitHub would drop a script, but not an image or a link."""
    said = checks_markdown(NAUGHTY)

    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", said, flags=re.DOTALL)
    assert "<script>" not in outside
    assert "\\*\\*bold\\*\\*" in outside
    assert "\x1b" not in said


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        assert not {"src", "onclick", "onload", "onerror"} & given.keys()

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_every_cell_opens_what_stands_behind_it(any_report: ChecksReport) -> None:
    """No dead link, no id twice, no link out of the page, no script."""
    page = Page(checks_html(any_report))

    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert all(link.startswith("#") for link in page.links)
    assert not {"script", "iframe", "img", "link", "object"} & set(page.tags)
    cells = [link for link in page.links if link.startswith("#c")]
    assert len(set(cells)) == sum(len(checks.results) for checks in any_report.measured)
    named = sum(len(one.failing) for one in any_report.targets if one.checks)
    assert len(cells) == len(set(cells)) + named, "the card of a target opens what fails, too"


def test_the_page_is_made_for_hostile_text() -> None:
    page = checks_html(NAUGHTY)

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not any(character in page for character in "\x1b\x00\x08\u202e")
    assert "default-src 'none'; style-src 'unsafe-inline'" in page


def test_the_quoted_byte_is_marked_in_the_wire() -> None:
    page = checks_html(report(row("a", [check("bad", Verdict.FAIL, evidence=[Evidence("happy", None, 1_207)])])))

    assert 'data: <mark>x</mark><span class="k">LF</span>' in page
    assert "1.2 KiB not shown" in page or "1,191 B not shown" in page
    assert page.count('class="quoted') == 2  # beside the check, and in the exchange


def test_the_card_of_a_target_names_what_fails_worst_first_and_opens_it() -> None:
    results = [check("soft", Verdict.WARN), check("good", Verdict.PASS)]
    results += [check(f"bad-{number}", Verdict.FAIL) for number in range(8)]
    given = msgspec.structs.replace(row("a", results), failing=["framing.soft", *(one.id for one in results[2:])])
    page = checks_html(report(given))
    card = page[page.index('<div class="cards">') : page.index('<main id="matrix">')]

    named = re.findall(r'<a href="#c1-([^"]+)">', card)
    assert named == [f"framing.bad-{number}" for number in range(6)]
    assert "the actual of bad-0" in card
    assert "and 3 more below" in card


def test_a_reference_is_a_link() -> None:
    """The words are ours; an address that is no web address stays text."""
    references = ["WHATWG HTML 9.2.6: https://html.spec.whatwg.org/#x", "javascript:alert(1)"]

    page = Page(checks_html(report(row("a", [check("bad", Verdict.FAIL, references=references)]))))

    assert [link for link in page.links if not link.startswith("#")] == ["https://html.spec.whatwg.org/#x"]


def test_a_byte_past_the_end_shows_the_end() -> None:
    page = checks_html(report(row("a", [check("bad", Verdict.FAIL, evidence=[Evidence("happy", None, 5_000)])])))

    assert "the body ends here" in page


def test_what_clients_make_of_it_is_in_the_page_and_the_summary() -> None:
    """A client that loses data is told as such, with the byte and why; one that has no business is left out."""
    loses = Replay(verdict=ClientVerdict.LOSES, offset=3, excerpt="da\u2424x", mark=2, reason=HOSTILE)
    rows = [
        ClientRow(client="some-sdk", source="emulated", result=loses, otherwise=[loses], note=HOSTILE),
        ClientRow(client="good-sdk", source="its package", version="1.0", result=Replay(verdict=ClientVerdict.READS)),
        ClientRow(client="other-sdk", source="", result=Replay(verdict=ClientVerdict.NOT_APPLICABLE)),
    ]
    checks = msgspec.structs.replace(checks_file([]), clients=Matrix(bodies=1, bytes=9, rows=rows))
    given = report(TargetChecks(name="a", target="http://a/", checks=checks), GONE)
    page = checks_html(given)

    assert '<a class="fail" href="#k1-1">loses data</a>' in page
    assert "other-sdk" not in page
    assert "<script>" not in page
    assert {link[1:] for link in Page(page).links} <= set(Page(page).ids)
    assert "- a: some-sdk (loses data)" in checks_markdown(given)


def test_what_becomes_of_upstream_errors_is_in_the_page_and_the_summary() -> None:
    errors = [
        UpstreamError(upstream="429", outcome="http_error", seconds=3.1, body="an HTML page", status=500,
                      media_type=HOSTILE, upstream_retry_after=True, tries=3, try_gaps_s=[1.0, 2.0]),
        UpstreamError(upstream="connection refused", outcome="truncated", seconds=0.02, body="no answer"),
    ]  # fmt: skip
    checks = msgspec.structs.replace(checks_file([]), upstream_errors=errors)
    given = report(TargetChecks(name="a", target="http://a/", checks=checks))
    page, summary = checks_html(given), checks_markdown(given)

    for cell in ("an HTML page", "lost", "3100 ms", "3 (1000 ms, 2000 ms apart)", "no answer"):
        assert cell in page
        assert cell in summary
    assert "<script>" not in page + summary


def test_what_the_baseline_says_shows_in_every_file() -> None:
    only = report(ACCEPTED)

    assert 'class="fail accepted"' in checks_html(only)
    assert 'class="pass stale"' in checks_html(only)
    assert "accepted by the baseline: the actual of bad" in report_junit(only)
    assert 'type="stale"' in report_junit(only)
    assert "(1 accepted)" in checks_markdown(only)


def test_the_same_report_gives_the_same_bytes(any_report: ChecksReport) -> None:
    for form in FORMATS:
        assert form.text(any_report) == form.text(any_report) != ""
