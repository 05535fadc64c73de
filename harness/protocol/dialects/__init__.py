"""The dialects, in the order in which `auto` tries them: the most specific shapes come first."""

import difflib

from streamgauge.errors import UsageError
from streamgauge.protocol.dialects.anthropic import Anthropic
from streamgauge.protocol.dialects.base import Dialect, Media
from streamgauge.protocol.dialects.cohere import Cohere
from streamgauge.protocol.dialects.event_json import EventJson
from streamgauge.protocol.dialects.event_text import EventText
from streamgauge.protocol.dialects.gemini import Gemini
from streamgauge.protocol.dialects.json_string import JsonString
from streamgauge.protocol.dialects.ollama import Ollama, OllamaGenerate
from streamgauge.protocol.dialects.openai_chat import OpenAIChat
from streamgauge.protocol.dialects.openai_responses import OpenAIResponses
from streamgauge.protocol.dialects.plain_text import PlainText
from streamgauge.protocol.dialects.raw_text import RawText
from streamgauge.protocol.dialects.token_done import TokenDone
from streamgauge.protocol.eventstream import Event

AUTO = "auto"
DIALECTS: tuple[Dialect, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    Anthropic(),
    Gemini(),
    Ollama(),
    OllamaGenerate(),
    Cohere(),
    EventJson(),
    TokenDone(),
    JsonString(),
    EventText(),
    RawText(),
    PlainText(),
)


def by_name(name: str) -> Dialect:
    """The dialect called `name`. Raises UsageError with the nearest name on an unknown one."""
    for dialect in DIALECTS:
        if dialect.name == name:
            return dialect
    names = [dialect.name for dialect in DIALECTS]
    near = difflib.get_close_matches(name, names, n=1)
    raise UsageError(
        f"unknown dialect {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""),
        f"use {AUTO}, or one of: {', '.join(names)}",
    )


def detect(event: Event) -> tuple[Dialect, str]:
    """The dialect that the first event with data speaks, and the rule that recognised it."""
    for dialect in DIALECTS:
        if dialect.media is Media.SSE and (why := dialect.sniff(event)):
            return dialect, why
    raise AssertionError("raw-text takes every event")


def detect_line(line: Event) -> tuple[Dialect, str] | None:
    """The dialect of a body that begins with this line of JSON, and the rule that recognised it."""
    for dialect in DIALECTS:
        if dialect.media is Media.NDJSON and (why := dialect.sniff(line)):
            return dialect, why
    return None


def at_path(path: str) -> Dialect | None:
    """The dialect of a URL whose path only one dialect uses; else None."""
    return next((dialect for dialect in DIALECTS if dialect.places and dialect.places.search(path)), None)
