"""Which observations a check judges: the values of `wants=` in its declaration."""

from streamgauge.conformance.cases import Observed
from streamgauge.wire import End


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


def concluded(seen: Observed) -> bool:
    """Whether an answer came, or the server closed a new connection: then the request crashed its handler.

    A reused connection may close by chance, because it was idle.
    """
    capture = seen.transcript.capture
    return seen.answered or (capture.end in (End.CLOSED, End.RESET) and not capture.reused)
