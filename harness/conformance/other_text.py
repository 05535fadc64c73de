"""Whether an endpoint changes any text: then the change of a text of a special kind has no cause of its own."""

from streamgauge.conformance.cases import WHITE_SPACE, Case
from streamgauge.conformance.finding import Finding, inconclusive

ORDINARY = "unicode"
"""The text of plain words, which no reader takes for anything else."""


def changes_any_text(case: Case) -> Finding | None:
    """Inconclusive where plain words do not arrive as they were sent; None where they do, or were not sent.

    `text.*` and `fidelity.whole-equals-streamed` say that they do not. A check of one cause asks here before it names
    that cause for a text that differs.
    """
    for seen in case.of((ORDINARY,)):
        if seen.sent_text is not None and (difference := seen.difference(ignored=WHITE_SPACE)) is not None:
            return inconclusive(
                f"plain words do not arrive as they were sent either: {difference}", "words that arrive unchanged"
            )
    return None
