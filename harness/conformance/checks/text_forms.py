"""text.upstream-forms: whether the text arrives, in whatever form the upstream sends its event stream."""

from collections.abc import Iterator
from typing import NamedTuple

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import WHITE_SPACE, Case, Observed, printable
from streamgauge.conformance.finding import Finding, inconclusive, lesser, met, unmet
from streamgauge.conformance.payloads import is_sentinel
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import whole_case
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.result import Evidence
from streamgauge.conformance.scenarios.forms import FORMS, USUAL
from streamgauge.conformance.sources import INTERPRETING, PARSING, rfc
from streamgauge.protocol.dialects.payload import NotJson, decode


class FormRow(NamedTuple):
    """How one form of the upstream's stream came out."""

    name: str
    seen: Observed
    loss: str | None

    @property
    def late(self) -> bool:
        """Whether a token did not arrive before the next one was released."""
        return any(step.timed_out for step in self.seen.steps)

    @property
    def rare(self) -> bool:
        """Whether hardly any upstream sends this form."""
        return FORMS[self.name].rare

    @property
    def outcome(self) -> str:
        """The result in words."""
        if self.loss is not None:
            return self.loss
        return f"text whole{', but held back' if self.late else ', in step' if self.seen.steps else ''}"


def table(rows: list[FormRow]) -> Iterator[Evidence]:
    """A line for each outcome, with the forms that it is the outcome of."""
    by_outcome: dict[str, list[FormRow]] = {}
    for row in rows:
        by_outcome.setdefault(row.outcome, []).append(row)
    for outcome, alike in by_outcome.items():
        forms = f" (also: {', '.join(row.name for row in alike[1:])})" if alike[1:] else ""
        yield alike[0].seen.note(f"{outcome}{forms}")


def rows_of(case: Case) -> list[FormRow]:
    """A row for each form that the mock sent; the upstream's dialect cannot have the others."""
    return [FormRow(seen.variant or "", seen, _loss(seen)) for seen in case.of(("forms",)) if seen.upstream]


def _loss(seen: Observed) -> str | None:
    """What is wrong with the text; None where it is whole. Lost white space is for text.whitespace-roundtrip."""
    if not seen.streams:
        return seen.how_it_went()
    if seen.expected_text is None:
        return None
    if (strange := _unreadable(seen)) is not None:
        return f"a payload is no JSON: {printable(strange, 40)}"
    difference = seen.difference(ignored=WHITE_SPACE)
    if difference is not None and "\ufffd" in seen.received_text:  # a torn character is for text.utf8-valid
        return None
    return None if difference is None else f"the text differs {difference}"


def _unreadable(seen: Observed) -> str | None:
    """The first payload of a stream of JSON that is none, such as a comment that was put on a data line."""
    transcript = seen.transcript
    if transcript.dialect is None or not transcript.dialect.json_payload:
        return None
    payloads = (event.data for event in transcript.events if event.data and not is_sentinel(event.data))
    return next((data for data in payloads if isinstance(decode(data), NotJson)), None)


def unusual(rows: list[FormRow]) -> Iterator[FormRow]:
    """The rows of all forms but the usual one."""
    return (row for row in rows if row.name != USUAL)


def judged(rows: list[FormRow], bad: list[FormRow], said: str, good: str) -> Finding:
    """The finding about the forms in `bad`. Those that are rare weigh less, where no other is among them."""
    evidence = table([*bad, *(row for row in rows if row not in bad)])
    if not bad:
        return met(f"{good} in {len(rows)} of {len(rows)} forms", *evidence)
    names = ", ".join(row.name for row in bad)
    judge = lesser if all(row.rare for row in bad) else unmet
    return judge(f"{said} in {len(bad)} of {len(rows)} forms: {names}", *evidence)


@whole_case(
    Requirement(
        "text.upstream-forms",
        MUST,
        Severity.HIGH,
        Basis.SPEC,
        "The text arrives whole in every form in which the standard lets an upstream send its event stream: other line "
        "ends, comments and fields, no space after the colon, several events in a write, events cut anywhere.",
        references=(
            PARSING,
            INTERPRETING,
            rfc(9112, "7.1.1", "Chunk Extensions"),
        ),
        breaks="The day the upstream, or a proxy before it, changes its form, answers are empty or lack tokens.",
        fix="Read the upstream with a parser of event streams that knows the whole standard, not with line prefixes.",
        lesser="CR alone, a byte order mark, several data lines and comments within events, which are rare, are read.",
    ),
    scenarios=("forms",),
    expected="the upstream's text, whatever the form of its stream",
    broken_by=BrokenBy(proxy="--spaced-data"),
)
def upstream_forms(case: Case) -> Finding:
    rows = rows_of(case)
    usual = next((row for row in rows if row.name == USUAL), None)
    if usual is None:
        return inconclusive("the mock saw no request with the directive", MOCK)
    if usual.loss is not None:
        return inconclusive(f"the usual form comes out wrong, too: {usual.loss}", "a stream that arrives whole")
    bad = [row for row in unusual(rows) if row.loss is not None]
    return judged(rows, bad, "the text is lost", "the text arrives whole")
