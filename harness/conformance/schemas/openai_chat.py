"""OpenAI's chat.completion.chunk: https://platform.openai.com/docs/api-reference/chat-streaming.

The vendor's definition, opened where widely used compatible servers differ and all SDKs agree to it: nulls in place of
absent members (vLLM, Mistral, OpenRouter), `content` as an array of typed parts (Mistral), chunks of content filters
without completion (Azure). Judged by checks of their own, and so not here: presence and value of `finish_reason`, the
counts of `usage`, `index` and `id` of tool calls, the error.
"""

from typing import Final

from streamgauge.conformance.schemas.build import (
    ARRAY,
    INTEGER,
    OBJECT,
    STRING,
    array_of,
    or_null,
    record,
    tagged,
    unless,
)
from streamgauge.conformance.schemas.definition import ANY, Definition, Schema
from streamgauge.conformance.schemas.openai_chunks import chunk_of

_FUNCTION: Final = record(optional={"name": or_null(STRING), "arguments": or_null(STRING)})
_TOOL_CALL: Final = record(
    optional={"id": or_null(STRING), "type": or_null(STRING), "function": or_null(_FUNCTION)},
)
# A string, null, or Mistral's parts: then `items` holds, which says nothing of the other types.
_CONTENT: Final[Schema] = {**array_of(tagged(text=record({"text": STRING}))), "type": ["string", "array", "null"]}
_DELTA: Final = record(
    optional={
        "role": or_null(STRING),
        "content": _CONTENT,
        "refusal": or_null(STRING),
        "reasoning": or_null(STRING),
        "reasoning_content": or_null(STRING),
        "tool_calls": or_null(array_of(_TOOL_CALL)),
        "function_call": or_null(_FUNCTION),
    }
)
_LOGPROBS: Final = record(optional={"content": or_null(array_of(OBJECT)), "refusal": or_null(array_of(OBJECT))})
_PLAIN_CHOICE: Final = record(
    {"index": INTEGER, "delta": _DELTA}, optional={"finish_reason": or_null(STRING), "logprobs": or_null(_LOGPROBS)}
)
# Azure's asynchronous filter annotates text that has gone out, in choices without a delta.
_CHOICE: Final[Schema] = {"type": "object", **unless({"content_filter_offsets": OBJECT}, _PLAIN_CHOICE)}
_CHUNK: Final = chunk_of("chat.completion.chunk", _CHOICE)
# Azure's first chunk has the filter's results for the prompt, and an empty id, model and object.
DEFINITION: Final = Definition(
    {ANY: {"type": "object", **unless({"prompt_filter_results": ARRAY, "choices": ARRAY}, _CHUNK)}}
)
