"""The dialects that are served; a new one is a file and a line here."""

from mock_provider.dialects import (
    event_json,
    event_text,
    json_string,
    openai_chat,
    plain_text,
    raw_text,
    token_done,
)
from mock_provider.dialects.base import Dialect

DIALECTS: tuple[Dialect, ...] = (
    openai_chat.DIALECT,
    json_string.DIALECT,
    token_done.DIALECT,
    event_text.DIALECT,
    raw_text.DIALECT,
    event_json.DIALECT,
    plain_text.DIALECT,
)
