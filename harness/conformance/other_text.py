"""Whether an endpoint changes any text: then the change of a text of a special kind has no cause of its own."""

from streamgauge.conformance.cases import WHITE_SPACE, Case
from streamgauge.conformance.finding import Finding, inconclusive

ORDINARY = ("unicode", "markup")
"""The texts of plain words and of markup, which no reader of an event stream takes for anything else."""


def changes_any_text(case: Case) -> Finding | None:
    """Inconclusive where ordinary text does not arrive as it was sent; None where it does, or was not sent.

    `text.*` and `fidelity.whole-equals-streamed` say that it does not. A check of one cause asks here before it names
    that cause for a text that differs.
    """
    for seen in case.of(ORDINARY):
        if seen.sent_text is not None and (difference := seen.difference(ignored=WHITE_SPACE)) is not None:
            return inconclusive(
                f"ordinary text does not arrive as it was sent either: {difference}", "text that arrives unchanged"
            )
    return None
