"""Which observations a check judges: the values of `wants=` in its declaration."""

from streamgauge.conformance.cases import Observed
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.outcome import Outcome
from streamgauge.wire import End


def event_stream(seen: Observed) -> bool:
    """A 200 whose body was read as events."""
    return seen.is_event_stream


def stream(seen: Observed) -> bool:
    """A 200 whose body was read as a stream: of events, of lines, or of plain text."""
    return seen.streams


def success(seen: Observed) -> bool:
    """A stream that did not fail: the rules for successful streams do not apply to one with an error, a cut or a stall.

    What is wrong with those is said once, by termination.explicit-end and http.chunked-framing.
    """
    return seen.streams and not seen.failed_by_error and seen.transcript.unframed_error is None and not _broke_off(seen)


def _broke_off(seen: Observed) -> bool:
    """Whether the stream was cut, or fell silent, before it had said that it is whole."""
    transcript = seen.transcript
    if transcript.first(Kind.DONE) is not None or transcript.first(Kind.FINISH) is not None:
        return False
    return transcript.outcome in (Outcome.STALLED, Outcome.TIMEOUT) or transcript.capture.end in (End.CLOSED, End.RESET)


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
