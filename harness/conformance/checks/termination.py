"""termination.*: how a stream ends."""

from typing import Final

from streamgauge.conformance.applies import custom
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import HAPPY, PLAIN, Case, Observed
from streamgauge.conformance.checks.errors import HANG_AT_A_FAILURE, joined
from streamgauge.conformance.finding import Finding, lesser, met, not_applicable, unmet
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import ANTHROPIC, OLLAMA, OPENAI_CHAT, OPENAI_RESPONSES, guides, issue, rfc
from streamgauge.conformance.wants import stream
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.outcome import Ends, Outcome
from streamgauge.units import SECOND, show_ms
from streamgauge.wire import End

SOON_NS: Final = SECOND
LATE_NS: Final = 5 * SECOND


def opened(seen: Observed) -> bool:
    """Whether the status is 200 and the body is a stream or stayed empty."""
    return seen.streams or (seen.status == 200 and not seen.transcript.body)


@per_stream(
    Requirement(
        "termination.explicit-end",
        MUST,
        Severity.CRITICAL,
        Basis.DIALECT,
        "A stream that succeeds ends with the marker of its dialect, such as [DONE], message_stop, "
        "response.completed or done: true.",
        references=(
            OPENAI_CHAT,
            OPENAI_RESPONSES,
            ANTHROPIC,
            OLLAMA,
            guides("a marker for the end"),
        ),
        breaks=(
            "openai-python and openai-node end without an error when the marker is missing (tried), so a cut looks "
            "like success."
        ),
        fix="Write the end marker after the last token, on the path of success only.",
        causes={
            "error-instead": (
                "Mend the error first, which came instead of the marker: the upstream's or the endpoint's log names it."
            ),
            "never-ends": (
                "Return from the handler when the upstream's answer ends; here something keeps the response open, and"
                " it never ends."
            ),
            "only-finish": (
                "Write the end marker after the chunk with the finish reason; where streams end with that and the body"
                " on purpose, --no-end-marker says so."
            ),
            "empty": "Find out why the upstream gave no token: an empty stream must end with an error event.",
        },
    ),
    scenarios=HAPPY,
    wants=opened,
    expected="the dialect's end marker",
)
def explicit_end(seen: Observed, case: Case) -> Finding:
    transcript = seen.transcript
    marker = transcript.dialect.terminal if transcript.dialect else None
    if transcript.first(Kind.DONE):
        return met("the end marker came")
    end = seen.at(len(transcript.body))
    if error := transcript.first(Kind.ERROR):
        place = seen.at(transcript.events[error.event].offset)
        return unmet(f"an error came instead of the end marker: {transcript.detail}", place, cause="error-instead")
    if transcript.outcome in (Outcome.STALLED, Outcome.TIMEOUT):
        return unmet(f"the stream never ends: {transcript.detail}", end, cause="never-ends")
    if transcript.unframed_error is not None:
        return unmet(f"an error outside of any event came instead of the end marker: {transcript.detail}", end)
    if not transcript.tokens:
        return unmet(f"the stream is empty: {transcript.detail or 'it just ends'}", end, cause="empty")
    if case.ends in (Ends.CLOSE, Ends.FINISH) and transcript.capture.end is End.COMPLETE:
        return not_applicable("by the target's own word its streams end without a marker")
    if marker is None:
        return not_applicable("the dialect has no end marker (see custom.explicit-done-event)")
    if case.guessed and custom(case) is None and not any(map(_is_marked, case.observed)):
        return not_applicable(f"{marker} is only a guess at its end marker (see custom.explicit-done-event)")
    finished = transcript.first(Kind.FINISH) is not None and transcript.capture.end is End.COMPLETE
    cause = "only-finish" if finished else None
    return unmet(f"no {marker}: {transcript.detail or 'the stream just ends'}", end, cause=cause)


def _is_marked(seen: Observed) -> bool:
    """Whether a stream of a guessed shape really contains the shape's end marker."""
    transcript = seen.transcript
    return (
        bool(transcript.first(Kind.DONE))
        or any("done" in event.type for event in transcript.events)
        or (transcript.dialect is not None and transcript.dialect.name == "token-done" and b'"done"' in transcript.body)
    )


@per_stream(
    Requirement(
        "termination.single-terminal",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "There is one end marker, only comments follow it, and a stream contains either the marker of success or an "
        "error, not both.",
        references=(
            OPENAI_CHAT,
            OPENAI_RESPONSES,
            ANTHROPIC,
        ),
        breaks="Clients close at the marker and lose the rest; relays take a second marker for the next answer.",
        fix="In a gateway, append no marker if the upstream has sent one; send usage before the marker.",
        causes={
            "error-and-success": "Choose one end: after an error event comes no marker of success.",
            "not-last": "Write the marker as the last event: usage and the like come before it.",
        },
    ),
    scenarios=PLAIN,
    wants=stream,
    expected="one end marker, and nothing after it",
)
def single_terminal(seen: Observed, case: Case) -> Finding:
    transcript = seen.transcript
    done = [found.event for found in transcript.deltas if found.delta.kind is Kind.DONE]
    if not done:
        return not_applicable("no end marker came (see termination.explicit-end)")
    if len(done) > 1:
        return unmet(f"{len(done)} end markers", seen.at(transcript.events[done[1]].offset))
    if seen.failed_by_error and (case.dialect is None or case.dialect.marks_success):
        return unmet(
            "both an error and the marker of success",
            seen.at(transcript.events[done[0]].offset),
            cause="error-and-success",
        )
    later = [
        found for found in transcript.deltas if found.event > done[0] and (found.delta.is_token or found.delta.value)
    ]
    if later:
        return unmet(
            f"{later[0].delta.kind} follows the end marker",
            seen.at(transcript.events[later[0].event].offset),
            cause="not-last",
        )
    return met("one end marker")


@per_stream(
    Requirement(
        "termination.closes-after-terminal",
        SHOULD,
        Severity.MEDIUM,
        Basis.OPS,
        "The body ends within 1 s of the end marker.",
        references=(guides("the handler returns after the last event"),),
        breaks="Clients that read to the end of the body hang; connections and concurrency slots stay held.",
        fix="Return from the handler after the marker: stop the heartbeat first, and wait for nothing.",
    ),
    scenarios=PLAIN,
    wants=stream,
    expected="the body ends within 1 s of the marker",
    broken_by=BrokenBy(fault="late-close:2s"),
)
def closes_after_terminal(seen: Observed, _case: Case) -> Finding | None:
    transcript = seen.transcript
    done = transcript.first(Kind.DONE)
    capture = transcript.capture
    if done is None:
        return not_applicable("no end marker came (see termination.explicit-end)")
    if capture.end_ns is None or capture.end is End.CANCELLED:
        return None
    waited = max(0, capture.end_ns - transcript.time_of(transcript.events[done.event]))
    evidence = seen.note(f"{show_ms(waited)} between the marker and the end of the body")
    if capture.end is End.TIMEOUT or waited > LATE_NS:
        return unmet(f"the body was still open {show_ms(waited)} after the marker", evidence)
    if waited > SOON_NS:
        return unmet(f"the body ended {show_ms(waited)} after the marker", evidence)
    return met(f"the body ended {show_ms(waited)} after the marker")


def _has_upstream(case: Case) -> str | None:
    return "the endpoint is the mock itself: it has no upstream that could fail" if case.endpoint_is_mock else None


@per_stream(
    Requirement(
        "termination.truncation-distinguishable",
        MUST,
        Severity.CRITICAL,
        Basis.OPS,
        "When the upstream dies in mid-stream, the client can notice it: an error event or an unclean end of the"
        " transport comes, never a clean end.",
        references=(
            rfc(9112, "8", "Handling Incomplete Messages"),
            issue("vllm-project/vllm", 2694),
            guides("no silent truncation"),
        ),
        breaks="Every SDK that we read takes a clean end for success.",
        fix=(
            "Turn an upstream that ends without its own end marker into an error event; never write a marker "
            "that the upstream did not send."
        ),
        lesser="An error event reports it, and not only the end of the connection.",
        causes={
            "hang": HANG_AT_A_FAILURE,
        },
    ),
    scenarios=("mid-cut", "mid-end"),
    applies=_has_upstream,
    wants=stream,
    expected="an error event, or at least an unclean end of the transport; never the marker of success",
    broken_by=BrokenBy(proxy=""),
)
def truncation_distinguishable(seen: Observed, case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    transcript = seen.transcript
    died = "the upstream died" if seen.scenario == "mid-cut" else "the upstream's answer ended early"
    if transcript.first(Kind.DONE) and (case.dialect is None or case.dialect.marks_success):
        return unmet(f"{died}, but the client gets the marker of success", seen.at(len(transcript.body)))
    if seen.failed_by_error:
        return met("an error event reports it")
    if seen.hang is not None:
        return unmet(f"{died}, and the stream hangs: {seen.hang}", seen.at(len(transcript.body)), cause="hang")
    if transcript.capture.end in (End.RESET, End.CLOSED):
        how = transcript.capture.detail or seen.how_it_went()
        return lesser("only the transport shows it, which most SDKs ignore", seen.note(how))
    if seen.scenario == "mid-end" and any(one.transcript.first(Kind.DONE) for one in case.of(HAPPY)):
        return met("the end marker is missing, as in the upstream's stream")
    asked = seen.upstream.path if seen.upstream else None
    if seen.scenario == "mid-end" and asked is not None:
        upstream = dialects.at_path(asked)
        if upstream is None or upstream.terminal is None:
            return not_applicable("the upstream does not speak a dialect whose streams have an end marker")
    return unmet(f"{died}, but the stream ends as if it were complete", seen.at(len(transcript.body)))
