"""junit.xml, for CI systems that show tests: a check is a test case, its group the class."""

import xml.etree.ElementTree as ET
from typing import Final

from harness.conformance.result import CheckResult, ChecksFile, Verdict
from reports.text import clean

_SKIPPED: Final = frozenset({Verdict.NOT_APPLICABLE, Verdict.INCONCLUSIVE})


def junit_xml(checks: ChecksFile) -> str:
    """The checks as JUnit XML. `warn` passes with output, or fails when the run was strict."""
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
    root = ET.Element("testsuites", {"name": "streamgauge", **tally})
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


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
    for name in ("reproduce", "fix", "reference"):
        if value := getattr(result, name):
            lines.append(f"{name}: {value}")
    return "\n".join(clean(line) for line in lines)
