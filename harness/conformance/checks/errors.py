"""errors.*: how failures reach the client."""

import re
from typing import Any, Final

from streamgauge.conformance.applies import OPENAI_CHUNKS
from streamgauge.conformance.bare_error import bare_error
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import HAPPY, Case, Observed, printable
from streamgauge.conformance.finding import Finding, inconclusive, lesser, met, not_applicable, unmet, worst
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.upstream_errors import PATIENCE_S, REFUSED
from streamgauge.conformance.sources import (
    ANTHROPIC,
    ASPNET_SSE,
    EVENTSOURCE,
    INTERPRETING,
    OPENAI_RESPONSES,
    guides,
    issue,
    rfc,
)
from streamgauge.conformance.wants import anything, concluded, stream
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.payload import NotJson, decode
from streamgauge.wire import End

REFUSALS: Final = ("bad-json", "text-plain", "invalid", "no-auth", "pre-error")
FAULTED: Final = ("mid-error", "mid-cut")
HANG_AT_A_FAILURE: Final = (
    "End the response where reading the upstream fails: a queue whose writer dies must be closed in its finally, or "
    "its reader will hang."
)
_LOOKS_LIKE_ERROR: Final = re.compile(
    r"\s*\[?(?:error|exception|fatal|internal server error|an error (?:has )?occurred)\b\s*[:\]!.-]", re.IGNORECASE
)


def joined(seen: Observed) -> Finding | None:
    """An inconclusive finding if the mock's ledger has no request of this scenario; None if it has one."""
    if seen.upstream:
        return None
    return inconclusive(
        f"the mock got no request of {seen.label}: the endpoint has another upstream, or the prompt got lost",
        MOCK,
    )


@whole_case(
    Requirement(
        "errors.machine-readable",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "An error is JSON with a code or type and a message for people, both as the body of an error status "
        "and as the data of an error event.",
        references=(
            rfc(9457, "3", "The Problem Details JSON Object"),
            EVENTSOURCE,
            guides("a message that the client can act on"),
        ),
        breaks=(
            "Clients cannot decide what to retry. Browser code expects data in an error event: without data, the event "
            "looks like a connection error."
        ),
        fix=(
            'Answer every failure through one serializer, before the stream and in it: {"error": {"code": ..., '
            '"message": ...}}.'
        ),
    ),
    scenarios=(*REFUSALS, *FAULTED, *HAPPY),
    expected="JSON with a type or code and a message",
    broken_by=BrokenBy(shape="event-text"),
)
def machine_readable(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.observed:
        if seen.scenario in REFUSALS and seen.status is not None and seen.status >= 400:
            found.append(_judge_refusal(seen))
        for index, delta in seen.transcript.deltas:
            if delta.kind is Kind.ERROR:
                event = seen.transcript.events[index]
                value = decode(event.data)
                # Some vendors nest the error deeper in their payload: the dialect's reader knows where.
                told = delta.value if isinstance(value, dict) and isinstance(delta.value, dict) else value
                found.append(_judge_payload(seen, told, event.offset))
    return worst(found, inconclusive("no error came", MOCK))


def _judge_refusal(seen: Observed) -> Finding:
    media = (seen.head.media_type if seen.head else None) or ""
    body = seen.transcript.body
    if "html" in media or body.lstrip()[:1] == b"<":
        return unmet(f"{seen.label}: {seen.status} with an HTML page", seen.at(0))
    return _judge_payload(seen, decode(body), 0)


def _judge_payload(seen: Observed, value: Any, offset: int) -> Finding:
    if isinstance(value, NotJson):
        if not seen.transcript.body:
            return unmet(f"{seen.label}: {seen.status} without a body", seen.note(seen.how_it_went()))
        return unmet(f"{seen.label}: the error is not JSON", seen.at(offset))
    error = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(error, str) and isinstance(value, dict) and "message" in value:
        error = value  # the class of the error, with its text beside it
    if isinstance(error, dict) and any(error.get(key) for key in ("message", "detail", "title")):
        return met("errors are JSON objects with a message")
    return unmet(f"{seen.label}: the error has no message: {printable(str(value), 80)}", seen.at(offset))


@per_stream(
    Requirement(
        "errors.no-success-after-error",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "After an error event no marker of success follows: neither [DONE] nor done: true, message_stop or "
        "response.completed.",
        references=(
            ANTHROPIC,
            OPENAI_RESPONSES,
            guides("no silent truncation"),
        ),
        breaks=(
            '"Complete" overwrites the error state of clients; OpenAI\'s SDKs raise at the error and never reach the '
            "marker."
        ),
        fix="Write the marker of success on the path of success only, never in a finally block.",
        lesser="In OpenAI's chunks, whose clients stop at the error, no [DONE] follows it.",
    ),
    scenarios=(*FAULTED, *HAPPY),
    wants=stream,
    expected="no end marker after an error",
)
def no_success_after_error(seen: Observed, case: Case) -> Finding | None:
    transcript = seen.transcript
    error = transcript.first(Kind.ERROR)
    if error is None:
        return _untold(seen, case)
    after = [found for found in transcript.deltas if found.event > error.event and found.delta.kind is Kind.DONE]
    if not after:
        return met("no marker of success follows the error")
    if case.dialect is not None and not case.dialect.marks_success:
        return met("the end marker of this dialect ends failed streams, too")
    judged = lesser if case.dialect_name in OPENAI_CHUNKS else unmet
    return judged("the marker of success follows the error", seen.at(transcript.events[after[0].event].offset))


@per_stream(
    Requirement(
        "errors.distinguishable-from-content",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "An error never arrives as text of the answer: its event name, its error key or its shape distinguishes it "
        "from a token.",
        references=(
            guides("errors are events of their own"),
            INTERPRETING,
        ),
        breaks="Users and agents take an exception's message for text of the model.",
        fix="Send errors as event: error with a JSON object, never through the function that writes tokens.",
    ),
    scenarios=(*FAULTED, *HAPPY),
    wants=stream,
    expected="errors by event name, error key or shape, never as a token",
)
def distinguishable_from_content(seen: Observed, case: Case) -> Finding | None:
    transcript = seen.transcript
    if found := transcript.first(Kind.ERROR):
        event = transcript.events[found.event]
        if event.type == "message" and isinstance(decode(event.data), NotJson):
            return unmet(f"the error is a text like a token: {printable(event.data, 60)}", seen.at(event.offset))
        return met("the error is an event of its own")
    tokens = transcript.tokens
    # Judge only a last token that begins like an error message: a model may write about errors.
    if tokens and _LOOKS_LIKE_ERROR.match(tokens[-1][1]):
        return unmet(
            f"the last token is an error message: {printable(tokens[-1][1], 60)}", seen.at(tokens[-1][0].offset)
        )
    return _untold(seen, case)


def _untold(seen: Observed, case: Case) -> Finding | None:
    """The finding for a stream without an error event: it proves nothing, unless its upstream is known to fail."""
    if seen.scenario in FAULTED and seen.upstream:
        return not_applicable("the upstream failed, but no error event came (see errors.mid-stream-event)")
    if any(one.upstream for one in case.of(FAULTED)):
        return None
    return inconclusive("no error event came", MOCK)


@per_stream(
    Requirement(
        "errors.mid-stream-event",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "A failure after the first token is reported in an error event, which is the last event of the stream.",
        references=(
            ANTHROPIC,
            ASPNET_SSE,
            guides("an error event after the first token"),
            issue("vllm-project/vllm", 2694),
        ),
        breaks="Users take half an answer for a whole one: no SDK that we read notices a missing end marker.",
        fix="Catch what the upstream's stream raises, write one error event, and end the body in the ordinary way.",
        lesser="A lost connection alone does not tell the client of the failure, and no event follows the error event.",
        causes={
            "not-last": "Stop after the error event: it is the last one.",
            "success-marker": (
                "Write the marker of success on the path of success only, and the error event on the other."
            ),
            "hang": HANG_AT_A_FAILURE,
        },
    ),
    scenarios=("mid-error",),
    wants=stream,
    expected="an error event as the last event",
)
def mid_stream_event(seen: Observed, _case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    transcript = seen.transcript
    errors = [found.event for found in transcript.deltas if found.delta.kind is Kind.ERROR]
    end = seen.at(len(transcript.body))
    if errors:
        # One failure may take two events: OpenAI's Responses API sends error and response.failed.
        if {*range(errors[0], len(transcript.events))} <= {*errors}:
            return met("an error event ends the stream")
        return lesser("events follow the error", seen.at(transcript.events[errors[0]].offset), cause="not-last")
    if transcript.first(Kind.DONE):
        return unmet("the upstream failed, but the client gets the marker of success", end, cause="success-marker")
    if transcript.capture.end in (End.RESET, End.CLOSED):
        return lesser("the upstream failed, but the client only loses its connection", end)
    if seen.hang is not None:
        return unmet(f"the upstream failed, and the stream hangs: {seen.hang}", end, cause="hang")
    return unmet("the upstream failed, but the stream ends as if it were complete", end)


@per_stream(
    Requirement(
        "errors.pre-stream-status",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "When the upstream fails before the first token, the client gets an error status.",
        references=(
            rfc(9110, "15.6", "Server Error 5xx"),
            issue("vllm-project/vllm", 40978),
            issue("ggml-org/llama.cpp", 14566),
            guides("the status is fixed by the first byte"),
        ),
        breaks=(
            'SDKs retry and raise typed errors by status only; LangChain ends in "No generation chunks were returned".'
        ),
        fix="Wait for the upstream's first item before you send the head; map its failure to 429, 502, 503 or 504.",
        lesser=(
            "A failure before the first token has an error status, not an error event after 200, and not only the end "
            "of the connection."
        ),
        causes={
            "no-answer": "Catch what the call of the upstream raises, and give an answer with 502, 503 or 504.",
            "hang": (
                "Wait for the upstream's first item before you send the head, and end the response where reading the "
                "upstream fails, or the client will hang."
            ),
        },
    ),
    scenarios=("pre-error", "upstream-errors"),
    wants=anything,
    expected="an error status in place of a stream",
)
def pre_stream_status(seen: Observed, case: Case) -> Finding | None:
    if seen.variant != REFUSED and (doubt := joined(seen)):
        return doubt
    if seen.variant == REFUSED and not any(one.upstream for one in case.of(("upstream-errors",))):
        return inconclusive("the mock saw none of the requests before it refused one", MOCK)
    transcript, status = seen.transcript, seen.status or 0
    what = seen.variant or seen.scenario
    if status >= 400:
        return met(f"{what}: status {status}")
    if seen.hang is not None:  # its head is out, so no error status can come any more
        tries = seen.upstream.requests if seen.upstream else 0
        judge = unmet if tries == 1 else lesser  # one that still asks again may end with an error event
        return judge(f"{what} becomes {status} and a stream that hangs: {seen.hang}", seen.at(0), cause="hang")
    if transcript.capture.end is End.TIMEOUT:
        return inconclusive(f"{what}: no answer within {PATIENCE_S:.0f} s", "an endpoint that gives up sooner")
    if transcript.capture.reused and not concluded(seen):
        return inconclusive(f"{what}: a kept connection closed, perhaps because it was idle", "another run")
    if seen.head is None:
        return lesser(
            f"{what}: the connection ends without an answer", seen.note(seen.how_it_went()), cause="no-answer"
        )
    if seen.failed_by_error and not transcript.tokens:
        return lesser(f"{what}: {status}, then an error event", seen.at(0))
    if (error := bare_error(transcript)) is not None:
        return unmet(f"{what} becomes a JSON error without SSE framing in a {status}", seen.at(error.offset))
    return unmet(f"{what} becomes {seen.how_it_went()}", seen.at(0))
