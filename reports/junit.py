"""junit.xml, for CI systems that show tests: a check or an objective is a test case."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Final

from harness.conformance.result import CheckResult, ChecksFile, Verdict
from harness.slo import SloResult
from harness.slo import Verdict as SloVerdict
from reports.text import clean

_SKIPPED: Final = frozenset({Verdict.NOT_APPLICABLE, Verdict.INCONCLUSIVE})


def junit_xml(checks: ChecksFile | None, slos: Sequence[SloResult] = ()) -> str:
    """Checks and objectives as JUnit XML, a suite each. `warn` passes with output, or fails when the run was strict."""
    suites = ([_checks(checks)] if checks else []) + ([_slos(slos)] if slos else [])
    root = ET.Element("testsuites", name="streamgauge")
    for total in ("tests", "failures", "errors", "skipped"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in suites)))
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _slos(slos: Sequence[SloResult]) -> ET.Element:
    """No data is an error, not a pass."""
    suite = ET.Element("testsuite", name="streamgauge.slo")
    kinds = {SloVerdict.MISSED: "failure", SloVerdict.NO_DATA: "error"}
    for one in slos:
        case = ET.SubElement(suite, "testcase", classname="streamgauge.slo", name=clean(one.slo), time="0")
        measured = f"measured {one.measured}" if one.measured else "no data"
        if kind := kinds.get(one.verdict):
            ET.SubElement(case, kind, message=clean(measured), type=one.verdict.value)
        else:
            ET.SubElement(case, "system-out").text = clean(measured)
    suite.attrib |= {
        "tests": str(len(slos)),
        "failures": str(sum(one.verdict is SloVerdict.MISSED for one in slos)),
        "errors": str(sum(one.verdict is SloVerdict.NO_DATA for one in slos)),
        "skipped": "0",
    }
    return suite


def _checks(checks: ChecksFile) -> ET.Element:
    suite = ET.Element("testsuite", name="streamgauge")
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("target", checks.target),
        ("dialect", checks.dialect),
        ("position", checks.position),
        ("streamgauge", checks.streamgauge),
        ("started", checks.started),
    ):
        if value is not None:
            ET.SubElement(properties, "property", name=name, value=clean(value))
    counts = {"failure": 0, "error": 0, "skipped": 0}
    for result in checks.results:
        case = ET.SubElement(
            suite, "testcase", classname=f"streamgauge.{clean(result.group)}", name=clean(result.id), time="0"
        )  # fmt: skip
        kind = _kind(result, checks.strict)
        if kind == "skipped":
            reason = f"{result.verdict.value}: {result.actual}" + (f" (needs {result.needs})" if result.needs else "")
            ET.SubElement(case, "skipped", message=clean(reason))
        elif kind:
            child = ET.SubElement(case, kind, message=clean(result.actual), type=f"{result.level} {result.severity}")
            child.text = _story(result)
        elif result.verdict in (Verdict.WARN, Verdict.INFO):
            ET.SubElement(case, "system-out").text = f"{result.verdict.value}\n{_story(result)}"
        if kind:
            counts[kind] += 1
    tally = {
        "tests": str(len(checks.results)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]),
    }
    suite.attrib |= tally
    return suite


def _kind(result: CheckResult, strict: bool) -> str | None:
    if result.verdict is Verdict.ERROR:
        return "error"
    if result.verdict is Verdict.FAIL or (strict and result.verdict is Verdict.WARN):
        return "failure"
    return "skipped" if result.verdict in _SKIPPED else None


def _story(result: CheckResult) -> str:
    """What a reader of a CI log needs, without the page at hand."""
    lines = [f"requirement: {result.statement} ({result.level}, {result.basis})"]
    if result.expected:
        lines.append(f"expected: {result.expected}")
    lines.append(f"actual: {result.actual}")
    for seen in result.evidence:
        where = f" at byte {seen.offset:,}" if seen.offset is not None else ""
        lines.append(f"evidence: {seen.scenario}{where}" + (f": {seen.note}" if seen.note else ""))
        if seen.excerpt:
            lines.append(f"  {seen.excerpt}")
    if result.reproduce:
        lines.append(f"reproduce: {result.reproduce}")
    lines += [f"fix: {line}" for line in result.advice]
    lines += [f"reference: {reference}" for reference in result.references]
    return "\n".join(clean(line) for line in lines)
