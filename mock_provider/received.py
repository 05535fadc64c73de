"""What a request asked of the model, as it arrived: so the ledger shows what an application passed on.

It reads every vendor's field names, so that it needs nothing of a dialect and cannot fail on a field of a wrong type.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from streamgauge.mock_provider.http import Request

MOST_MESSAGES = 50  # kept of a conversation: the first 10 and the last 40
_FIRST = 10
EXCERPT = 200  # characters kept of each message's text
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens", "num_predict")
_LIMIT_PARENTS = ("generationConfig", "options")  # Gemini and Ollama nest the limit in these objects
_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")  # where no message holds it
_TURNS = ("messages", "input", "contents")


def received(request: Request) -> dict[str, Any] | None:
    """Model, limit, whether it streams and wants usage, number of tools, and the messages; None without a JSON body."""
    body = _object(request)
    if body is None:
        return None
    messages = [_message(role, text) for role, text in _messages(body)]
    options, tools = body.get("stream_options"), body.get("tools")
    return {
        "model": _text_or_none(body.get("model") or request.places.get("model")),
        "stream": body.get("stream") if isinstance(body.get("stream"), bool) else None,
        "include_usage": isinstance(options, dict) and options.get("include_usage") is True,
        "max_tokens": _limit(body),
        "tools": len(tools) if isinstance(tools, list) else 0,
        "message_count": len(messages),
        "messages": messages
        if len(messages) <= MOST_MESSAGES
        else [*messages[:_FIRST], *messages[_FIRST - MOST_MESSAGES :]],
    }


def conversation(request: Request) -> tuple[str, ...]:
    """The texts of all messages, the instructions first; empty without a JSON body."""
    body = _object(request)
    return () if body is None else tuple(text for _, text in _messages(body))


def _object(request: Request) -> dict[str, Any] | None:
    try:
        body = json.loads(request.body) if request.body else None
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _message(role: str, text: str) -> dict[str, Any]:
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return {"role": role[:40], "characters": len(text), "sha256": digest, "text": text[:EXCERPT]}


def _messages(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The role and the text of each message, the instructions beside the messages first."""
    for name in _SYSTEM:
        if text := _text(body.get(name)):
            yield "system", text
    turns = next((body[name] for name in _TURNS if name in body), None)
    if turns is None:
        turns = next((body[name] for name in ("prompt", "message") if isinstance(body.get(name), str)), "")
    if isinstance(turns, str):
        if turns:
            yield "user", turns
        return
    for turn in turns if isinstance(turns, list) else ():
        if isinstance(turn, dict):
            yield str(turn.get("role", "user")), _text(turn.get("content", turn.get("parts")))


def _text(content: Any) -> str:
    """The text of a message: a string, a part with a text, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        inner = content.get("text", content.get("parts"))
        return _text(inner) if isinstance(inner, (str, list)) else ""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return ""


def _limit(body: dict[str, Any]) -> int | None:
    places = [body, *(body[name] for name in _LIMIT_PARENTS if isinstance(body.get(name), dict))]
    found = (place[name] for place in places for name in _LIMITS if name in place)
    return next((value for value in found if isinstance(value, int) and not isinstance(value, bool)), None)


def _text_or_none(value: Any) -> str | None:
    return value[:EXCERPT] if isinstance(value, str) else None
