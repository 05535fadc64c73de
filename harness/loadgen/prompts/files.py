"""Prompts from text: JSONL, or one prompt a line. Pure: lines in, prompts out."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts.lengths import MOST_TOKENS

MOST_LINE: Final = 16 * 1024 * 1024
MOST_PROMPTS: Final = 1_000_000

_OUTPUT: Final = ("output_tokens", "max_tokens", "max_completion_tokens", "max_output_tokens")
_HINT: Final = (
    'a line is "text", {"prompt": "text"} or {"messages": [{"role": "user", "content": "text"}]}, '
    f"with {_OUTPUT[0]} or {_OUTPUT[1]} beside it if wanted"
)


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a file: a text or messages, and the length of the answer if the line has one."""

    text: str = ""
    messages: tuple[dict[str, Any], ...] | None = None
    output_tokens: int | None = None


def parse_prompts(lines: Iterable[str], name: str) -> list[Entry]:
    """The prompts of a file: JSONL if its name or its first line says so, else one on each line.

    Empty lines are skipped. Raises UsageError that names the line.
    """
    described: bool | None = True if name.lower().endswith((".jsonl", ".ndjson", ".json")) else None
    entries: list[Entry] = []
    for number, line in enumerate(lines, 1):
        text = line.strip().lstrip("\ufeff")
        if not text:
            continue
        if len(entries) == MOST_PROMPTS:
            raise UsageError(f"{name} has more than {MOST_PROMPTS:,} prompts", "cut the file")
        if len(text) > MOST_LINE:
            raise UsageError(f"{name}, line {number} is longer than {MOST_LINE:,} characters", "shorten it")
        if described is None:
            described = _describes(text)
        entries.append(_entry(text, f"{name}, line {number}") if described else Entry(text))
    if not entries:
        raise UsageError(f"{name} holds no prompt", _HINT if described else "write one prompt on each line")
    return entries


def _describes(first: str) -> bool:
    """Whether a first line is an object of JSONL. A file may have any name, so the content counts too."""
    try:
        value = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return isinstance(value, dict) and ("prompt" in value or "messages" in value)


def _entry(text: str, where: str) -> Entry:
    try:
        value = msgspec.json.decode(text)
        text.encode()  # half of a surrogate pair, as an escape, can be decoded but not sent
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON: {error}", _HINT) from None
    if isinstance(value, str):
        value = {"prompt": value}
    if not isinstance(value, dict):
        raise UsageError(f"{where} is {_kind(value)}, not a text or an object", _HINT)
    prompt, messages = value.get("prompt"), value.get("messages")
    if "conversations" in value:
        raise UsageError(
            f"{where} is a conversation of ShareGPT, not one prompt",
            "replay it: --replay FILE --rate 2/s starts sessions",
        )
    if (prompt is None) == (messages is None):
        raise UsageError(f"{where} must have either prompt or messages; it has {_keys(value)}", _HINT)
    output_tokens = _output(value, where)
    if messages is not None:
        return Entry(messages=_messages(messages, where), output_tokens=output_tokens)
    if not isinstance(prompt, str) or not prompt.strip():
        raise UsageError(f"{where}: prompt is not a text, or is empty", _HINT)
    return Entry(prompt, output_tokens=output_tokens)


def _messages(value: Any, where: str) -> tuple[dict[str, Any], ...]:
    if not isinstance(value, list) or not value:
        raise UsageError(f"{where}: messages is not a list, or is empty", _HINT)
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str) or "content" not in message:
            raise UsageError(f"{where}: a message has no role and content", _HINT)
    return tuple(value)


def _output(value: dict[str, Any], where: str) -> int | None:
    name = next((key for key in _OUTPUT if value.get(key) is not None), None)
    if name is None:
        return None
    tokens = value[name]
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not 1 <= tokens <= MOST_TOKENS:
        raise UsageError(
            f"{where}: {name} is {str(tokens)[:40]!r}, not a whole number from 1 to {MOST_TOKENS:,}", _HINT
        )
    return tokens


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "null" if value is None else f"a {type(value).__name__}"


def _keys(value: dict[str, Any]) -> str:
    return ", ".join(list(value)[:8])[:120] or "nothing"
