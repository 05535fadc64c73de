"""errors.*: how a failure is told."""

import re
from typing import Any, Final

from harness.conformance.cases import Case, Observed, printable
from harness.conformance.payloads import NotJson, parse
from harness.conformance.registry import (
    Finding,
    fail,
    inconclusive,
    met,
    per_stream,
    unmet,
    warn,
    whole_case,
    worst,
)
from harness.conformance.scenarios import HAPPY, MOCK
from harness.dialects.base import Kind
from harness.wire import End

REFUSALS: Final = ("bad-json", "text-plain", "invalid", "no-auth", "pre-error")
FAULTED: Final = ("mid-error", "mid-rst")
_LOOKS_LIKE_ERROR: Final = re.compile(
    r"\s*\[?(?:error|exception|fatal|internal server error|an error (?:has )?occurred)\b\s*[:\]!.-]", re.IGNORECASE
)


def streams(seen: Observed) -> bool:
    return seen.streams


def answered(seen: Observed) -> bool:
    return seen.answered


def joined(seen: Observed) -> Finding | None:
    """Doubt whether the mock played its part at all; None when its ledger says that it did."""
    if seen.upstream:
        return None
    return inconclusive(
        f"the mock saw no request of {seen.label}: its upstream is another one, or the prompt did not reach it", MOCK
    )


@whole_case(
    "errors.machine-readable",
    reads=(*REFUSALS, *FAULTED, *HAPPY),
    expected="JSON with a type or code and a message",
)
def machine_readable(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.observed:
        if seen.scenario in REFUSALS and seen.status is not None and seen.status >= 400:
            found.append(_judge_refusal(seen))
        for index, delta in seen.transcript.deltas:
            if delta.kind is Kind.ERROR:
                event = seen.transcript.events[index]
                found.append(_judge_payload(seen, parse(event.data), event.offset))
    return worst(found, inconclusive("no error was seen", MOCK))


def _judge_refusal(seen: Observed) -> Finding:
    media = (seen.head.media_type if seen.head else None) or ""
    body = seen.transcript.body
    if "html" in media or body.lstrip()[:1] == b"<":
        return fail(f"{seen.label}: {seen.status} with an HTML page", seen.at(0))
    return _judge_payload(seen, parse(body), 0)


def _judge_payload(seen: Observed, value: Any, offset: int) -> Finding:
    if isinstance(value, NotJson):
        return unmet(f"{seen.label}: the error is not JSON", seen.at(offset))
    error = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(error, dict) and any(error.get(key) for key in ("message", "detail", "title")):
        return met("errors are JSON objects with a message")
    return unmet(f"{seen.label}: the error has no message: {printable(str(value), 80)}", seen.at(offset))


@per_stream(
    "errors.no-success-after-error",
    reads=(*FAULTED, *HAPPY),
    wants=streams,
    expected="no end marker after an error",
)
def no_success_after_error(seen: Observed, case: Case) -> Finding:
    transcript = seen.transcript
    error = transcript.first(Kind.ERROR)
    if error is None:
        return inconclusive("no error event was seen", MOCK)
    after = [found for found in transcript.deltas if found.event > error.event and found.delta.kind is Kind.DONE]
    if not after:
        return met("nothing claims success after the error")
    judged = warn if case.dialect_name == "openai-chat" else unmet
    return judged("the marker of success follows the error", seen.at(transcript.events[after[0].event].offset))


@per_stream(
    "errors.distinguishable-from-content",
    reads=(*FAULTED, *HAPPY),
    wants=streams,
    expected="errors by event name, error key or shape, never as a token",
)
def distinguishable_from_content(seen: Observed, _case: Case) -> Finding:
    transcript = seen.transcript
    if transcript.first(Kind.ERROR):
        return met("the error is an event of its own")
    tokens = transcript.tokens
    # Only a last token that begins like an error message: a model may well write about errors.
    if tokens and _LOOKS_LIKE_ERROR.match(tokens[-1][1]):
        return unmet(
            f"the last token is an error message: {printable(tokens[-1][1], 60)}", seen.at(tokens[-1][0].offset)
        )
    return inconclusive("no error was seen", MOCK)


@per_stream(
    "errors.mid-stream-event",
    reads=("mid-error",),
    wants=streams,
    expected="an error event as the last event",
)
def mid_stream_event(seen: Observed, _case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    transcript = seen.transcript
    error = transcript.first(Kind.ERROR)
    end = seen.at(len(transcript.body))
    if error is not None:
        if error.event == len(transcript.events) - 1:
            return met("an error event ends the stream")
        return warn("events follow the error", seen.at(transcript.events[error.event].offset))
    if transcript.first(Kind.DONE):
        return unmet("the upstream failed, and the client is told of success", end)
    if transcript.capture.end in (End.RESET, End.CLOSED):
        return warn("the upstream failed, and the client only loses its connection", end)
    return unmet("the upstream failed, and the stream ends as if it were complete", end)


@per_stream(
    "errors.pre-stream-status",
    reads=("pre-error",),
    wants=answered,
    expected="an error status in place of a stream, Retry-After kept",
)
def pre_stream_status(seen: Observed, _case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    transcript, head, status = seen.transcript, seen.head, seen.status or 0
    if status >= 400:
        if head is not None and head.media_type == "text/html":
            return fail(f"{seen.variant}: {status} with an HTML page", seen.at(0))
        if status == 429 and head is not None and head.get("retry-after") is None:
            return warn(f"{seen.variant}: 429 without Retry-After", seen.header("Retry-After"))
        return met(f"{seen.variant}: status {status}")
    if seen.failed_by_error and not transcript.tokens:
        return warn(f"{seen.variant}: {status}, then an error event", seen.at(0))
    return unmet(f"{seen.variant} becomes {seen.how_it_went()}", seen.at(0))
