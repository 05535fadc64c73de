"""A finding as plain text: what a reader of a log needs to believe it and to act on it."""

from harness.conformance.result import CheckResult
from harness.units import show_ms
from reports.text import clean


def story(result: CheckResult) -> str:
    """What a reader of a CI log needs, without the page at hand."""
    lines = [f"requirement: {result.statement} ({result.level}, {result.basis})"]
    if result.expected:
        lines.append(f"expected: {result.expected}")
    lines.append(f"actual: {result.actual}")
    lines += [f"level: {result.profile}"] if result.profile else []
    for seen in result.evidence:
        where = f" at byte {seen.offset:,}" if seen.offset is not None else ""
        where += f", arrived at {show_ms(seen.arrival_ns)}" if seen.arrival_ns is not None else ""
        lines.append(f"evidence: {seen.scenario}{where}" + (f": {seen.note}" if seen.note else ""))
        if seen.excerpt:
            lines.append(f"  {seen.excerpt}")
    if result.reproduce:
        lines.append(f"reproduce: {result.reproduce}")
    lines += [f"fix: {line}" for line in result.advice]
    lines += [f"reference: {reference}" for reference in result.references]
    return "\n".join(clean(line) for line in lines)
