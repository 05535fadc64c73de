"""Healthy streams of the vendors' dialects, one dict a payload, and one change to them at a time."""

import copy
import json
import random
from collections.abc import Sequence
from typing import Any, Final

Payload = dict[str, Any]
ABSENT: Final = object()
"""In place of a value: the member is left out."""


def edited(payloads: Sequence[Payload], index: int, pointer: str, value: Any = ABSENT) -> list[Payload]:
    """A copy of the payloads in which one member of one payload is another, or left out."""
    made = copy.deepcopy(list(payloads))
    *parents, last = pointer.removeprefix("/").split("/")
    target: Any = made[index]
    for key in parents:
        target = target[int(key) if isinstance(target, list) else key]
    if isinstance(target, list):
        target[int(last)] = value
    elif value is ABSENT:
        del target[last]
    else:
        target[last] = value
    return made


def mutate(value: Any, chance: random.Random) -> None:
    """Changes or removes one member, at a random depth."""
    while isinstance(value, (dict, list)) and value:
        key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if chance.random() < 0.5 and isinstance(value[key], (dict, list)) and value[key]:
            value = value[key]
            continue
        if isinstance(value, dict) and chance.random() < 0.4:
            del value[key]
        else:
            value[key] = chance.choice(("x", 5, 2.0, 1.5, True, None, [], {}, ["x"], [{}], {"type": "text"}))
        return


def unnamed_events(payloads: Sequence[Payload], *, done: bool = False) -> bytes:
    body = b"".join(f"data: {json.dumps(payload)}\n\n".encode() for payload in payloads)
    return body + (b"data: [DONE]\n\n" if done else b"")


def named_events(payloads: Sequence[Payload]) -> bytes:
    """Each event has the type of its payload as its name."""
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in payloads)


def lines(payloads: Sequence[Payload]) -> bytes:
    return b"".join(json.dumps(payload).encode() + b"\n" for payload in payloads)


# OpenAI Chat Completions


def chunk(delta: Payload | None = None, finish: str | None = None, **more: Any) -> Payload:
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_800_000_000, "model": "m"}
    return {**base, "choices": [choice], **more}


def call(index: int | None, arguments: Any, name: str | None = None) -> Payload:
    """A chunk with a piece of one tool call; the piece with a name begins the call."""
    function = {"arguments": arguments} | ({"name": name} if name else {})
    piece = {"function": function} | ({} if index is None else {"index": index})
    return chunk({"tool_calls": [piece | ({"id": f"call_{name}", "type": "function"} if name else {})]})


ROLE: Final = chunk({"role": "assistant", "content": ""})
USAGE: Final = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def chat(*chunks: Payload, finish: str = "stop") -> list[Payload]:
    """The chunks between the one with the role and those with the finish reason and the usage."""
    return [ROLE, *chunks, chunk(finish=finish), {**chunk(), "choices": [], "usage": USAGE}]


CHAT: Final = chat(chunk({"content": "Hel"}), chunk({"content": "lo"}))
CALLS: Final = chat(
    call(0, "", "get_weather"),
    call(0, '{"city": '),
    call(0, '"Paris"}'),
    call(1, "{}", "get_time"),
    finish="tool_calls",
)

# OpenAI Completions


def text_chunk(text: str | None = None, finish: str | None = None, **more: Any) -> Payload:
    """A chunk of Completions; without text it has no choice."""
    choices = [] if text is None else [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]
    base = {"id": "cmpl-1", "object": "text_completion", "created": 1_800_000_000, "model": "m"}
    return {**base, "choices": choices, **more}


COMPLETION: Final = [text_chunk("Hel"), text_chunk("lo"), text_chunk("", "stop"), text_chunk(usage=USAGE)]

# Anthropic Messages

MESSAGE: Final[list[Payload]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 5, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
    },
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
]

# OpenAI Responses

PART: Final = {"type": "output_text", "text": "Hello", "annotations": []}
ITEM: Final = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [PART]}
FUNCTION: Final = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "get_time", "arguments": "{}"}
RESPONSE_USAGE: Final = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}


def response(final: Payload | None = None, kind: str = "response.completed") -> list[Payload]:
    """A text and a call; `final` changes the response of the last event."""
    base = {"id": "resp_1", "object": "response", "created_at": 1_800_000_000, "model": "m"}
    begun = {**base, "status": "in_progress", "output": [], "usage": None}
    ended = {**base, "status": kind.rpartition(".")[2], "output": [ITEM, FUNCTION], "usage": RESPONSE_USAGE}
    part: Payload = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    of_call: Payload = {"item_id": "fc_1", "output_index": 1}
    events: list[Payload] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, "content": []}},
        {"type": "response.content_part.added", **part, "part": {**PART, "text": ""}},
        {"type": "response.output_text.delta", **part, "delta": "Hello", "logprobs": []},
        {"type": "response.output_text.done", **part, "text": "Hello", "logprobs": []},
        {"type": "response.content_part.done", **part, "part": PART},
        {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
        {"type": "response.output_item.added", "output_index": 1, "item": {**FUNCTION, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", **of_call, "delta": "{}"},
        {"type": "response.function_call_arguments.done", **of_call, "arguments": "{}"},
        {"type": "response.output_item.done", "output_index": 1, "item": FUNCTION},
        {"type": kind, "response": {**ended, **(final or {})}},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


RESPONSE: Final = response()

# Gemini, Cohere, Ollama

GEMINI: Final[list[Payload]] = [
    {
        "candidates": [{"content": {"parts": [{"text": "Hel"}], "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1, "totalTokenCount": 6},
    },
    {
        "candidates": [
            {
                "content": {"parts": [{"functionCall": {"name": "get_time", "args": {}}}], "role": "model"},
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7},
        "modelVersion": "m",
    },
]
COHERE: Final[list[Payload]] = [
    {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant", "content": []}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hello"}}}},
    {"type": "content-end", "index": 0},
    {
        "type": "tool-call-start",
        "index": 0,
        "delta": {
            "message": {"tool_calls": {"id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}}}
        },
    },
    {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": "{}"}}}}},
    {"type": "tool-call-end", "index": 0},
    {
        "type": "message-end",
        "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": 5, "output_tokens": 2}}},
    },
]
_LINE: Final = {"model": "m", "created_at": "2027-01-15T08:00:00Z"}
OLLAMA: Final[list[Payload]] = [
    {**_LINE, "message": {"role": "assistant", "content": "Hello"}, "done": False},
    {
        **_LINE,
        "message": {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "get_time", "arguments": {"city": "Paris"}}}],
        },
        "done": False,
    },
    {
        **_LINE,
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "total_duration": 1,
        "eval_count": 2,
    },
]
OLLAMA_GENERATE: Final[list[Payload]] = [
    {**_LINE, "response": "Hello", "done": False},
    {**_LINE, "response": "", "done": True, "done_reason": "stop", "total_duration": 1, "eval_count": 2},
]
UI_MESSAGE: Final[list[Payload]] = [
    {"type": "start", "messageId": "m1"},
    {"type": "start-step"},
    {"type": "text-start", "id": "0"},
    {"type": "text-delta", "id": "0", "delta": "Hel"},
    {"type": "text-delta", "id": "0", "delta": "lo"},
    {"type": "text-end", "id": "0"},
    {"type": "tool-input-start", "toolCallId": "c1", "toolName": "get_time"},
    {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": "{}"},
    {"type": "tool-input-available", "toolCallId": "c1", "toolName": "get_time", "input": {}},
    {"type": "finish-step"},
    {"type": "finish", "finishReason": "stop"},
]
STREAMS: Final[dict[str, list[Payload]]] = {
    "openai-chat": [*CHAT, *CALLS],
    "openai-completions": COMPLETION,
    "openai-responses": RESPONSE,
    "anthropic": MESSAGE,
    "gemini": GEMINI,
    "cohere": COHERE,
    "ollama": OLLAMA,
    "ollama-generate": OLLAMA_GENERATE,
    "ai-sdk-ui": UI_MESSAGE,
}
