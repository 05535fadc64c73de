"""The dialects that are served; a new one is a file and a line here."""

from streamgauge.mock_provider.dialects import (
    anthropic,
    azure_chat,
    cohere,
    event_json,
    event_text,
    gemini,
    json_string,
    ollama,
    openai_chat,
    openai_responses,
    plain_text,
    raw_text,
    token_done,
)
from streamgauge.mock_provider.dialects.base import Dialect

DIALECTS: tuple[Dialect, ...] = (
    openai_chat.DIALECT,
    azure_chat.DIALECT,
    openai_responses.DIALECT,
    json_string.DIALECT,
    token_done.DIALECT,
    event_text.DIALECT,
    raw_text.DIALECT,
    event_json.DIALECT,
    plain_text.DIALECT,
    anthropic.DIALECT,
    gemini.DIALECT,
    ollama.CHAT,
    ollama.GENERATE,
    cohere.DIALECT,
)
