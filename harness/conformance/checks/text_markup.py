"""text.markup-verbatim: whether the characters of markup and code reach the user as the model wrote them."""

import html

from streamgauge.conformance.cases import WHITE_SPACE, Case, Observed, first_difference
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, info, met, unmet
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.sources import rfc
from streamgauge.conformance.wants import stream


@per_stream(
    Requirement(
        "text.markup-verbatim",
        MUST,
        Severity.HIGH,
        Basis.OPS,
        "Characters of markup and code (<, >, &, quotes, backslashes) arrive as the model wrote them, not as entities.",
        references=(rfc(8259, "7", "Strings"),),
        breaks="Code in answers cannot be run or compiled, and pages that escape what they show print &lt; and &amp;.",
        fix="Pass the text on unchanged: JSON escapes what JSON needs.",
        causes={
            "entities": (
                "Pass the text on without entities: the page that shows it escapes it, by textContent or its framework."
            ),
        },
    ),
    scenarios=("markup",),
    wants=stream,
    expected="the characters of markup and code as the upstream sent them",
)
def markup_verbatim(seen: Observed, case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    sent = seen.expected_text or ""
    difference = seen.difference(ignored=WHITE_SPACE)  # lost white space is for text.whitespace-roundtrip
    if difference is None:
        return met(f"{len(sent)} characters of markup and code arrive unchanged")
    if sent.startswith(seen.received_text):
        return inconclusive(f"only {len(seen.received_text)} of {len(sent)} characters came", "a longer answer")
    where = seen.at(seen.event_at(difference.at))
    if first_difference(_without_entities(seen.received_text), _without_entities(sent), WHITE_SPACE) is None:
        actual = f"markup arrives as entities: {difference}"
        if case.dialect is None or case.dialect.vendor is None:
            return info(actual, where)  # an application may send text for HTML
        return unmet(actual, where, cause="entities")
    return unmet(f"the text changed: {difference}", where)


def _without_entities(text: str) -> str:
    """Twice, because the model wrote an entity, too, which the endpoint may have escaped once more."""
    return html.unescape(html.unescape(text))
