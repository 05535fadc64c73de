"""Notices during a check that the endpoint has stopped answering, so that not every scenario waits that out.

A server whose worker died accepts each request and never answers. Each scenario would wait for as long as --timeout
allows, and a check would take its whole time. So after a few requests in a row without a byte of an answer, one more is
sent while all others wait. If that gets no answer either, the rest of the scenarios are not tried.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.errors import CannotMeasure
from streamgauge.protocol.transcript import Transcript
from streamgauge.wire import End

IN_A_ROW: Final = 3
"""So many requests without an answer lead to a probe. One or two may be the failures that a scenario provokes."""


class NoLongerAnswers(CannotMeasure):
    """The endpoint has answered before, but answers nothing any more."""


class DeadEnd:
    """Watches the requests of a check, from all of its threads. `probe` asks once more: whether anything comes.

    `reason` says what was observed once the endpoint counts as dead.
    """

    def __init__(self, probe: Callable[[], bool]) -> None:
        self._probe = probe
        self._lock = threading.Lock()
        self._silent = 0
        self.reason: str | None = None

    def before(self) -> None:
        """Before each request: wait while the probe is under way. Raises NoLongerAnswers."""
        with self._lock:
            if self.reason is not None:
                raise NoLongerAnswers(self.reason)

    def after(self, transcript: Transcript) -> None:
        """After each request."""
        with self._lock:
            if is_silent(transcript):
                self._silent += 1
            elif transcript.capture.body and transcript.is_stream:
                self._silent = 0
            if self._silent < IN_A_ROW or self.reason is not None:
                return
            if self._probe():
                self._silent = 0
            else:
                self.reason = (
                    f"the endpoint no longer answers: {self._silent} requests in a row got no byte of an answer, "
                    "nor did one more while no other was sent"
                )


def excuse(observed: Sequence[Observed], reason: str) -> None:
    """Mark the requests that got no answer because the endpoint was dead, so that no check counts them against it.

    Two kinds stay evidence: a request that still reached the upstream, because the endpoint worked on it; and the
    first without an answer, because nothing shows that the endpoint was dead before.
    """
    silent = sorted(
        (seen for seen in observed if is_silent(seen.transcript)), key=lambda seen: seen.transcript.capture.start_ns
    )
    for seen in silent[1:]:
        if seen.upstream is None or not seen.upstream.requests:
            seen.crowded = reason


def is_silent(transcript: Transcript) -> bool:
    """Whether the wait for an answer was in vain: not a byte of a body had come when the time was over."""
    return transcript.capture.end is End.TIMEOUT and not transcript.capture.body
