"""Anthropic's message events: https://platform.claude.com/docs/en/build-with-claude/streaming.

Required is what anthropic-sdk-python's and -typescript's `messages.stream()` or the Vercel AI SDK read without a
default. Judged by checks of their own, and so not here: the indices and types of blocks, the stop_reason and output
tokens of message_delta, the error.
"""

from typing import Final

from streamgauge.conformance.schemas.build import (
    INTEGER,
    OBJECT,
    STRING,
    array_of,
    exactly,
    or_null,
    record,
    tagged,
)
from streamgauge.conformance.schemas.definition import Definition

_CACHE: Final = {
    "cache_creation_input_tokens": or_null(INTEGER),
    "cache_read_input_tokens": or_null(INTEGER),
    "cache_creation": or_null(OBJECT),
    "server_tool_use": or_null(OBJECT),
    "service_tier": or_null(STRING),
}
_MESSAGE: Final = record(
    {
        "content": array_of(OBJECT),
        "usage": record({"input_tokens": INTEGER}, {"output_tokens": INTEGER}, _CACHE),
    },
    {
        "id": STRING,
        "type": exactly("message"),
        "role": exactly("assistant"),
        "model": STRING,
        "stop_reason": or_null(STRING),
        "stop_sequence": or_null(STRING),
    },
)
_TOOL_USE: Final = record({"id": STRING, "name": STRING}, {"input": OBJECT})
_BLOCK: Final = {
    **tagged(
        text=record({"text": STRING}),
        thinking=record({"thinking": STRING}, optional={"signature": or_null(STRING)}),
        redacted_thinking=record(documented={"data": STRING}),
        tool_use=_TOOL_USE,
        server_tool_use=_TOOL_USE,
    ),
    "required": [],  # anthropic.event-order names a block without a type
}
_DELTA: Final = tagged(
    text_delta=record({"text": STRING}),
    input_json_delta=record({"partial_json": STRING}),
    thinking_delta=record({"thinking": STRING}),
    signature_delta=record({"signature": STRING}),
    citations_delta=record({"citation": OBJECT}),
)
_MESSAGE_DELTA: Final = record(
    {"delta": record(optional={"stop_reason": or_null(STRING), "stop_sequence": or_null(STRING)})},
    optional={
        "usage": record(optional={"input_tokens": or_null(INTEGER), "output_tokens": or_null(INTEGER), **_CACHE})
    },
)
DEFINITION: Final = Definition(
    {
        "message_start": record({"message": _MESSAGE}),
        "content_block_start": record(optional={"content_block": _BLOCK}),
        "content_block_delta": record({"delta": _DELTA}),
        "message_delta": _MESSAGE_DELTA,
    }
)
