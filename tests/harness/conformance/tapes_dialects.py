"""Examples for openai-chat and custom."""

import json
from typing import Any

from streamgauge.wire import End, Framing
from tests.builders.vendor_streams import COMPLETION, text_chunk
from tests.harness.conformance.tapes import Examples, Tape, chunk, headers

examples = Examples()
add, bodies = examples.add, examples.bodies

ROLE = chunk(None)
ROLE["choices"][0]["delta"] = {"role": "assistant", "content": ""}
FINISH = chunk(None, finish="stop")
USAGE = chunk(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4})


def chat(*chunks: dict[str, Any] | str) -> bytes:
    """The chunks as events; strings stand for themselves."""
    return b"".join(
        f"data: {one if isinstance(one, str) else json.dumps(one, separators=(',', ':'))}\n\n".encode()
        for one in chunks
    )


def without(one: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != key}


def called(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    chunks = []
    for call in calls:
        one = chunk(None)
        one["choices"][0]["delta"] = {"tool_calls": [call]}
        chunks.append(one)
    return chunks


GOOD = chat(ROLE, chunk(), FINISH, USAGE, "[DONE]")
bodies(
    "openai-chat.chunk-shape",
    {
        "pass": [GOOD, chat(chunk(object="", choices=[], prompt_filter_results=[]), ROLE, FINISH, "[DONE]")],
        "fail": [
            chat(ROLE, chunk(object="chat.completion"), FINISH),
            chat(ROLE, without(chunk(), "created"), FINISH),
            chat(ROLE, chunk(created="now"), FINISH),
            chat(ROLE, chunk(choices=[{"index": 0, "finish_reason": None}]), FINISH),
            chat(ROLE, chunk(choices=[{"delta": {}, "finish_reason": None}]), FINISH),
        ],
        "warn": [chat(chunk(), FINISH, "[DONE]")],
        "not-applicable": [b"data: Hello\n\n"],
    },
)
OTHER = chat(ROLE | {"id": "chatcmpl-2"}, FINISH | {"id": "chatcmpl-2"}, "[DONE]")
add("openai-chat.constant-id", "pass", Tape(body=GOOD), Tape(body=OTHER, scenario="happy-2"))
add("openai-chat.constant-id", "warn", Tape(body=GOOD), Tape(body=GOOD, scenario="happy-2"))
add("openai-chat.constant-id", "warn", Tape(body=chat(ROLE, chunk(id="chatcmpl-9"), FINISH, "[DONE]")))
bodies(
    "openai-chat.finish-reason",
    {
        "pass": [GOOD],
        "fail": [
            chat(ROLE, chunk(), USAGE, "[DONE]"),
            chat(ROLE, FINISH, FINISH, "[DONE]"),
            chat(ROLE, FINISH, chunk(), "[DONE]"),
            chat(ROLE, chunk(None, finish="because"), "[DONE]"),
            chat(ROLE, chunk(finish=""), FINISH, "[DONE]"),
        ],
        "warn": [
            chat(ROLE, chunk(finish="stop"), "[DONE]"),
            chat(ROLE, chunk(choices=[{"index": 0, "delta": {"content": "a"}}]), FINISH, "[DONE]"),
        ],
        "inconclusive": [chat(ROLE, chunk(), {"error": {"message": "x", "type": "y"}})],
    },
)
ASKED = {"request_body": b'{"stream":true,"stream_options":{"include_usage":true}}'}
zero = USAGE | {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}
none_written = USAGE | {"usage": {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}}
bodies(
    "openai-chat.usage-chunk",
    {
        "pass": [GOOD, chat(ROLE, chunk(None, finish="content_filter"), none_written, "[DONE]")],
        "fail": [
            chat(ROLE, FINISH, "[DONE]"),
            chat(ROLE, FINISH, zero, "[DONE]"),
            chat(ROLE, chunk(), FINISH, none_written, "[DONE]"),
            chat(ROLE, FINISH, "[DONE]", USAGE),
        ],
        "warn": [
            chat(ROLE, FINISH | {"usage": USAGE["usage"]}, "[DONE]"),
            chat(ROLE, chunk(usage=USAGE["usage"]), FINISH, USAGE, "[DONE]"),
        ],
    },
    **ASKED,
)
# What is wrong with an answer that broke off, termination.explicit-end and http.chunked-framing say.
bodies("openai-chat.usage-chunk", {"inconclusive": [chat(ROLE, chunk())]}, **ASKED)
add("openai-chat.usage-chunk", "inconclusive", Tape(body=chat("[DONE]"), **ASKED), dialect="openai-chat")
BROKE_OFF = (
    Tape(body=chat(ROLE, chunk()), end=End.CLOSED, detail="closed before the final chunk", **ASKED),
    Tape(body=chat(ROLE, chunk()), end=End.TIMEOUT, detail="no content came for 5.0 s", **ASKED),
)
for tape in BROKE_OFF:
    add("openai-chat.finish-reason", "inconclusive", tape)
    add("openai-chat.usage-chunk", "inconclusive", tape)
    add("openai-chat.done-sentinel", "inconclusive", tape)
    add("termination.explicit-end", "fail", tape)
add("termination.explicit-end", "fail", Tape(body=chat(ROLE, chunk(), FINISH)))
UI = b'data: {"type":"text-delta","id":"t","delta":"a"}\n\ndata: {"type":"error","errorText":"x"}\n\ndata: [DONE]\n\n'
add("termination.single-terminal", "pass", Tape(body=UI, dialect="ai-sdk-ui"), dialect="ai-sdk-ui")
FINISHED = Tape(body=chat(ROLE, chunk(), FINISH), end=End.TIMEOUT, detail="the body did not end in 5.0 s", **ASKED)
add("openai-chat.finish-reason", "pass", FINISHED)
add("openai-chat.done-sentinel", "fail", FINISHED)
add("openai-chat.usage-chunk", "info", Tape(body=GOOD, request_body=b'{"stream":true}'))
add("openai-chat.usage-chunk", "not-applicable", Tape(body=chat(ROLE, FINISH, "[DONE]"), request_body=b"{}"))
bodies(
    "openai-chat.empty-choices-only-usage",
    {
        "pass": [GOOD],
        "warn": [chat(ROLE, chunk(choices=[]), FINISH, "[DONE]")],
    },
)
FILTERED = chunk(choices=[], prompt_filter_results=[])
bodies("openai-chat.empty-choices-only-usage", {"pass": [chat(FILTERED, ROLE, FINISH, "[DONE]")]})
bodies(
    "liveness.heartbeat-is-comment",
    {
        "pass": [b": ka\n\n" + GOOD],
        "warn": [chat(ROLE, {"type": "keepalive"}, FINISH, "[DONE]"), b"event: ping\ndata: {}\n\n" + GOOD],
    },
)
FIRST = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
REST = {"index": 0, "function": {"arguments": "1}"}}
bodies(
    "openai-chat.tool-call-deltas",
    {
        "pass": [chat(ROLE, *called(FIRST, REST), "[DONE]")],
        "fail": [
            chat(ROLE, *called(without(FIRST, "index")), "[DONE]"),
            chat(ROLE, *called(without(FIRST, "id")), "[DONE]"),
            chat(ROLE, *called(FIRST, FIRST | {"id": "call_2"}), "[DONE]"),
        ],
        "warn": [chat(ROLE, *called(FIRST, REST | {"id": "call_1"}), "[DONE]")],
        "not-applicable": [GOOD],
    },
)
bodies(
    "openai-chat.tool-args-json",
    {
        "pass": [chat(ROLE, *called(FIRST, REST), "[DONE]")],
        "fail": [chat(ROLE, *called(FIRST), "[DONE]")],
        "inconclusive": [
            chat(ROLE, *called(without(FIRST, "index"), REST), "[DONE]"),
            chat(ROLE, *called(FIRST, FIRST | {"id": "call_2"}), "[DONE]"),
            chat(ROLE, *called(FIRST | {"function": {"name": "f", "arguments": {"a": 1}}}), "[DONE]"),
        ],
        "not-applicable": [GOOD],
    },
)
bodies(
    "openai-chat.no-null-error-key",
    {
        "pass": [GOOD, chat(ROLE, {"error": {"message": "x"}})],
        "warn": [chat(ROLE | {"error": None}, FINISH, "[DONE]"), chat(ROLE, chunk(error={"message": "x"}), "[DONE]")],
    },
)
bodies(
    "openai-chat.done-sentinel",
    {
        "pass": [
            GOOD,
            *(chat(ROLE, FINISH) + field + b"data: [DONE]\n\n" for field in (b"id: 9\n", b"retry: 3000\n")),
            chat(ROLE, FINISH) + b"id:\nevent: message\ndata: [DONE]\nretry: 1\n\n",
        ],
        "fail": [
            chat(ROLE, FINISH),
            GOOD + chat("[DONE]"),
            GOOD + chat(USAGE),
            chat(ROLE, FINISH, "[done]"),
            chat(ROLE, FINISH, '"[DONE]"'),
            chat(ROLE, FINISH) + b"event: end\ndata: [DONE]\n\n",
        ],
        "warn": [chat(ROLE, FINISH, "[DONE] ")],
    },
)


def refusal(body: bytes) -> Tape:
    return Tape(scenario="bad-json", status=400, body=body, headers=headers(content_type="application/json"))


ERROR = {"message": "x", "type": "y", "param": None, "code": None}
shaped = json.dumps({"error": ERROR}).encode()
add("openai-chat.error-shape", "pass", refusal(shaped), dialect="openai-chat")
add("openai-chat.error-shape", "pass", Tape(body=chat(ROLE, {"error": ERROR})))
add("openai-chat.error-shape", "fail", refusal(b'{"detail":"x"}'), dialect="openai-chat")
add("openai-chat.error-shape", "fail", refusal(b'{"error":"x"}'), dialect="openai-chat")
add("openai-chat.error-shape", "fail", Tape(body=chat(ROLE, {"error": {"message": "x"}})))
add("openai-chat.error-shape", "inconclusive", Tape(body=GOOD))

WHOLE = {"scenario": "no-stream", "headers": headers(content_type="application/json"), "framing": Framing.LENGTH}
add(
    "openai-chat.stream-flag-honoured",
    "pass",
    Tape(body=b'{"object":"chat.completion"}', **WHOLE),
    dialect="openai-chat",
)  # type: ignore[arg-type]
add("openai-chat.stream-flag-honoured", "fail", Tape(body=GOOD, scenario="no-stream"), dialect="openai-chat")
add("openai-chat.stream-flag-honoured", "fail", Tape(body=b"{}", **WHOLE), dialect="openai-chat")  # type: ignore[arg-type]

# openai-chat, where it judges the older Completions

TEXT_LAST = text_chunk("lo", "stop")
COUNTED = text_chunk(usage=USAGE["usage"])
WRITTEN = chat(text_chunk("Hel"), TEXT_LAST, COUNTED, "[DONE]")  # as vLLM: the last text shares the chunk of the reason
EMPTY_LAST = chat(*COMPLETION, "[DONE]")
bodies(
    "openai-chat.finish-reason",
    {
        "pass": [WRITTEN, EMPTY_LAST],
        "fail": [
            chat(text_chunk("Hel"), text_chunk("lo"), COUNTED, "[DONE]"),
            chat(text_chunk("Hel"), TEXT_LAST, text_chunk("", "stop"), "[DONE]"),
            chat(text_chunk("Hel"), TEXT_LAST, text_chunk("x"), "[DONE]"),
            chat(text_chunk("Hel"), text_chunk("lo", "tool_calls"), "[DONE]"),
            chat(text_chunk("Hel", ""), TEXT_LAST, "[DONE]"),
        ],
        "warn": [chat(text_chunk(choices=[{"index": 0, "text": "a"}]), TEXT_LAST, "[DONE]")],
        "inconclusive": [chat(text_chunk("Hel"), {"error": {"message": "x", "type": "y"}})],
    },
    dialect="openai-completions",
)
bodies(
    "openai-chat.usage-chunk",
    {
        "pass": [WRITTEN],
        "fail": [chat(TEXT_LAST, "[DONE]"), chat(TEXT_LAST, "[DONE]", COUNTED)],
        "warn": [chat(TEXT_LAST | {"usage": USAGE["usage"]}, "[DONE]")],
    },
    **ASKED,
)
bodies(
    "openai-chat.empty-choices-only-usage",
    {"pass": [WRITTEN], "warn": [chat(text_chunk("Hel"), text_chunk(), TEXT_LAST, COUNTED, "[DONE]")]},
)
bodies(
    "openai-chat.done-sentinel",
    {
        "pass": [WRITTEN],
        "fail": [chat(TEXT_LAST), WRITTEN + chat("[DONE]"), chat(TEXT_LAST, "[done]")],
        "warn": [chat(TEXT_LAST, "[DONE] ")],
    },
)
bodies("openai-chat.no-null-error-key", {"pass": [WRITTEN], "warn": [chat(TEXT_LAST | {"error": None}, "[DONE]")]})
bodies("openai-chat.tool-call-deltas", {"not-applicable": [WRITTEN]})
add("openai-chat.constant-id", "pass", Tape(body=WRITTEN))
add("openai-chat.constant-id", "warn", Tape(body=chat(text_chunk("Hel"), TEXT_LAST | {"id": "cmpl-2"}, "[DONE]")))
add("openai-chat.error-shape", "pass", refusal(shaped), dialect="openai-completions")
add("openai-chat.error-shape", "fail", refusal(b'{"detail":"x"}'), dialect="openai-completions")
for body, verdict in ((b'{"object":"text_completion"}', "pass"), (b'{"object":"chat.completion"}', "fail")):
    whole = Tape(body=body, **WHOLE)  # type: ignore[arg-type]
    add("openai-chat.stream-flag-honoured", verdict, whole, dialect="openai-completions")

# custom

STRING = b'data: "Hel"\n\ndata: "lo"\n\ndata: [DONE]\n\n'
TOKEN = b'data: {"token":"Hel","done":false}\n\ndata: {"token":"lo","done":false}\n\n'
LAST = b'data: {"token":"","done":true}\n\n'
NAMED = b'event: token\ndata: {"token":"Hel"}\n\nevent: token\ndata: {"token":"lo"}\n\n'
RAW = b"data: Hel\n\ndata: lo\n\n"
DONE = b"event: done\ndata: {}\n\n"
STATUS = b'data: {"status":"searching"}\n\ndata: {"citations":["http://x"]}\n\n'
bodies(
    "custom.consistent-shape",
    {
        "pass": [
            STRING,
            TOKEN + LAST,
            TOKEN + STATUS + TOKEN + LAST,
            NAMED + DONE,
            b'event: token\ndata: {"id":"x"}\n\n' + NAMED + DONE,
        ],
        "fail": [
            TOKEN + b'data: {"text":"x"}\n\n' + LAST,
            STRING.replace(b"data: [DONE]", b'data: {"token":"x"}\n\ndata: [DONE]'),
            NAMED + b'event: token\ndata: {"token":"x","n":1}\n\n' + DONE,
        ],
        "not-applicable": [RAW],
    },
)
bodies(
    "custom.token-done-shape",
    {
        "pass": [TOKEN + LAST, TOKEN + b'data: {"token":"!","done":true}\n\n', TOKEN + STATUS + TOKEN + LAST],
        "fail": [
            TOKEN,
            TOKEN + STATUS,
            TOKEN + LAST + LAST,
            TOKEN + LAST + TOKEN,
            TOKEN + b'data: {"token":null,"done":false}\n\n' + LAST,
            TOKEN + b'data: {"token":"x","done":"no"}\n\n' + LAST,
        ],
        "not-applicable": [STRING, b'data: {"token":"Hel"}\n\n'],
    },
)
add(
    "custom.token-done-shape",
    "pass",
    Tape(body=b'data: {"token":"Hel"}\n\ndata: {"token":"lo"}\n\ndata: {"done":true}\n\n', dialect="token-done"),
)
add("custom.token-done-shape", "fail", Tape(body=b'data: {"token":"Hel"}\n\n', dialect="token-done"))
bodies(
    "custom.explicit-done-event",
    {
        "pass": [TOKEN + LAST, NAMED + DONE, RAW + b"data: [DONE]\n\n"],
        "warn": [STRING, TOKEN + b"data: [DONE]\n\n", NAMED + b"event: done\n\n", RAW],
    },
)
add("custom.explicit-done-event", "warn", Tape(body=RAW, framing=Framing.CLOSE))
bodies(
    "custom.event-names-stable",
    {
        "pass": [NAMED + DONE, STRING],
        "warn": [
            b"event: To Ken\ndata: x\n\n",
            b"event: token\ndata: a\n\ndata: b\n\n",
            b"".join(b"event: e%d\ndata: x\n\n" % n for n in range(13)),
        ],
    },
)
add("custom.raw-text-hazard", "not-applicable", Tape(body=b"Data: Hel\n\n"))
LINES = Tape(scenario="newlines", body=b"data: a\ndata: b\n\n", said="a\nb")
add("custom.raw-text-hazard", "pass", Tape(body=STRING))
add("custom.raw-text-hazard", "pass", Tape(body=RAW + b"data: [DONE]\n\n"), LINES)
add("custom.raw-text-hazard", "warn", Tape(body=RAW))
add("custom.raw-text-hazard", "warn", Tape(body=RAW), LINES)
