"""Streams that can be taken up again by `Last-Event-ID` (WHATWG HTML 9.2.4), rightly and wrongly.

An id is a token's index and a mark of the user that it was given to: `7-1f0c2a9b`.
"""

import hashlib
import re
from collections.abc import Iterator

from streamgauge.mock_provider.faults.base import Answer, Arg, Events, Facts, Fault
from streamgauge.mock_provider.faults.edit import add_line
from streamgauge.mock_provider.stream import BEFORE_FIRST, Event

RESUME = frozenset({"stream", "sse"})
_ID = re.compile(r"(\d{1,7})-([0-9a-f]{8})", re.ASCII)


def _mark(facts: Facts) -> str:
    return hashlib.sha256(facts.user.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _continued(lost: int) -> Events:
    """Ids for the tokens; to a request with an id, what comes after its token and `lost` more."""

    def events(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
        given = _ID.fullmatch(facts.last_event_id or "")
        after = BEFORE_FIRST - 1 if given is None else int(given[1]) + lost
        mark = _mark(facts)
        for event in source:
            if event.step <= after:  # a token's step is its index
                continue
            if event.token is not None:
                event = event._replace(data=add_line(b"id: %d-%b" % (event.token, mark.encode()))(event.data))
            yield event

    return events


def _only_own(_arg: Arg, facts: Facts) -> Answer | None:
    """404 to an id that was given to somebody else."""
    given = _ID.fullmatch(facts.last_event_id or "")
    if given is None or given[2] == _mark(facts):
        return None
    content_type, body = facts.error_reply(404, "there is no such stream")
    return Answer(404, content_type, body)


FAULTS = (
    Fault(
        name="resumable",
        sentence="each token's event has an id, after which a request with Last-Event-ID continues (legal)",
        level="event",
        needs=RESUME,
        events=_continued(0),
        answer=_only_own,
        resumes=True,
    ),
    Fault(
        name="resume-gap",
        sentence="a request with Last-Event-ID continues one token too late",
        level="event",
        trips=("resume.last-event-id-honoured",),
        needs=RESUME,
        events=_continued(1),
        answer=_only_own,
        resumes=True,
    ),
    Fault(
        name="resume-unscoped",
        sentence="a request with Last-Event-ID continues a stream of any user",
        level="security",
        trips=("security.replay-scoped",),
        needs=RESUME,
        events=_continued(0),
        resumes=True,
    ),
)
