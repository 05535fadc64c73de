"""The dialects, in the order in which `auto` tries them: the more telling the shape, the earlier."""

import difflib

from harness.dialects.anthropic import Anthropic
from harness.dialects.base import Dialect, Media
from harness.dialects.cohere import Cohere
from harness.dialects.event_json import EventJson
from harness.dialects.event_text import EventText
from harness.dialects.gemini import Gemini
from harness.dialects.json_string import JsonString
from harness.dialects.ollama import Ollama, OllamaGenerate
from harness.dialects.openai_chat import OpenAIChat
from harness.dialects.openai_responses import OpenAIResponses
from harness.dialects.plain_text import PlainText
from harness.dialects.raw_text import RawText
from harness.dialects.token_done import TokenDone
from harness.errors import UsageError
from harness.eventstream import Event

AUTO = "auto"
DIALECTS: tuple[Dialect, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    Anthropic(),
    Gemini(),
    Cohere(),
    Ollama(),
    OllamaGenerate(),
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
    """The dialect that is spoken at a URL's path, where the path alone tells."""
    return next((dialect for dialect in DIALECTS if dialect.places and dialect.places.search(path)), None)
