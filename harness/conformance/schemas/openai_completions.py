"""OpenAI's text_completion: https://platform.openai.com/docs/api-reference/completions/object.

The vendor's definition, opened as that of Chat Completions is. `text` is never null: code that adds texts up fails.
"""

from typing import Final

from streamgauge.conformance.schemas.build import INTEGER, OBJECT, STRING, or_null, record
from streamgauge.conformance.schemas.definition import ANY, Definition
from streamgauge.conformance.schemas.openai_chunks import chunk_of

_CHOICE: Final = record(
    {"index": INTEGER, "text": STRING}, optional={"finish_reason": or_null(STRING), "logprobs": or_null(OBJECT)}
)
DEFINITION: Final = Definition({ANY: chunk_of("text_completion", _CHOICE)})
