"""gemini.*: streamGenerateContent?alt=sse, https://ai.google.dev/api/generate-content."""

from typing import Any, Final

from streamgauge.conformance.applies import speaks
from streamgauge.conformance.cases import HAPPY, PLAIN, Case, Observed, printable
from streamgauge.conformance.finding import Finding, lesser, met, unmet
from streamgauge.conformance.payloads import Payload, is_sentinel, kind_of, objects
from streamgauge.conformance.profile import Profile, Rule
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MAY, MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.schemas import DEFINITIONS
from streamgauge.conformance.sources import GEMINI, issue, source
from streamgauge.conformance.vendors import judge_payloads
from streamgauge.conformance.wants import success
from streamgauge.protocol.dialects.payload import dig
from streamgauge.protocol.numbers import described, whole
from streamgauge.units import plural

PROFILES: Final = (
    Profile(
        "gemini",
        "Gemini behind Google's front end",
        (Rule("framing.line-endings", MAY, "Google's front end ends every line with CRLF"),),
    ),
)

gemini = speaks("gemini")


@per_stream(
    Requirement(
        "gemini.candidates-shape",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "Every payload is one GenerateContentResponse: candidates whose content has the role model and parts, or only "
        "promptFeedback or usageMetadata, and every member with its type.",
        references=(GEMINI,),
        breaks=(
            "The SDKs validate each response and refuse other shapes. Accounting that adds the counts up is wrong "
            "many times over."
        ),
        fix="Ask the upstream with ?alt=sse; without it the answer is one JSON array that comes in pieces.",
        lesser="usageMetadata comes, and its counts never fall.",
        causes={
            "no-usage": "Pass usageMetadata on: the last chunk has the usage of the whole answer.",
            "falling-count": (
                "totalTokenCount is the count of all tokens so far: send the sum, so that it is never falling."
            ),
        },
    ),
    scenarios=(*HAPPY, "tools"),
    applies=gemini,
    wants=success,
    expected='{"candidates": [{"content": {"parts": [...], "role": "model"}}], "usageMetadata": {...}}',
)
def candidates_shape(seen: Observed, _case: Case) -> Finding | None:
    judged = judge_payloads(seen, DEFINITIONS["gemini"])
    if judged is None or judged.verdict is None:
        return judged
    return _judge_usage(seen, list(objects(seen.transcript)))


def _judge_usage(seen: Observed, payloads: list[Payload]) -> Finding:
    counted = 0
    found = False
    for payload in payloads:
        total = dig(payload.value, "usageMetadata", "totalTokenCount")
        if kind_of(total) != "number":
            continue
        found = True
        if whole(total) is None:
            cannot = f"totalTokenCount is {described(total)}, which cannot be a count of tokens"
            return lesser(cannot, seen.at(payload.event.offset))
        if total < counted:
            return lesser(
                f"totalTokenCount falls from {counted:,} to {total:,}",
                seen.at(payload.event.offset),
                cause="falling-count",
            )
        counted = total
    if not found:
        return lesser("no usageMetadata came", seen.at(len(seen.transcript.body)), cause="no-usage")
    return met(f"{plural(len(payloads), 'response')}, {counted:,} tokens")


@per_stream(
    Requirement(
        "gemini.finish-reason",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "The last candidate has a finishReason, or promptFeedback has a blockReason. The body ends there, without "
        "[DONE].",
        references=(GEMINI, issue("snailyp/gemini-balance", 347)),
        breaks="The SDKs return an empty text without an error, and fail to parse [DONE] as JSON.",
        fix="Send an error when the upstream ends without a reason, and send [DONE] only in OpenAI's dialect.",
        causes={
            "not-last": "Send finishReason with the last chunk of a candidate only.",
        },
    ),
    scenarios=(*HAPPY, "tools"),
    applies=gemini,
    wants=success,
    expected="a finishReason in the last candidate, and no [DONE]",
)
def finish_reason(seen: Observed, _case: Case) -> Finding:
    done = next((event for event in seen.transcript.events if is_sentinel(event.data)), None)
    if done is not None:
        return unmet("[DONE] is in the stream", seen.at(done.offset))
    reason: Any = None
    for payload in objects(seen.transcript):
        if blocked := dig(payload.value, "promptFeedback", "blockReason"):
            return met(f"the prompt is blocked: {printable(str(blocked), 40)}")
        candidates = payload.value.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            # Each candidate has its own end; after its finishReason nothing more of it may come.
            finish = dig(candidate, "finishReason")
            if reason and not finish and dig(candidate, "index") in (None, 0):
                return unmet(
                    "the candidate goes on after its finishReason", seen.at(payload.event.offset), cause="not-last"
                )
            reason = finish or reason
    if not reason:
        why = seen.transcript.detail or "the stream just ends"
        return unmet(f"no candidate has a finishReason: {why}", seen.at(len(seen.transcript.body)))
    return met(f"finishReason {printable(str(reason), 40)}")


@per_stream(
    Requirement(
        "gemini.data-lines-only",
        SHOULD,
        Severity.HIGH,
        Basis.COMPAT,
        "Every line is a data line or blank: no comments, and no event, id or retry fields.",
        references=(
            source("js-genai, read", "a regular expression for data lines reads the stream"),
            source("python-genai, read", "the reader counts braces across lines"),
        ),
        breaks="google-genai for JavaScript and Python fail at a comment such as : ping.",
        fix="A gateway in front of Gemini's clients must not send comments as heartbeats.",
    ),
    scenarios=PLAIN,
    applies=gemini,
    expected="data: lines and blank lines",
)
def data_lines_only(seen: Observed, _case: Case) -> Finding:
    bare = seen.transcript.bare or ()
    for line in seen.transcript.lines:
        if line.raw and line.field != b"data" and line.offset not in bare:
            intruder = (
                "a comment" if line.is_comment else f"the line {printable(line.raw.decode('utf-8', 'replace'), 40)!r}"
            )
            return unmet(f"{intruder} is in the stream", seen.at(line.offset))
    return met("all lines are data lines or blank")
