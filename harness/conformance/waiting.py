"""Where an answer was silent, and whether its endpoint was patient or asked its upstream again."""

from itertools import pairwise
from typing import Final, NamedTuple

from streamgauge.conformance.cases import Observed
from streamgauge.protocol.transcript import Transcript
from streamgauge.units import show_ms
from streamgauge.wire import End

_ALIKE: Final = 1.25  # gaps that differ by at most this factor are one time limit
_REQUEST: Final = "the request"
_LATER: Final = "a later byte"


class Silence(NamedTuple):
    """A time without a byte, and the moments before and after it in words."""

    ns: int
    after: str
    before: str

    def __str__(self) -> str:
        if self.after == self.before:
            return f"{show_ms(self.ns)} without a byte inside the body"
        return f"{show_ms(self.ns)} without a byte from {self.after} to {self.before}"


def longest_silence(transcript: Transcript) -> Silence:
    """The longest silence of an answer, from the request on: a client waits from there, and so does each hop."""
    capture = transcript.capture
    body_reads = {read for read, _ in capture.body}
    first = min(body_reads, default=None)
    moments = [(capture.sent_ns or capture.start_ns, _REQUEST)]
    for index, read in enumerate(capture.reads):
        name = "the head" if index == capture.head_read and index != first else _LATER
        if index == first:
            name = "the first byte of the body"
        moments.append((max(read.t_ns, moments[-1][0]), name))
    if capture.end_ns is not None and capture.end is not End.COMPLETE:
        # The silence before one side gave up.
        moments.append((max(capture.end_ns, moments[-1][0]), "the end"))
    gaps = [Silence(at - since, after, before) for (since, after), (at, before) in pairwise(moments)]
    return max(gaps, key=lambda gap: gap.ns, default=Silence(0, _REQUEST, "the end"))


def tries_in_words(seen: Observed) -> str:
    """How often the endpoint asked its upstream, and how far apart; empty where it asked once.

    An endpoint that still waits after 200 s may have been patient once, or impatient three times.
    """
    if seen.upstream is None or seen.upstream.requests < 2:
        return ""
    gaps = try_gaps_ns(seen)
    tries = f"{seen.upstream.requests} requests to the upstream"
    if not gaps:
        return tries
    if max(gaps) <= _ALIKE * min(gaps):
        return f"{tries}, {show_ms(max(gaps))} apart"
    return f"{tries}, {', '.join(map(show_ms, gaps[:3]))} apart"


def try_gaps_ns(seen: Observed) -> list[int]:
    """The times between the requests that the upstream got."""
    arrivals = seen.upstream.arrivals_ns if seen.upstream else ()
    return [after - before for before, after in pairwise(arrivals)]
