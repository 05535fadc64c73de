"""Examples for the vendors' dialects but OpenAI's Chat Completions."""

import json
from typing import Any

from tests.harness.conformance.tapes import Examples, Tape, headers, ledger

examples = Examples()
add, bodies = examples.add, examples.bodies


def typed(kind: str, **fields: Any) -> bytes:
    """An event that is named as the type of its payload."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def unnamed(event: bytes) -> bytes:
    return event.partition(b"\n")[2]


def data(value: Any) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def without(parts: tuple[bytes, ...], index: int, *instead: bytes) -> bytes:
    """The parts joined, with others in place of one."""
    index %= len(parts)
    return b"".join((*parts[:index], *instead, *parts[index + 1 :]))


DONE = b"data: [DONE]\n\n"

# anthropic

START = typed("message_start", message={"id": "msg_1", "usage": {"input_tokens": 3, "output_tokens": 1}})
STOP = typed("message_stop")
PING = typed("ping")
FINISH = typed("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})


def opened(index: int, kind: str = "text") -> bytes:
    return typed("content_block_start", index=index, content_block={"type": kind})


def said(index: int, kind: str = "text_delta", **fields: Any) -> bytes:
    return typed("content_block_delta", index=index, delta={"type": kind, **(fields or {"text": "Hi"})})


def closed(index: int) -> bytes:
    return typed("content_block_stop", index=index)


MESSAGE = (START, opened(0), PING, said(0), closed(0), FINISH, STOP)
GOOD = b"".join(MESSAGE)
TOOL = (
    START, opened(0, "thinking"), said(0, "thinking_delta", thinking="hm"),
    said(0, "signature_delta", signature="x"), closed(0), opened(1, "tool_use"),
    said(1, "input_json_delta", partial_json='{"a":'), said(1, "input_json_delta", partial_json="1}"), closed(1),
    opened(2, "tool_use"), closed(2), FINISH, STOP,
)  # fmt: skip
ERROR = typed("error", error={"type": "overloaded_error", "message": "Overloaded"})
FAILED = b"".join(MESSAGE[:4])
CLAUDE = {"dialect": "anthropic"}

bodies(
    "anthropic.event-name-matches-type",
    {
        "pass": [GOOD, b"".join(TOOL), FAILED + ERROR],
        "fail": [without(MESSAGE, 3, unnamed(said(0))), without(MESSAGE, 3, said(0).replace(b"event: ", b"event: x"))],
        "not-applicable": [data({"token": "x", "done": True})],
    },
)
bodies(
    "anthropic.event-order",
    {
        "pass": [GOOD, b"".join(TOOL), PING + GOOD, without(MESSAGE, 3, said(0, "new_delta", text="x"))],
        "fail": [
            without(MESSAGE, 0),
            without(MESSAGE, 0, START, START),
            without(MESSAGE, 1),
            without(MESSAGE, 1, opened(1)),
            without(MESSAGE, 3, said(1)),
            without(MESSAGE, 3, said(0, "thinking_delta", thinking="x")),
            without(MESSAGE, 4),
            without(MESSAGE, 4, opened(1)),
            without(MESSAGE, 5, said(0)),
            without(TOOL, 7),
            b"".join(MESSAGE[:4]),
        ],
        "inconclusive": [FAILED + ERROR],
    },
    **CLAUDE,
)
NO_REASON = typed("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 2})
bodies(
    "anthropic.message-delta-stop-reason",
    {
        "pass": [GOOD, without(MESSAGE, 5, NO_REASON, FINISH)],
        "fail": [
            without(MESSAGE, 5),
            without(MESSAGE, 5, NO_REASON),
            without(MESSAGE, 5, typed("message_delta", delta={"stop_reason": "end_turn"})),
            without(MESSAGE, 5, typed("message_delta", delta={}, usage={"output_tokens": 9}), FINISH),
        ],
        "info": [without(MESSAGE, 5, FINISH.replace(b"end_turn", b"bored"))],
    },
)
bodies(
    "anthropic.message-stop-last",
    {
        "pass": [GOOD],
        "fail": [without(MESSAGE, -1), GOOD + STOP, GOOD + PING],
        "warn": [GOOD + DONE],
    },
)
bodies(
    "anthropic.ping-json",
    {
        "pass": [GOOD],
        "warn": [
            without(MESSAGE, 2, b"event: ping\ndata: {}\n\n"),
            PING + GOOD,
            without(MESSAGE, 2, b"event: ping\n\n"),
        ],
        "not-applicable": [without(MESSAGE, 2)],
    },
    **CLAUDE,
)
MID = {"scenario": "mid-error", "upstream": ledger(), **CLAUDE}
bodies(
    "anthropic.error-event",
    {
        "pass": [FAILED + ERROR],
        "fail": [
            FAILED,
            FAILED + unnamed(ERROR),
            FAILED + ERROR + STOP,
            FAILED + typed("error", error="Overloaded"),
            FAILED + typed("error", error={"message": "Overloaded"}),
        ],
    },
    **MID,
)
add("anthropic.error-event", "inconclusive", Tape(body=GOOD))
add("anthropic.error-event", "inconclusive", Tape(body=GOOD, scenario="mid-error"))

# openai-responses


def numbered(*events: tuple[str, dict[str, Any]]) -> tuple[bytes, ...]:
    return tuple(typed(kind, sequence_number=n, **fields) for n, (kind, fields) in enumerate(events))


AT = {"item_id": "m1", "output_index": 0}
PART = {**AT, "content_index": 0}
ENDED = ("response.completed", {"response": {"status": "completed", "usage": {"output_tokens": 1}}})
LIFE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("response.created", {"response": {"id": "r1"}}),
    ("response.in_progress", {"response": {"id": "r1"}}),
    ("response.output_item.added", {"output_index": 0, "item": {"id": "m1", "type": "message"}}),
    ("response.content_part.added", {**PART, "part": {}}),
    ("response.output_text.delta", {**PART, "delta": "Hi"}),
    ("response.output_text.done", {**PART, "text": "Hi"}),
    ("response.content_part.done", {**PART, "part": {}}),
    ("response.output_item.done", {"output_index": 0, "item": {"id": "m1"}}),
    ENDED,
)
CALL: tuple[tuple[str, dict[str, Any]], ...] = (
    LIFE[0],
    ("response.output_item.added", {"output_index": 0, "item": {"id": "rs1", "type": "reasoning"}}),
    ("response.reasoning_summary_part.added", {"item_id": "rs1", "output_index": 0, "summary_index": 0}),
    ("response.reasoning_summary_text.delta", {"item_id": "rs1", "output_index": 0, "summary_index": 0, "delta": "hm"}),
    ("response.reasoning_summary_part.done", {"item_id": "rs1", "output_index": 0, "summary_index": 0}),
    ("response.output_item.done", {"output_index": 0, "item": {}}),
    ("response.output_item.added", {"output_index": 1, "item": {"id": "f1", "type": "function_call"}}),
    ("response.function_call_arguments.delta", {"item_id": "f1", "output_index": 1, "delta": "{}"}),
    ("response.output_item.done", {"output_index": 1, "item": {}}),
    ENDED,
)
RESPONSE = numbered(*LIFE)


def life(index: int, *instead: tuple[str, dict[str, Any]]) -> bytes:
    """A response with other events in place of one, numbered as it should be."""
    index %= len(LIFE)
    return b"".join(numbered(*LIFE[:index], *instead, *LIFE[index + 1 :]))


WHOLE = b"".join(RESPONSE)
FLAT = ("error", {"code": "server_error", "message": "boom", "param": None})
FAILURE = ("response.failed", {"response": {"status": "failed", "error": {"code": "x", "message": "boom"}}})
RESPONSES = {"dialect": "openai-responses"}
bodies(
    "openai-responses.event-matches-type",
    {
        "pass": [WHOLE],
        "fail": [without(RESPONSE, 4, unnamed(RESPONSE[4])), without(RESPONSE, 4, b"event: x\n" + RESPONSE[4][34:])],
        "warn": [without(RESPONSE, 4, b"id: 4\n" + RESPONSE[4])],
    },
)
bodies(
    "openai-responses.sequence-number",
    {
        "pass": [WHOLE, WHOLE + DONE],
        "fail": [
            without(RESPONSE, 4),
            WHOLE + RESPONSE[-1],
            without(RESPONSE, 4, RESPONSE[4].replace(b'"sequence_number": 4', b'"n": 4')),
        ],
        "warn": [without(RESPONSE, 0)],
    },
)
bodies(
    "openai-responses.item-lifecycle",
    {
        "pass": [WHOLE, b"".join(numbered(*CALL)), life(4, LIFE[4], ("response.new.delta", AT))],
        "fail": [
            life(0),
            life(2),
            life(2, ("response.output_item.added", {"output_index": 1, "item": {"id": "m1"}})),
            life(3),
            life(3, ("response.content_part.added", {**PART, "content_index": 1})),
            life(4, ("response.output_text.delta", {**PART, "item_id": "m2", "delta": "Hi"})),
            life(4, ("response.output_text.delta", {"delta": "Hi"})),
            life(6),
            life(6, LIFE[6], LIFE[6]),
            life(7),
            life(-1, ("response.completed", {"response": {"output": []}})),
        ],
        "inconclusive": [b"".join(numbered(*LIFE[:5], FLAT))],
    },
    **RESPONSES,
)
INCOMPLETE = ("response.incomplete", {"response": {"incomplete_details": {"reason": "max_output_tokens"}}})
bodies(
    "openai-responses.single-terminal-last",
    {
        "pass": [WHOLE, life(-1, INCOMPLETE)],
        "fail": [
            life(-1),
            life(-1, ENDED, ENDED),
            life(-1, ENDED, LIFE[1]),
        ],
        "info": [WHOLE + DONE],
    },
)
add("openai-responses.single-terminal-last", "pass", Tape(body=WHOLE + DONE), profile="openresponses")
add("openai-responses.single-terminal-last", "fail", Tape(body=WHOLE), profile="openresponses")
HALF = b"".join(RESPONSE[:5])
NESTED = typed("error", error={"message": "boom"})
MID_RESPONSE = {"scenario": "mid-error", "upstream": ledger(), **RESPONSES}
bodies(
    "openai-responses.error-then-failed",
    {
        "pass": [HALF + typed(FLAT[0], **FLAT[1]) + typed(FAILURE[0], **FAILURE[1]), HALF + typed(FLAT[0], **FLAT[1])],
        "warn": [
            HALF + NESTED,
            HALF + typed("error", code="x"),
            HALF + typed("response.failed", response={"status": "failed"}),
            HALF + typed(FAILURE[0], **FAILURE[1]) + typed(FLAT[0], **FLAT[1]),
            HALF,
        ],
    },
    **MID_RESPONSE,
)
add(
    "openai-responses.error-then-failed",
    "fail",
    Tape(body=HALF + typed(FLAT[0], **FLAT[1]), scenario="mid-error", upstream=ledger()),
    profile="openresponses",
)
add("openai-responses.error-then-failed", "inconclusive", Tape(body=WHOLE))

# gemini


def candidate(*parts: dict[str, Any], total: int | None = 5, role: str = "model", **more: Any) -> dict[str, Any]:
    usage = {} if total is None else {"usageMetadata": {"totalTokenCount": total}}
    return {"candidates": [{"content": {"parts": list(parts), "role": role}, "index": 0, **more}], **usage}


TEXT = candidate({"text": "Hi"})
LAST = candidate({"text": ""}, total=6, finishReason="STOP")
BARE_END = {"candidates": [{"finishReason": "STOP", "index": 0}]}
GEMINI = data(TEXT) + data(LAST)
SPEAKS_GEMINI = {"dialect": "gemini"}
bodies(
    "gemini.candidates-shape",
    {
        "pass": [
            GEMINI,
            data(TEXT) + data(BARE_END),
            data({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"totalTokenCount": 3}}),
            data(TEXT) + data({"usageMetadata": {"totalTokenCount": 6}}) + data(LAST),
        ],
        "fail": [
            data([TEXT]) + data([LAST]),
            data({"candidates": {}}),
            data({"text": "Hi"}) + data(LAST),
            data({"candidates": [{"content": {}}]}) + data(LAST),
            data({"candidates": [5]}) + data(LAST),
            data(candidate({"text": "Hi"}, role="assistant")) + data(LAST),
            data({"candidates": [{"content": {"parts": ["Hi"]}}]}) + data(LAST),
        ],
        "warn": [
            data(candidate({"text": "Hi"}, total=None)) + data(BARE_END),
            data(candidate({"text": "Hi"}, total=9)) + data(LAST),
        ],
    },
    **SPEAKS_GEMINI,
)
bodies(
    "gemini.finish-reason",
    {
        "pass": [GEMINI, data({"promptFeedback": {"blockReason": "SAFETY"}})],
        "fail": [data(TEXT), GEMINI + DONE, data(LAST) + data(TEXT)],
    },
    **SPEAKS_GEMINI,
)
BARE_ERROR = b'{\n  "error": {\n    "code": 503,\n    "message": "busy"\n  }\n}\n\n'
bodies(
    "gemini.data-lines-only",
    {
        "pass": [GEMINI, GEMINI.replace(b"\n", b"\r\n"), data(TEXT) + BARE_ERROR],
        "warn": [b": ping\n\n" + GEMINI, b"event: x\n" + GEMINI, b"id: 1\n" + GEMINI, b"retry: 1000\n" + GEMINI],
    },
    **SPEAKS_GEMINI,
)
# Where the vendor itself writes outside of events, the generic checks follow it there.
for check in ("framing.known-fields", "errors.mid-stream-event"):
    body = data(TEXT) + BARE_ERROR
    add(check, "pass", Tape(body=body, scenario="mid-error", upstream=ledger(), **SPEAKS_GEMINI), **SPEAKS_GEMINI)
add("framing.known-fields", "fail", Tape(body=data({"token": "x", "done": False}) + BARE_ERROR))

# ollama


def line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def token(text: str = "Hi", **more: Any) -> bytes:
    return line({"model": "m", "message": {"role": "assistant", "content": text}, "done": False, **more})


COUNTS = {"done_reason": "stop", "total_duration": 1, "eval_count": 1}
ENDING = {"model": "m", "message": {"content": ""}, "done": True}
OLLAMA = (token("a"), token("b"), line(ENDING | COUNTS))
LINES = {"dialect": "ollama", "headers": headers(content_type="application/x-ndjson")}
SPEAKS_OLLAMA = {"dialect": "ollama"}


def lines(check: str, verdicts: dict[str, list[bytes]], **tape: Any) -> None:
    for verdict, of_verdict in verdicts.items():
        for body in of_verdict:
            add(check, verdict, Tape(body=body, **LINES, **tape), **SPEAKS_OLLAMA)


lines(
    "ollama.one-json-per-line",
    {
        "pass": [b"".join(OLLAMA), b"".join(OLLAMA).replace(b"\n", b"\r\n")],
        "fail": [
            without(OLLAMA, 1, b"\n", token("b")),
            without(OLLAMA, 1, b"data: " + token("b")),
            without(OLLAMA, 1, b": ping\n", token("b")),
            without(OLLAMA, 1, token("b")[:-1], token("c")),
            without(OLLAMA, 1, json.dumps(ENDING, indent=1).encode() + b"\n"),
            without(OLLAMA, 1, b"[]\n"),
        ],
        "warn": [b"".join(OLLAMA)[:-1]],
    },
)
lines(
    "ollama.done-true-last",
    {
        "pass": [b"".join(OLLAMA)],
        "fail": [
            without(OLLAMA, -1),
            without(OLLAMA, -1, OLLAMA[-1], OLLAMA[-1]),
            without(OLLAMA, -1, OLLAMA[-1], token("c")),
            without(OLLAMA, 1, line({"message": {"content": "b"}})),
            without(OLLAMA, 1, token("b", done="false")),
        ],
        "warn": [without(OLLAMA, -1, line(ENDING))],
        "inconclusive": [OLLAMA[0] + line({"error": "boom"})],
    },
)
lines(
    "ollama.error-line",
    {
        "pass": [OLLAMA[0] + line({"error": "boom"})],
        "fail": [
            OLLAMA[0],
            OLLAMA[0] + b"<html>Bad Gateway</html>\n",
            OLLAMA[0] + line({"error": {"message": "boom"}}),
            OLLAMA[0] + line({"error": "boom"}) + OLLAMA[-1],
        ],
    },
    scenario="mid-error",
    upstream=ledger(),
)
lines("ollama.error-line", {"inconclusive": [b"".join(OLLAMA)]})
# Rules of JSON payloads hold for lines as for events.
lines("text.json-valid", {"pass": [b"".join(OLLAMA)], "fail": [without(OLLAMA, 1, token("b")[:-2] + b"\n")]})
lines(
    "text.unicode-line-separators-escaped",
    {"warn": [without(OLLAMA, 1, token("\u2028").replace(b"\\u2028", b"\xe2\x80\xa8"))]},
)
lines("framing.known-fields", {"not-applicable": [b"".join(OLLAMA)]})

# cohere


def part(kind: str, index: int | None = 0, **message: Any) -> bytes:
    where = {} if index is None else {"index": index}
    return typed(kind, **where, delta={"message": message})


OPENING = typed("message-start", id="1", delta={"message": {"role": "assistant"}})
CLOSING = typed("message-end", delta={"finish_reason": "COMPLETE", "usage": {"tokens": {"output_tokens": 1}}})
COHERE = (
    OPENING, part("content-start", content={"type": "text", "text": ""}), part("content-delta", content={"text": "Hi"}),
    typed("content-end", index=0), CLOSING,
)  # fmt: skip
COHERE_TOOL = (
    OPENING, part("tool-plan-delta", None, tool_plan="I will"), part("tool-call-start", tool_calls={"id": "t"}),
    part("tool-call-delta", tool_calls={"function": {"arguments": "{}"}}), typed("tool-call-end", index=0), CLOSING,
)  # fmt: skip
bodies(
    "cohere.lifecycle",
    {
        "pass": [b"".join(COHERE), b"".join(COHERE_TOOL)],
        "fail": [
            without(COHERE, 0),
            without(COHERE, 0, OPENING, OPENING),
            without(COHERE, 1),
            without(COHERE, 1, COHERE[1], COHERE[1]),
            without(COHERE, 1, part("content-start", None)),
            without(COHERE, 2, unnamed(COHERE[2])),
            without(COHERE, 3),
            without(COHERE, 4),
            without(COHERE, 4, CLOSING, COHERE[2]),
            without(COHERE, 4, typed("message-end", delta={"usage": {}})),
            without(COHERE, 4, typed("message-end", delta={"finish_reason": "COMPLETE"})),
        ],
        "inconclusive": [
            b"".join(COHERE[:3]) + typed("message-end", delta={"finish_reason": "ERROR", "error": "boom"})
        ],
    },
    dialect="cohere",
)
