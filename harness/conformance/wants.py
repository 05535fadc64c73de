"""Which observations a check judges: the values of `wants=` in its declaration."""

from streamgauge.conformance.cases import Observed


def event_stream(seen: Observed) -> bool:
    """A 200 whose body was read as events."""
    return seen.is_event_stream


def stream(seen: Observed) -> bool:
    """A 200 whose body was read as a stream: of events, of lines, or of plain text."""
    return seen.streams


def success(seen: Observed) -> bool:
    """A stream without an error: the rules for successful streams do not apply to a failed one."""
    return seen.streams and not seen.failed_by_error and seen.transcript.unframed_error is None


def answer(seen: Observed) -> bool:
    """At least a response head came."""
    return seen.answered


def anything(_seen: Observed) -> bool:
    """Every request, also one that got no answer at all, or an answer that is not valid HTTP."""
    return True
