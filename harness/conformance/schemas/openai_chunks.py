"""What chunks of Chat Completions and of the older Completions have in common: all but their choices."""

from typing import Final

from streamgauge.conformance.schemas.build import INTEGER, OBJECT, STRING, array_of, exactly, or_null, record
from streamgauge.conformance.schemas.definition import Schema

_USAGE: Final = record(
    optional={
        "prompt_tokens": or_null(INTEGER),
        "completion_tokens": or_null(INTEGER),
        "total_tokens": or_null(INTEGER),
        "prompt_tokens_details": or_null(OBJECT),
        "completion_tokens_details": or_null(OBJECT),
    }
)


def chunk_of(name: str, choice: Schema) -> Schema:
    """A chunk whose `object` is `name`, with such choices."""
    return record(
        {
            "id": STRING,
            "object": exactly(name),
            "created": INTEGER,
            "model": STRING,
            "choices": array_of(choice),
        },
        optional={
            "usage": or_null(_USAGE),
            "system_fingerprint": or_null(STRING),
            "service_tier": or_null(STRING),
        },
    )
