"""Gemini's GenerateContentResponse: https://ai.google.dev/api/generate-content.

google-genai for Python refuses members of another type. Members without a value are absent, as protocol buffers write
JSON; a null is read as absent by all SDKs.
"""

from typing import Final

from streamgauge.conformance.schemas.build import (
    ARRAY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    array_of,
    exactly,
    or_null,
    record,
    unless,
)
from streamgauge.conformance.schemas.definition import ANY, Definition, Schema

_CALL: Final = record({"name": STRING}, optional={"id": or_null(STRING), "args": or_null(OBJECT)})
_PART: Final = record(
    optional={
        "text": or_null(STRING),
        "thought": or_null(BOOLEAN),
        "thoughtSignature": or_null(STRING),
        "functionCall": or_null(_CALL),
        "inlineData": or_null(OBJECT),
        "executableCode": or_null(OBJECT),
        "codeExecutionResult": or_null(OBJECT),
    }
)
_ROLE: Final[Schema] = {"if": {"type": "null"}, "else": exactly("model")}
# The last candidate may hold only its finishReason.
_CANDIDATE: Final[Schema] = {
    **record(
        optional={
            "content": or_null(record(optional={"role": _ROLE, "parts": or_null(array_of(_PART))})),
            "finishReason": or_null(STRING),
            "index": or_null(INTEGER),
            "avgLogprobs": or_null(NUMBER),
            "safetyRatings": or_null(array_of(OBJECT)),
        }
    ),
    **unless({"finishReason": STRING}, record({"content": record({"parts": array_of(_PART)})})),
}
_COUNTS: Final = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount", "thoughtsTokenCount")
_RESPONSE: Final = record(
    optional={
        "candidates": array_of(_CANDIDATE),
        "usageMetadata": or_null(record(optional={name: or_null(INTEGER) for name in _COUNTS})),
        "promptFeedback": or_null(OBJECT),
        "modelVersion": or_null(STRING),
        "responseId": or_null(STRING),
    }
)
DEFINITION: Final = Definition(
    {
        ANY: {
            **_RESPONSE,
            # A blocked prompt has no candidates, and a last response may hold only the counts.
            **unless({"promptFeedback": OBJECT}, unless({"usageMetadata": OBJECT}, record({"candidates": ARRAY}))),
        }
    }
)
