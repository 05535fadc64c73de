"""How a stream ended, in one word, and the rules that decide it: an ordered table whose first matching row counts."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from streamgauge.leaks import MOST_DETAIL_CHARS, beginning, brief
from streamgauge.units import SECOND
from streamgauge.wire import End, succeeds

CUT_STALL_NS: Final = 5 * SECOND
"""A stream that the end of the run cuts is stalled after so much silence, and twice the longest gap that it had before.
With less silence its next token may have been on its way."""
CUT_GRACE_NS: Final = 5 * SECOND // 2
"""The same for a stream whose content had ended: from there to the end of the body."""
_MOST_MESSAGE_CHARS: Final = 500
_MESSAGE_KEYS: Final = (
    "message",
    "msg",
    "detail",
    "title",
    "code",
    "type",
)  # detail and title: RFC 9457 problem details


class Outcome(StrEnum):
    """How a stream ended. Only `ok` is success: a 200 with an error inside, or without its end marker, is not."""

    OK = "ok"
    HTTP_ERROR = "http_error"
    ERROR_EVENT = "error_event"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    PROTOCOL_ERROR = "protocol_error"
    CONNECT_ERROR = "connect_error"
    CLIENT_LIMIT = "client_limit"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"


class Ends(StrEnum):
    """How the streams of a run end when all is well: said by the user, or learned from the first streams."""

    AUTO = "auto"  # as the dialect prescribes; a shape of an application may end with the body
    MARKER = "marker"  # with an end marker
    FINISH = "finish"  # with a finish reason and then the body, without the marker that the dialect prescribes
    CLOSE = "close"  # with the body


class Facts(NamedTuple):
    """Everything that the outcome of a stream depends on."""

    end: End | None = End.COMPLETE  # None: nothing has ended the exchange yet
    transport_detail: str | None = None  # what the transport says about this end
    sent: bool = True  # the kernel has taken the whole request
    status: int | None = 200  # None: no response head came
    reason: str = ""
    framing_fault: str | None = None  # what the head says wrongly about the end of a body that could be read
    failure: str | None = None  # why the body could not be decoded, or which limit it exceeded
    is_stream: bool = True  # False when the body is not a stream of events, lines or text
    content_type: str | None = None
    unreadable: str | None = None  # why a payload of the stream could not be read, and the payload
    greeting: str | None = None  # a payload of no dialect that stands before or behind the whole answer, in words
    has_token: bool = False
    has_finish: bool = False
    has_end_marker: bool = False
    error: object = None  # the payload of the first error event, or the error of a JSON body that is not a stream
    has_error: bool = False
    end_marker: str | None = None  # the marker that has to come; None: the stream ends at the end of the body
    marker_unknown: bool = False  # nothing tells whether this stream has an end marker
    excerpt: str = ""  # what came in place of a token: how the body begins, or an event of no known shape
    undispatched: bool = False  # fields without a blank line behind them are left at the end of the body
    silent_ns: int = 0  # from the last content to the end of the exchange
    longest_gap_ns: int = 0  # between two tokens

    @property
    def accepted(self) -> bool:
        """Whether the status is that of an answer: 200, or with a stream any other that says success."""
        return self.status == 200 or (self.status is not None and succeeds(self.status) and self.is_stream)

    @property
    def remark(self) -> str | None:
        """What is odd about a stream that is whole; None where nothing is."""
        status = f"the status is {self.status}, and 200 is that of a stream" if self.status not in (None, 200) else None
        return "; ".join(filter(None, (self.framing_fault, status, self.greeting))) or None

    @property
    def cut(self) -> bool:
        """Whether the end of the run ended the exchange."""
        return self.end in (End.INTERRUPTED, None)

    @property
    def gave_up(self) -> bool:
        """Whether the harness ended the exchange because the peer did not."""
        return self.end in (End.TIMEOUT, End.NO_ROOM) or self.cut

    @property
    def shows_fault(self) -> bool:
        """Whether what came of the body is wrong, whatever would have come behind it."""
        return self.failure is not None or not self.is_stream or self.unreadable is not None

    @property
    def stands_still(self) -> bool:
        """Whether the last content is longer ago than any gap before: a deadline may also end a stream that flows."""
        return self.has_token and self.silent_ns >= self.longest_gap_ns

    @property
    def stalled_when_cut(self) -> bool:
        """Whether the silence at the end of the run is too long for this stream."""
        return self.has_token and self.silent_ns > max(CUT_STALL_NS, 2 * self.longest_gap_ns)


class Rule(NamedTuple):
    """One row of the table: `outcome` where `applies`, and the sentence or phrase that explains it to the user."""

    name: str
    applies: Callable[[Facts], bool]
    outcome: Outcome
    detail: Callable[[Facts], str | None] = lambda facts: facts.transport_detail


RULES: Final = (
    Rule("this machine had no means for the request", lambda facts: facts.end is End.NO_MEANS, Outcome.CLIENT_LIMIT),
    Rule("the client left", lambda facts: facts.end is End.CANCELLED, Outcome.CANCELLED),
    # The stream had said how it went before the harness gave up waiting for the end of the body.
    Rule(
        "an error event, then no end",
        lambda facts: facts.has_error and facts.gave_up,
        Outcome.ERROR_EVENT,
        lambda facts: message_of(facts.error),
    ),
    Rule(
        "the end marker, then no end",
        lambda facts: facts.has_end_marker and facts.gave_up,
        Outcome.OK,
        lambda facts: f"after the end marker: {facts.transport_detail or 'the body did not end'}",
    ),
    Rule(
        "the content ended, then no end",
        lambda facts: facts.has_finish and (facts.end is End.TIMEOUT or (facts.cut and facts.silent_ns > CUT_GRACE_NS)),
        Outcome.TRUNCATED,
        lambda facts: f"the content ended, but {_awaited(facts)}: {facts.transport_detail or facts.end}",
    ),
    Rule(
        "a status that is not of a stream, then no end",
        lambda facts: facts.gave_up and facts.status is not None and not facts.accepted,
        Outcome.HTTP_ERROR,
        lambda facts: f"HTTP {facts.status} {facts.reason}".rstrip() + ", and the body did not end",
    ),
    # The harness ended the exchange, so it says little about the endpoint.
    Rule(
        "the run ended in the middle of a stall",
        lambda facts: facts.cut and not facts.has_finish and facts.stalled_when_cut,
        Outcome.STALLED,
        lambda _: f"no content had come for over {CUT_STALL_NS / SECOND:.0f} s when the run ended",
    ),
    Rule("the run ended first", lambda facts: facts.cut, Outcome.INCOMPLETE),
    # All answers together took more memory than this process has for them. This answer is within its own limits.
    Rule(
        "this process had no memory for the rest",
        lambda facts: facts.end is End.NO_ROOM and not facts.shows_fault,
        Outcome.CLIENT_LIMIT,
    ),
    # The transport failed.
    Rule("the request was never sent", lambda facts: not facts.sent, Outcome.CONNECT_ERROR),
    Rule("silence after a token", lambda facts: facts.end is End.TIMEOUT and facts.stands_still, Outcome.STALLED),
    Rule("no token in time, or no end", lambda facts: facts.end is End.TIMEOUT, Outcome.TIMEOUT),
    Rule(
        "the answer is not valid HTTP, or exceeds a limit",
        lambda facts: facts.end in (End.MALFORMED, End.TOO_LARGE),
        Outcome.PROTOCOL_ERROR,
    ),
    Rule(
        "no response head",
        lambda facts: facts.status is None,
        Outcome.TRUNCATED,
        lambda facts: facts.transport_detail or "the connection was closed before any answer",
    ),
    # The answer is not a stream.
    Rule(
        "a status that is not of a stream",
        lambda facts: not facts.accepted,
        Outcome.HTTP_ERROR,
        lambda facts: f"HTTP {facts.status} {facts.reason}".rstrip(),
    ),
    Rule(
        "the body cannot be decoded, or exceeds a limit",
        lambda facts: facts.failure is not None,
        Outcome.PROTOCOL_ERROR,
        lambda facts: facts.failure,
    ),
    Rule(
        "a JSON error in place of a stream",
        lambda facts: not facts.is_stream and facts.has_error,
        Outcome.ERROR_EVENT,
        lambda facts: f"a JSON error in place of a stream: {message_of(facts.error)}",
    ),
    Rule(
        "the body is not a stream",
        lambda facts: not facts.is_stream,
        Outcome.PROTOCOL_ERROR,
        lambda facts: f"Content-Type {facts.content_type!r} and the body is not an event stream",
    ),
    # The stream says itself how it went. An error counts even when an end marker follows it.
    Rule("an error event", lambda facts: facts.has_error, Outcome.ERROR_EVENT, lambda facts: message_of(facts.error)),
    # Clients raise an exception at such a payload, or lose its text.
    Rule(
        "a payload cannot be read",
        lambda facts: facts.unreadable is not None,
        Outcome.PROTOCOL_ERROR,
        lambda facts: f"a payload cannot be read: {facts.unreadable}",
    ),
    # An end marker alone is not enough: many relays send one to hide that the upstream failed before its first token.
    Rule(
        "complete, but neither a token nor a finish reason",
        lambda facts: facts.end is End.COMPLETE and not facts.has_token and not facts.has_finish,
        Outcome.EMPTY,
        lambda facts: "the stream ended without a single token" + (f": {facts.excerpt}" if facts.excerpt else ""),
    ),
    # With its end marker the content is complete. What the transport does afterwards is a matter for the checks.
    Rule(
        "the end marker, then the end of the body",
        lambda facts: facts.has_end_marker and facts.end is End.COMPLETE,
        Outcome.OK,
        lambda facts: facts.remark,
    ),
    Rule(
        "the end marker, then another end",
        lambda facts: facts.has_end_marker,
        Outcome.OK,
        lambda facts: f"after the end marker: {facts.transport_detail or facts.end}",
    ),
    Rule("the body broke off", lambda facts: facts.end is not End.COMPLETE, Outcome.TRUNCATED),
    Rule(
        "the body ended where an end marker has to come",
        lambda facts: facts.end_marker is not None,
        Outcome.TRUNCATED,
        lambda facts: f"the stream ended without its end marker ({facts.end_marker})" + _last_event(facts),
    ),
    Rule(
        "the body ended, perhaps as it should",
        lambda facts: facts.marker_unknown,
        Outcome.OK,
        lambda facts: facts.remark or "no end marker came, so a stream that is cut cleanly would look the same",
    ),
    Rule("the body ended, as it should", lambda _: True, Outcome.OK, lambda facts: facts.remark),
)


def outcome_of(facts: Facts) -> tuple[Outcome, str | None]:
    """The outcome, and the detail that explains it; None where there is nothing to explain."""
    rule = next(rule for rule in RULES if rule.applies(facts))
    detail = rule.detail(facts)
    return rule.outcome, None if detail is None else brief(detail, MOST_DETAIL_CHARS)


def _awaited(facts: Facts) -> str:
    if facts.end_marker is None:
        return "the end of the body did not come"
    return f"neither the end marker ({facts.end_marker}) nor the end of the body came"


def _last_event(facts: Facts) -> str:
    return ": its last event has no blank line behind it, so clients drop it" if facts.undispatched else ""


def message_of(error: object) -> str:
    """The most telling text of an error's payload, at most 500 characters."""
    if isinstance(error, dict):
        for key in _MESSAGE_KEYS:
            if isinstance(error.get(key), str):
                return beginning(str(error[key]), _MOST_MESSAGE_CHARS)
    return beginning(str(error), _MOST_MESSAGE_CHARS)
