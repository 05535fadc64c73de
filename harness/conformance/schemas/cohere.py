"""Cohere's v2 chat events: https://docs.cohere.com/docs/streaming.

Required is the text that an application reads. Cohere's own SDK has a default for every member, so all else is only
documented. Judged by cohere.lifecycle, and so not here: indices, and the presence of finish_reason and usage.
"""

from typing import Final

from streamgauge.conformance.schemas.build import NUMBER, STRING, exactly, or_null, record
from streamgauge.conformance.schemas.definition import Definition, Schema


def _message(members: dict[str, Schema]) -> Schema:
    """An event whose delta is a message with these members."""
    return record({"delta": record({"message": record(members)})})


_TEXT: Final = record(optional={"text": or_null(STRING), "thinking": or_null(STRING), "type": or_null(STRING)})
_ARGUMENTS: Final = record(optional={"name": or_null(STRING), "arguments": or_null(STRING)})
_CALL: Final = record(
    {"id": STRING, "function": record({"name": STRING}, optional={"arguments": or_null(STRING)})}, {"type": STRING}
)
_COUNTS: Final = record(optional={"input_tokens": or_null(NUMBER), "output_tokens": or_null(NUMBER)})
_USAGE: Final = record(optional={"billed_units": or_null(_COUNTS), "tokens": or_null(_COUNTS)})
_END: Final = record(
    {"delta": record(optional={"finish_reason": or_null(STRING), "usage": or_null(_USAGE), "error": or_null(STRING)})}
)
DEFINITION: Final = Definition(
    {
        "message-start": record(
            documented={
                "id": STRING,
                "delta": record({"message": record(documented={"role": exactly("assistant")})}),
            }
        ),
        "content-start": _message({"content": {**_TEXT, "required": ["type"]}}),
        "content-delta": _message({"content": _TEXT}),
        "tool-plan-delta": _message({"tool_plan": STRING}),
        "tool-call-start": _message({"tool_calls": _CALL}),
        "tool-call-delta": _message({"tool_calls": record({"function": _ARGUMENTS})}),
        "citation-start": _message({"citations": {"type": ["object", "array"]}}),
        "message-end": _END,
    }
)
