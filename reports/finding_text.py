"""A finding in words: the evidence and the advice, for a reader who does not have the page."""

from streamgauge.conformance.result import CheckResult
from streamgauge.reports.text import clean, md, md_block, md_code, md_snippet


def plain_text(result: CheckResult) -> str:
    """As plain text, for a log."""
    lines = [f"requirement: {result.statement} ({result.level}, {result.basis})"]
    if result.expected:
        lines.append(f"expected: {result.expected}")
    lines.append(f"actual: {result.actual}")
    lines += [f"level: {result.profile}"] if result.profile else []
    for seen in result.evidence:
        lines.append(f"evidence: {seen.place}" + (f": {seen.note}" if seen.note else ""))
        if seen.excerpt:
            lines.append(f"  {seen.excerpt}")
    if result.reproduce:
        lines.append(f"reproduce: {result.reproduce}")
    lines += [f"fix: {advice}" for advice in result.advice]
    lines += [f"reference: {reference}" for reference in result.references]
    return "\n".join(clean(line) for line in lines)


def markdown_text(result: CheckResult) -> str:
    """As Markdown: a list, and the request."""
    facts = [f"{result.level}, {result.severity}, basis: {result.basis}", f"**Requirement:** {md(result.statement)}"]
    if result.expected:
        facts.append(f"**Expected:** {md(result.expected)}")
    facts.append(f"**Actual:** {md(result.actual)}")
    facts += [f"**Level:** {md(result.profile)}"] if result.profile else []
    for seen in result.evidence:
        facts.append(f"**Seen in** {md(seen.place)}" + (f": {md(seen.note)}" if seen.note else ""))
        if seen.excerpt:
            facts.append(md_code(seen.excerpt))
    if result.breaks:
        facts.append(f"**Breaks:** {md(result.breaks)}")
    facts += [f"**Fix:** {md(result.fix)}"] if result.fix else []
    facts += [f"**Fix:** {md_snippet(snippet)}" for snippet in result.snippets]
    facts += [f"**Reference:** {md(reference)}" for reference in result.references]
    body = "\n".join(f"- {fact}" for fact in facts)
    return body + (f"\n\n{md_block(result.reproduce)}" if result.reproduce else "")
