"""OpenAI's response events: https://platform.openai.com/docs/api-reference/responses-streaming.

Required is what openai-python's and openai-node's `responses.stream()` or the Vercel AI SDK read without a default.
Judged by checks of their own, and so not here: sequence_number, the indices of items and parts, the error.
"""

from typing import Final

from streamgauge.conformance.schemas.build import (
    ARRAY,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    array_of,
    exactly,
    or_null,
    record,
    tagged,
)
from streamgauge.conformance.schemas.definition import Definition, Schema

_PART: Final = tagged(
    output_text=record({"text": STRING}, {"annotations": ARRAY}, {"logprobs": or_null(ARRAY)}),
    refusal=record({"refusal": STRING}),
    summary_text=record({"text": STRING}),
    reasoning_text=record({"text": STRING}),
)
_ITEM: Final = tagged(
    message=record({"id": STRING, "content": array_of(_PART)}, {"role": exactly("assistant"), "status": STRING}),
    function_call=record({"call_id": STRING, "name": STRING, "arguments": STRING}, {"id": STRING}),
    custom_tool_call=record({"call_id": STRING, "name": STRING, "input": STRING}),
    reasoning=record({"id": STRING, "summary": array_of(_PART)}, optional={"content": or_null(array_of(_PART))}),
)
_USAGE: Final = record(
    {"input_tokens": INTEGER, "output_tokens": INTEGER},
    {"total_tokens": INTEGER},
    {"input_tokens_details": or_null(OBJECT), "output_tokens_details": or_null(OBJECT)},
)


def _response(usage: bool = False) -> Schema:
    return record(
        {"id": STRING, "output": array_of(_ITEM)} | ({"usage": _USAGE} if usage else {}),
        {"object": exactly("response"), "created_at": NUMBER, "status": STRING, "model": STRING},
        {
            "error": or_null(OBJECT),
            "incomplete_details": or_null(OBJECT),
            "metadata": or_null(OBJECT),
            "tools": or_null(array_of(OBJECT)),
        }
        | ({} if usage else {"usage": or_null(_USAGE)}),
    )


_IN_ITEM: Final = {"item_id": STRING}
_STATE: Final = record({"response": _response()})
_ITEM_EVENT: Final = record({"item": _ITEM})
_PART_EVENT: Final = record({**_IN_ITEM, "part": _PART})
_DELTA: Final = record({**_IN_ITEM, "delta": STRING}, optional={"logprobs": or_null(ARRAY)})
_TEXT: Final = record({**_IN_ITEM, "text": STRING}, optional={"logprobs": or_null(ARRAY)})
DEFINITION: Final = Definition(
    {
        "response.created": _STATE,
        "response.queued": _STATE,
        "response.in_progress": _STATE,
        "response.completed": record({"response": _response(usage=True)}),
        "response.incomplete": _STATE,
        "response.failed": _STATE,
        "response.output_item.added": _ITEM_EVENT,
        "response.output_item.done": _ITEM_EVENT,
        "response.content_part.added": _PART_EVENT,
        "response.content_part.done": _PART_EVENT,
        "response.output_text.delta": _DELTA,
        "response.output_text.done": _TEXT,
        "response.refusal.delta": _DELTA,
        "response.refusal.done": record({**_IN_ITEM, "refusal": STRING}),
        "response.function_call_arguments.delta": _DELTA,
        "response.function_call_arguments.done": record({**_IN_ITEM, "arguments": STRING}),
        "response.reasoning_summary_part.added": _PART_EVENT,
        "response.reasoning_summary_part.done": _PART_EVENT,
        "response.reasoning_summary_text.delta": _DELTA,
        "response.reasoning_summary_text.done": _TEXT,
        "response.reasoning_text.delta": _DELTA,
        "response.reasoning_text.done": _TEXT,
    }
)
