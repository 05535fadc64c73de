"""junit.xml, read back with a real XML parser."""

import xml.etree.ElementTree as ET

import msgspec

from streamgauge.conformance.result import Verdict
from streamgauge.metrics.slo import parse_slo
from streamgauge.metrics.summary import Totals
from streamgauge.reports.junit import junit_xml
from tests.reports.report_builders import EVERY_VERDICT, HOSTILE, check, checks_file, stream


def cases(strict: bool) -> tuple[ET.Element, dict[str, ET.Element]]:
    root = ET.fromstring(junit_xml(checks_file(EVERY_VERDICT, strict=strict)))
    return root, {case.attrib["name"]: case for case in root.iter("testcase")}


def kinds(case: ET.Element) -> list[str]:
    return [child.tag for child in case]


def test_each_verdict_becomes_its_kind_of_result() -> None:
    root, by_name = cases(strict=False)

    assert {name: kinds(case) for name, case in by_name.items()} == {
        "framing.good": [],
        "framing.bad": ["failure"],
        "framing.soft": ["system-out"],
        "framing.fact": ["system-out"],
        "framing.none": ["skipped"],
        "framing.open": ["skipped"],
        "framing.broken": ["error"],
    }
    assert {case.attrib["classname"] for case in by_name.values()} == {"streamgauge.framing"}
    for element in (root, root.find("testsuite")):
        assert element is not None
        counts = {name: element.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": "7", "failures": "1", "errors": "1", "skipped": "2"}


def test_strict_makes_a_warning_a_failure() -> None:
    root, by_name = cases(strict=True)

    assert kinds(by_name["framing.soft"]) == ["failure"]
    assert root.attrib["failures"] == "2"


def test_a_failure_carries_what_a_log_reader_needs() -> None:
    failure = cases(strict=False)[1]["framing.bad"].find("failure")

    assert failure is not None
    assert failure.attrib["message"] == "the actual of bad"
    for part in ("requirement: ", "expected: two newlines", "byte 1,207", "reproduce: curl", "fix: write"):
        assert part in (failure.text or "")


def test_a_skip_says_why_and_what_would_help() -> None:
    skipped = cases(strict=False)[1]["framing.open"].find("skipped")

    assert skipped is not None
    assert skipped.attrib["message"] == "inconclusive: the actual of open (needs --mock URL)"


def test_hostile_text_survives_as_text() -> None:
    hostile = HOSTILE + "\ufffe\uffff"
    text = junit_xml(checks_file([check("x", Verdict.FAIL, actual=hostile, statement=hostile, group=hostile)]))

    failure = next(ET.fromstring(text).iter("failure"))

    assert "<script>alert(1)</script> ]]> red" in failure.attrib["message"]
    assert "\x1b" not in text
    assert "\x00" not in text


def test_objectives_are_a_suite_of_their_own() -> None:
    totals = Totals([parse_slo(text) for text in ("ttft p50 < 1s", "ttft p50 < 1ms", "tpot < 1s")])
    for number in range(10):
        totals.add(stream(number, tokens=1))
    slos = [totals.judge_slo(slo) for slo in totals.slos]
    root = ET.fromstring(junit_xml(None, slos))

    assert {case.attrib["name"]: kinds(case) for case in root.iter("testcase")} == {
        "ttft p50 < 1000ms": ["system-out"],
        "ttft p50 < 1ms": ["failure"],
        "tpot < 1000ms": ["error"],
    }
    both = ET.fromstring(junit_xml(checks_file(EVERY_VERDICT, strict=False), slos))
    assert [suite.attrib["name"] for suite in both] == ["streamgauge", "streamgauge.slo"]
    assert (both.attrib["tests"], both.attrib["failures"], both.attrib["errors"]) == ("10", "2", "2")


def test_a_check_that_was_not_finished_is_an_error() -> None:
    checks = msgspec.structs.replace(checks_file([check("good", Verdict.PASS)]), unfinished="it no longer answers")
    root = ET.fromstring(junit_xml(checks))
    (error,) = root.iter("error")
    assert error.get("message") == "it no longer answers"
    assert (root.get("tests"), root.get("errors")) == ("2", "1")


def test_a_fault_of_the_load_is_an_error() -> None:
    root = ET.fromstring(junit_xml(None, faults=["Locust was killed (SIGKILL)", "3 streams left no record"]))
    (error,) = root.iter("error")
    assert error.get("message") == "Locust was killed (SIGKILL); 3 streams left no record"
    assert (root.get("tests"), root.get("errors")) == ("1", "1")


def test_figures_that_are_not_valid_are_an_error() -> None:
    root = ET.fromstring(junit_xml(None, faults=["a fault"], unfit="the figures are INVALID: TTFT"))
    assert [(case.get("name"), kinds(case)) for case in root.iter("testcase")] == [
        ("the load was the planned one", ["error"]),
        ("the figures are valid", ["error"]),
    ]
    assert (root.get("tests"), root.get("errors")) == ("2", "2")
