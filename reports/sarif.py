"""SARIF 2.1.0 of a `check` run, for code scanning: a rule for each check with a finding, a result for each finding.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; the section of a rule is named where it is applied.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from streamgauge.conformance.report import ChecksReport, TargetChecks
from streamgauge.conformance.result import CheckResult, Evidence, Verdict
from streamgauge.reports.text import clean
from streamgauge.units import ns_to_ms

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Final = {Verdict.FAIL: "error", Verdict.WARN: "warning", Verdict.INFO: "note"}
# Code scanning sorts by a number (GitHub: over 9.0 critical, 7.0 high, 4.0 medium); our severity, not a CVSS score.
_SECURITY: Final = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}
_URL: Final = re.compile(r"https://[^\s;,)]+")


def sarif(report: ChecksReport) -> str:
    """The log, as JSON text. The same report gives the same bytes."""
    found = [
        (row, result)
        for row in report.targets
        if row.checks is not None
        for result in row.checks.results
        if result.verdict in _LEVELS
    ]
    rules = {result.id: result for _, result in found}
    order = list(rules)
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "streamgauge",
                        "version": report.streamgauge,
                        "rules": [_rule(rules[check]) for check in order],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [_invocation(report)],
                "results": [_result(row, result, order.index(result.id)) for row, result in found],
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(log), indent=1).decode() + "\n"


def _rule(result: CheckResult) -> dict[str, Any]:
    """3.49, reportingDescriptor."""
    help_lines = [f"Requirement ({result.level}, {result.basis}): {result.statement}"]
    help_lines += [f"Breaks: {result.breaks}"] if result.breaks else []
    help_lines += [f"Fix: {advice}" for advice in result.advice]
    help_lines += [f"Reference: {line}" for line in result.references]
    rule: dict[str, Any] = {
        "id": result.id,
        "shortDescription": {"text": clean(result.statement)},
        "fullDescription": {"text": clean(result.statement)},
        "help": {"text": clean("\n".join(help_lines))},
        "defaultConfiguration": {"level": {"MUST": "error", "SHOULD": "warning"}.get(result.level, "note")},
        "properties": {
            "tags": [result.group, result.basis, result.level],
            "precision": "very-high",
            "problem.severity": {"MUST": "error", "SHOULD": "warning"}.get(result.level, "recommendation"),
            "severity": result.severity,
        },
    }
    if result.group == "security" and result.severity in _SECURITY:
        rule["properties"]["security-severity"] = _SECURITY[result.severity]
        rule["properties"]["tags"].append("security")
    if url := next((found[0] for line in result.references if (found := _URL.search(line))), None):
        rule["helpUri"] = url
    return rule


def _result(row: TargetChecks, result: CheckResult, rule_index: int) -> dict[str, Any]:
    """3.27, result. An accepted finding is suppressed (3.35), not left out."""
    expected = f" Expected: {result.expected}." if result.expected else ""
    made: dict[str, Any] = {
        "ruleId": result.id,
        "ruleIndex": rule_index,
        "level": _LEVELS[result.verdict],
        "message": {"text": clean(f"{row.name}: {result.actual}.{expected}")},
        "locations": [_location(row)],
        "partialFingerprints": {"streamgauge/v1": _fingerprint(row, result)},
        "properties": {
            "target": row.target,
            "verdict": result.verdict.value,
            "severity": result.severity,
            "basis": result.basis,
            "failsTheRun": result.id in row.failing,
            "evidence": [_evidence(item) for item in result.evidence],
            **({"reproduce": clean(result.reproduce)} if result.reproduce else {}),
        },
    }
    if result.id in row.accepted:
        made["suppressions"] = [{"kind": "external", "justification": "accepted by the baseline"}]
    return made


def _location(row: TargetChecks) -> dict[str, Any]:
    """The line of the target file, which code scanning can show, and the endpoint as a logical location (3.33)."""
    logical = [{"name": clean(row.name), "fullyQualifiedName": clean(row.target), "kind": "resource"}]
    artifact: dict[str, Any] = {"artifactLocation": {"uri": row.target}}
    if row.file is not None:
        artifact = {"artifactLocation": {"uri": row.file}, "region": {"startLine": row.line or 1}}
    return {"physicalLocation": artifact, "logicalLocations": logical}


def _evidence(item: Evidence) -> dict[str, Any]:
    """An offset in a response body is a property, not a region, because the body is not a file of the repository."""
    fields = {
        "scenario": item.scenario,
        "note": item.note and clean(item.note),
        "byteOffset": item.offset,
        "arrivedAfterMs": None if item.arrival_ns is None else ns_to_ms(item.arrival_ns),
        "excerpt": item.excerpt and clean(item.excerpt),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _fingerprint(row: TargetChecks, result: CheckResult) -> str:
    """A fingerprint that stays the same for a check and target, whatever the line and the bytes."""
    return hashlib.sha256(f"{row.name}\n{result.id}".encode()).hexdigest()[:32]


def _invocation(report: ChecksReport) -> dict[str, Any]:
    """3.20: a failure of the tool itself is not a result."""
    notifications = list(_notifications(report))
    return {
        "executionSuccessful": not notifications and not report.interrupted,
        "startTimeUtc": report.started.replace("+00:00", "Z"),
        "toolExecutionNotifications": notifications,
    }


def _notifications(report: ChecksReport) -> Iterator[dict[str, Any]]:
    for row in report.targets:
        if row.checks is None:
            yield {"level": "error", "message": {"text": clean(f"{row.name} could not be measured: {row.reason}")}}
            continue
        for result in row.checks.results:
            if result.verdict is Verdict.ERROR:
                yield {"level": "error", "message": {"text": clean(f"{row.name}: {result.id}: {result.actual}")}}
        for check in row.stale:
            text = f"{row.name}: the baseline accepts {check} but it passes now"
            yield {"level": "warning", "message": {"text": clean(text)}}
