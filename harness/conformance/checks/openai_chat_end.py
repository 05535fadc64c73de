"""openai-chat.*: how a stream of chunks ends or fails, and the answer to `stream: false`."""

from typing import Any, Final

from streamgauge.conformance.applies import OPENAI_CHUNKS, openai_chunks
from streamgauge.conformance.cases import HAPPY, Case, Observed, printable
from streamgauge.conformance.finding import Finding, inconclusive, lesser, met, unmet, worst
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.sources import OPENAI_CHAT, OPENAI_ERRORS, guides, issue, source
from streamgauge.conformance.wants import answer, success
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.foreign import DONE
from streamgauge.protocol.dialects.payload import NotJson, decode

ERROR_KEYS: Final = ("message", "type", "param", "code")
_WHOLE: Final = dict(zip(OPENAI_CHUNKS, ("chat.completion", "text_completion"), strict=True))


@per_stream(
    Requirement(
        "openai-chat.no-null-error-key",
        SHOULD,
        Severity.MEDIUM,
        Basis.COMPAT,
        "A chunk without a failure has no error key, not even null.",
        references=(source("openai-go, read", "the key alone makes a StreamError"),),
        breaks="openai-go ends the stream with an error.",
        fix="Leave the key out where there is no error.",
        causes={
            "with-content": "Send the error in an event of its own, without choices or content.",
        },
    ),
    scenarios=HAPPY,
    applies=openai_chunks,
    expected="no error key on a successful chunk",
)
def no_null_error_key(seen: Observed, _case: Case) -> Finding | None:
    count = 0
    for event in seen.transcript.events:
        value = decode(event.data)
        if not isinstance(value, dict):
            continue
        count += 1
        if "error" not in value:
            continue
        if value["error"] is None:
            return unmet("a chunk has error: null", seen.at(event.offset))
        if value.get("choices"):
            return unmet("a chunk has both choices and an error", seen.at(event.offset), cause="with-content")
    return met("no error key") if count else None


@per_stream(
    Requirement(
        "openai-chat.done-sentinel",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "A stream that succeeds ends with data: [DONE], once, as the last event, without a name.",
        references=(
            OPENAI_CHAT,
            issue("vllm-project/vllm", 40978),
            guides("[DONE]"),
        ),
        breaks=(
            "openai-python, openai-node, openai-go and go-openai take a stream without it for complete (tried); "
            "openai-node accepts no other spelling."
        ),
        fix="Write exactly data: [DONE] and a blank line after the last chunk.",
        lesser="No white space stands around [DONE].",
        causes={
            "misspelled": "Spell the misspelled sentinel as [DONE]: upper case, in brackets, without quotes.",
            "white-space": "Write data: [DONE] without more white space around it.",
            "repeated": "Write [DONE] in one place only, so that it is not repeated.",
            "not-last": "Write [DONE] last: move the events that follow it before it.",
            "named": "Write [DONE] as plain data, in an event that is not named.",
        },
    ),
    scenarios=HAPPY,
    applies=openai_chunks,
    wants=success,
    expected="data: [DONE] once, as the last event",
)
def done_sentinel(seen: Observed, _case: Case) -> Finding:
    events = seen.transcript.events
    exact = [event for event in events if event.data == DONE]
    if not exact:
        alike = [event for event in events if event.data.strip(' "\t').upper() == DONE]
        if alike and alike[0].data.strip() == DONE:
            return lesser("there is white space around [DONE]", seen.at(alike[0].offset), cause="white-space")
        if alike:
            return unmet(
                f"the sentinel is written {printable(alike[0].data, 20)}", seen.at(alike[0].offset), cause="misspelled"
            )
        return unmet(
            f"no [DONE]: {seen.transcript.detail or 'the stream just ends'}", seen.at(len(seen.transcript.body))
        )
    if len(exact) > 1:
        return unmet(f"[DONE] comes {len(exact)} times", seen.at(exact[1].offset), cause="repeated")
    if events[-1] is not exact[0]:
        return unmet("events follow [DONE]", seen.behind(exact[0]), cause="not-last")
    # An id or a retry field beside the data is legal, and no client looks at it.
    if exact[0].type != "message":
        return unmet("[DONE] carries an event name", seen.at(exact[0].offset), cause="named")
    return met("[DONE] once, last")


@whole_case(
    Requirement(
        "openai-chat.error-shape",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        'An error is {"error": {"message", "type", "param", "code"}}, in the body of a refusal and as a payload'
        " in mid-stream.",
        references=(
            OPENAI_ERRORS,
            issue("vllm-project/vllm", 19650),
            issue("huggingface/text-generation-inference", 2668),
            source("openai-python 3.3.1, run", "an error without the key is given out as a chunk"),
        ),
        breaks="openai-python returns the error as an ordinary chunk whose choices are None (tried).",
        fix="Send the error object under the key error, as data, with or without event: error.",
    ),
    scenarios=("bad-json", "text-plain", "invalid", "no-auth", "mid-error", "pre-error", *HAPPY),
    applies=openai_chunks,
    expected='{"error": {"message", "type", "param", "code"}}',
)
def error_shape(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.observed:
        if seen.scenario == "upstream-errors":
            continue  # a proxy's own page, such as nginx's 502, is a figure of the matrix
        if seen.status is not None and seen.status >= 400 and seen.method == "POST":
            found.append(_judge_error(seen, decode(seen.transcript.body), 0))
        for index, delta in seen.transcript.deltas:
            if delta.kind is Kind.ERROR:
                event = seen.transcript.events[index]
                found.append(_judge_error(seen, decode(event.data), event.offset))
    return worst(found, inconclusive("no error came", MOCK))


def _judge_error(seen: Observed, value: Any, offset: int) -> Finding:
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(value, NotJson):
        return unmet(f"{seen.label}: the error is not JSON", seen.at(offset))
    if not isinstance(error, dict):
        return unmet(f"{seen.label}: the error has no error object: {printable(str(value), 80)}", seen.at(offset))
    missing = [key for key in ERROR_KEYS if key not in error]
    if "message" in missing or "type" in missing:
        return unmet(f"{seen.label}: the error object has no {' and no '.join(missing)}", seen.at(offset))
    return met("errors have OpenAI's shape")


@per_stream(
    Requirement(
        "openai-chat.stream-flag-honoured",
        MUST,
        Severity.HIGH,
        Basis.DIALECT,
        "stream: true gives an event stream; stream: false or none gives one JSON object, a chat.completion or in the "
        "older Completions a text_completion.",
        references=(
            (
                "OpenAI API reference, stream: "
                "https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream"
            ),
        ),
        breaks="SDKs parse by the flag, not by the media type.",
        fix="Choose the kind of the answer by the flag, before anything is sent.",
    ),
    scenarios=("no-stream",),
    applies=openai_chunks,
    wants=answer,
    expected="one chat.completion (or text_completion) as application/json for stream: false",
)
def stream_flag_honoured(seen: Observed, case: Case) -> Finding:
    if seen.streams:
        return unmet("stream: false gets a stream", seen.header("Content-Type"))
    value = decode(seen.transcript.body)
    wanted = _WHOLE[case.dialect_name or OPENAI_CHUNKS[0]]
    if seen.status == 200 and isinstance(value, dict) and value.get("object") == wanted:
        return met(f"stream: false gets one {wanted}")
    return unmet(f"stream: false gets {seen.how_it_went()}", seen.at(0))
