"""flush.upstream-forms: whether tokens arrive at once, in whatever form the upstream sends its event stream."""

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case
from streamgauge.conformance.checks.text_forms import judged, rows_of, unusual
from streamgauge.conformance.finding import Finding, inconclusive
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import whole_case
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.forms import USUAL
from streamgauge.conformance.sources import PARSING, guides


@whole_case(
    Requirement(
        "flush.upstream-forms",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "Each token reaches the client before the upstream has to produce the next, in every form in which the "
        "standard lets an upstream send its event stream.",
        references=(
            PARSING,
            guides("every event is flushed"),
        ),
        breaks="A gateway that looks for two LFs holds a CRLF stream until its end: users see the answer all at once.",
        fix=(
            "End an event at an empty line, whether LF, CRLF or CR ends it, and pass it on at once; turn the buffering "
            "of proxies off, because a model server asks no proxy for that."
        ),
        lesser="CR alone, a byte order mark, several data lines and comments within events, which are rare, pass.",
    ),
    scenarios=("forms",),
    expected="each token arrives before the next one is released",
    broken_by=BrokenBy(proxy="--whole-events"),
)
def upstream_forms(case: Case) -> Finding:
    rows = rows_of(case)
    usual = next((row for row in rows if row.name == USUAL), None)
    if usual is None or not usual.seen.steps:
        return inconclusive("no lockstep stream in the usual form could be played", MOCK)
    if usual.late:
        return inconclusive("tokens are held back in the usual form, too (flush.lockstep)", "a path that passes them")
    # A token that is lost never arrives: that is for text.upstream-forms.
    whole = [row for row in rows if row.loss is None and row.seen.steps]
    bad = [row for row in unusual(whole) if row.late]
    return judged(whole, bad, "tokens are held back", "tokens arrive one by one")
