"""Ollama's lines of /api/chat and /api/generate: https://github.com/ollama/ollama/blob/main/docs/api.md.

ollama-python refuses members of another type, and lines without `message` or `response`. Unlike OpenAI's, the arguments
of a tool call are an object. `done` and the presence of the counts are judged by ollama.done-true-last.
"""

from typing import Final

from streamgauge.conformance.schemas.build import INTEGER, OBJECT, STRING, array_of, or_null, record
from streamgauge.conformance.schemas.definition import ANY, Definition, Schema

_CALL: Final = record({"function": record({"name": STRING, "arguments": OBJECT})})
_MESSAGE: Final = record(
    {"role": STRING},
    {"content": or_null(STRING)},
    {"thinking": or_null(STRING), "tool_calls": or_null(array_of(_CALL))},
)
_COUNTS: Final = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)


def _line(required: dict[str, Schema]) -> Schema:
    return record(
        required,
        {"model": STRING, "created_at": STRING},
        {
            "done_reason": or_null(STRING),
            "thinking": or_null(STRING),
            **{name: or_null(INTEGER) for name in _COUNTS},
        },
    )


CHAT: Final = Definition({ANY: _line({"message": _MESSAGE})})
GENERATE: Final = Definition({ANY: _line({"response": STRING})})
