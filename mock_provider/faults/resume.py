"""Streams that a request with `Last-Event-ID` continues (WHATWG HTML 9.2.4), rightly and wrongly.

An id is a token's index and a hash of the user who got the token: `7-1f0c2a9b`.
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
    """Gives each token an id; a request with an id gets what follows that token, except the next `lost` tokens."""

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
    """404 to the id of another user's stream."""
    given = _ID.fullmatch(facts.last_event_id or "")
    if given is None or given[2] == _mark(facts):
        return None
    content_type, body = facts.error_reply(404, "there is no such stream")
    return Answer(404, content_type, body)


FAULTS = (
    Fault(
        name="resumable",
        sentence="each token's event has an id, and a request with Last-Event-ID continues after it (legal)",
        level="event",
        needs=RESUME,
        events=_continued(0),
        answer=_only_own,
        resumes=True,
    ),
    Fault(
        name="resume-gap",
        sentence="a request with Last-Event-ID continues, but one token is lost",
        level="event",
        trips=("resume.last-event-id-honoured",),
        needs=RESUME,
        events=_continued(1),
        answer=_only_own,
        resumes=True,
    ),
    Fault(
        name="resume-unscoped",
        sentence="a request with Last-Event-ID continues the stream of any user",
        level="security",
        trips=("security.replay-scoped",),
        needs=RESUME,
        events=_continued(0),
        resumes=True,
    ),
)
