"""The dialects, in the order in which a payload is compared with them: the most specific shapes come first."""

import difflib
from typing import Final

from streamgauge.errors import UsageError
from streamgauge.protocol.dialects.ai_sdk_ui import AiSdkUi
from streamgauge.protocol.dialects.anthropic import Anthropic
from streamgauge.protocol.dialects.base import Delta, Dialect, Kind
from streamgauge.protocol.dialects.cohere import Cohere
from streamgauge.protocol.dialects.event_json import EventJson
from streamgauge.protocol.dialects.event_text import EventText
from streamgauge.protocol.dialects.foreign import foreign
from streamgauge.protocol.dialects.gemini import Gemini
from streamgauge.protocol.dialects.json_string import JsonString
from streamgauge.protocol.dialects.langgraph import LangGraph
from streamgauge.protocol.dialects.ollama import Ollama, OllamaGenerate
from streamgauge.protocol.dialects.openai_chat import OpenAIChat
from streamgauge.protocol.dialects.openai_completions import OpenAICompletions
from streamgauge.protocol.dialects.openai_responses import OpenAIResponses
from streamgauge.protocol.dialects.plain_text import PlainText
from streamgauge.protocol.dialects.raw_text import RawText
from streamgauge.protocol.dialects.token_done import TokenDone
from streamgauge.protocol.eventstream import Event

MOST_DELTAS: Final = 1_000
"""Of an event. OpenAI allows 128 choices, and an event of 3.5 MB held 100,000 that took 25 MB in memory."""

AUTO = "auto"
DIALECTS: tuple[Dialect, ...] = (
    OpenAIChat(),
    AiSdkUi(),
    LangGraph(),
    OpenAIResponses(),
    Anthropic(),
    Gemini(),
    Ollama(),
    OllamaGenerate(),
    Cohere(),
    OpenAICompletions(),
    EventJson(),
    TokenDone(),
    JsonString(),
    EventText(),
    RawText(),
    PlainText(),
)
# Readers of text that has JSON objects between the texts.
_AMID_JSON: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (RawText(amid_json=True), EventText(amid_json=True))
}
_AMID = "+json"


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


def amid_json(name: str) -> Dialect:
    """The dialect of text called `name`, read so that JSON objects between the texts are not tokens."""
    return _AMID_JSON[name]


def key_of(dialect: Dialect) -> str:
    """A key by which another process finds the same reader (`by_key`)."""
    return dialect.name + (_AMID if dialect in _AMID_JSON.values() else "")


def by_key(key: str) -> Dialect:
    """The reader with this key (`key_of`), or the dialect with this name. Raises UsageError on an unknown one."""
    name = key.removesuffix(_AMID)
    return amid_json(name) if name != key and name in _AMID_JSON else by_name(key)


def deltas_of(dialect: Dialect, event: Event) -> list[Delta]:
    """The deltas of an event in a stream of this dialect. What the dialect does not know may be an error or a heartbeat
    of another shape: it is one.
    """
    deltas = dialect.deltas_in(event)
    if len(deltas) > MOST_DELTAS:
        return [Delta(Kind.META, value=f"it has more than {MOST_DELTAS:,} parts")]
    if len(deltas) == 1 and deltas[0].kind in (Kind.META, Kind.ERROR) and (known := foreign(event)):
        return [known]
    return deltas


def at_path(path: str) -> Dialect | None:
    """The dialect of a URL whose path only one dialect uses; else None."""
    return next((dialect for dialect in DIALECTS if dialect.places and dialect.places.search(path)), None)
