"""junit.xml, for CI systems that show tests: a check or an objective is a test case."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Final

from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.words import conclusion, labelled, level
from streamgauge.comparing import words
from streamgauge.comparing.report import CompareReport, Versus
from streamgauge.comparing.verdict import RuleVerdict
from streamgauge.conformance.report import ChecksReport, TargetChecks
from streamgauge.conformance.result import CheckResult, ChecksFile, Verdict, failed
from streamgauge.metrics.intervals import CONFIDENCE
from streamgauge.metrics.slo import SloResult
from streamgauge.metrics.slo import SloVerdict as SloVerdict
from streamgauge.reports.finding_text import plain_text
from streamgauge.reports.text import clean
from streamgauge.units import plural

_SUITE: Final = "streamgauge"
_STALE: Final = "the baseline accepts it but it passes now: remove the entry, or run --update-baseline"
_SKIPPED: Final = frozenset({Verdict.NOT_APPLICABLE, Verdict.INCONCLUSIVE})


def junit_xml(
    checks: ChecksFile | None,
    slos: Sequence[SloResult] = (),
    faults: Sequence[str] = (),
    unfit: str | None = None,
) -> str:
    """Checks, objectives and faults as JUnit XML, a suite each.

    `warn` passes with output, or fails when the run was strict. A fault of a load is an error: no objective of it was
    tested under the planned load. `unfit` says why no conclusion may rest on the figures; this is an error, too.
    """
    suites = []
    if checks is not None:
        failing = [result.id for result in failed(checks.results, strict=checks.strict)]
        row = TargetChecks(name=checks.target, target=checks.target, checks=checks, failing=failing)
        suites.append(_checks(row, checks, _SUITE))
    if slos:
        suites.append(_slos(slos))
    errors = [("the load was the planned one", "; ".join(faults), "fault")] if faults else []
    errors += [("the figures are valid", unfit, "not valid")] if unfit else []
    if errors:
        suites.append(_load(errors))
    return _document(suites)


def report_junit(report: ChecksReport) -> str:
    """A run of `check` as JUnit XML: a suite for each target. Only findings that fail the run are failures."""
    several = len(report.targets) > 1
    suites = []
    for row in report.targets:
        name = f"{_SUITE} {clean(row.name)}" if several else _SUITE
        suites.append(_unmeasured(row, name) if row.checks is None else _checks(row, row.checks, name))
    return _document(suites)


def compare_junit(report: CompareReport) -> str:
    """A comparison as JUnit XML: a suite for each side, a test for each rule. No verdict is an error, not a pass."""
    return _document([_versus(versus) for versus in report.against])


def capacity_junit(found: CapacityFile) -> str:
    """A search as JUnit XML: whether the endpoint holds the load that was asked for, or else whether its capacity is
    known. Undecided is an error, not a pass.
    """
    name = f"{_SUITE}.capacity"
    suite = ET.Element("testsuite", name=name)
    held = conclusion(found)
    asked = "the capacity is known" if found.at_least is None else f"holds {found.answer.axis.show(found.at_least)}"
    case = ET.SubElement(suite, "testcase", classname=name, name=asked, time=f"{found.spent.seconds:.1f}")
    kind = {"good": None, "bad": "failure", "warn": "error"}[level(found)]
    message = clean("; ".join([found.answer.headline, *([held[1]] if held is not None else [])]))
    if kind is not None:
        ET.SubElement(case, kind, message=message, type=held[0] if held is not None else found.answer.ending.value)
    ET.SubElement(case, "system-out").text = clean("\n".join(f"{label}: {text}" for label, text in labelled(found)))
    suite.attrib |= _tally(1, int(kind == "failure"), int(kind == "error"), 0)
    return _document([suite])


def _versus(versus: Versus) -> ET.Element:
    name = f"{_SUITE}.compare.{clean(versus.name)}"
    suite = ET.Element("testsuite", name=name)
    kinds = {RuleVerdict.REGRESSION: "failure", RuleVerdict.UNDECIDED: "error"}
    for result in versus.rules:
        case = ET.SubElement(suite, "testcase", classname=name, name=clean(result.rule), time="0")
        message = clean("; ".join(part for part in (words.rule(result), result.measured) if part))
        if kind := kinds.get(result.verdict):
            ET.SubElement(case, kind, message=message, type=result.verdict.value)
        else:
            ET.SubElement(case, "system-out").text = message
    failed, open_ = (sum(result.verdict is kind for result in versus.rules) for kind in kinds)
    suite.attrib |= _tally(len(versus.rules), failed, open_, 0)
    return suite


def _document(suites: Sequence[ET.Element]) -> str:
    root = ET.Element("testsuites", name=_SUITE)
    for total in ("tests", "failures", "errors", "skipped"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in suites)))
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _slos(slos: Sequence[SloResult]) -> ET.Element:
    """An undecided objective is an error, not a pass."""
    suite = ET.Element("testsuite", name="streamgauge.slo")
    kinds = {SloVerdict.MISSED: "failure", SloVerdict.UNDECIDED: "error"}
    for one in slos:
        case = ET.SubElement(suite, "testcase", classname="streamgauge.slo", name=clean(one.slo), time="0")
        measured = [f"measured {one.measured}"] if one.measured else []
        measured += [f"{CONFIDENCE:.0%} interval {one.interval}"] if one.interval else []
        measured += [plural(one.streams, one.counted)] if one.streams is not None else []
        message = clean("; ".join([one.verdict.value, *measured, *([one.reason] if one.reason else [])]))
        if kind := kinds.get(one.verdict):
            ET.SubElement(case, kind, message=message, type=one.verdict.value)
        else:
            ET.SubElement(case, "system-out").text = message
    missed, undecided = (sum(one.verdict is kind for one in slos) for kind in kinds)
    suite.attrib |= _tally(len(slos), missed, undecided, 0)
    return suite


def _load(errors: Sequence[tuple[str, str, str]]) -> ET.Element:
    """The errors of a load: what should have been, why it was not, and the type."""
    suite = ET.Element("testsuite", name="streamgauge.load")
    for name, why, kind in errors:
        case = ET.SubElement(suite, "testcase", classname="streamgauge.load", name=name, time="0")
        ET.SubElement(case, "error", message=clean(why), type=kind)
    suite.attrib |= _tally(len(errors), 0, len(errors), 0)
    return suite


def _checks(row: TargetChecks, checks: ChecksFile, name: str) -> ET.Element:
    suite = ET.Element("testsuite", name=name)
    properties = ET.SubElement(suite, "properties")
    for label, value in (
        ("name", row.name if row.name != checks.target else None),
        ("target", checks.target),
        ("dialect", checks.dialect),
        ("position", checks.position),
        ("streamgauge", checks.streamgauge),
        ("started", checks.started),
    ):
        if value is not None:
            ET.SubElement(properties, "property", name=label, value=clean(value))
    counts = {"failure": 0, "error": 0, "skipped": 0}
    for result in checks.results:
        case = ET.SubElement(
            suite, "testcase", classname=f"{name}.{clean(result.group)}", name=clean(result.id), time="0"
        )
        kind = _kind(result, row)
        if kind == "skipped":
            reason = f"{result.verdict.value}: {result.actual}" + (f" (needs {result.needs})" if result.needs else "")
            accepted = f"accepted by the baseline: {result.actual}"
            message = reason if result.verdict in _SKIPPED else accepted
            ET.SubElement(case, "skipped", message=clean(message))
        elif result.id in row.stale:
            ET.SubElement(case, "failure", message=_STALE, type="stale").text = clean(result.actual)
        elif kind:
            child = ET.SubElement(case, kind, message=clean(result.actual), type=f"{result.level} {result.severity}")
            child.text = plain_text(result)
        elif result.verdict not in (Verdict.PASS, *_SKIPPED):
            ET.SubElement(case, "system-out").text = f"{result.verdict.value}\n{plain_text(result)}"
        if kind:
            counts[kind] += 1
    if checks.unfinished is not None:
        case = ET.SubElement(suite, "testcase", classname=name, name="all requests were made", time="0")
        ET.SubElement(case, "error", message=clean(checks.unfinished), type="not finished")
        counts["error"] += 1
    tests = len(checks.results) + (checks.unfinished is not None)
    suite.attrib |= _tally(tests, counts["failure"], counts["error"], counts["skipped"])
    return suite


def _unmeasured(row: TargetChecks, name: str) -> ET.Element:
    """No data is an error, not a pass."""
    suite = ET.Element("testsuite", name=name)
    case = ET.SubElement(suite, "testcase", classname=name, name="can be measured", time="0")
    why = clean(row.reason or "")
    ET.SubElement(case, "error", message=why, type="not measured").text = clean(row.hint or "")
    suite.attrib |= _tally(1, 0, 1, 0)
    return suite


def _tally(tests: int, failures: int, errors: int, skipped: int) -> dict[str, str]:
    return {"tests": str(tests), "failures": str(failures), "errors": str(errors), "skipped": str(skipped)}


def _kind(result: CheckResult, row: TargetChecks) -> str | None:
    """How the check counts. An accepted finding is skipped: it does not fail, and a pass would hide it."""
    if result.id in row.failing:
        return "error" if result.verdict is Verdict.ERROR else "failure"
    if result.id in row.stale:
        return "failure"
    return "skipped" if result.verdict in _SKIPPED or result.id in row.accepted else None
