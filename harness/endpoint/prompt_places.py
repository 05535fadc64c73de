"""Where a request holds its prompt, its messages and the length of the answer, and how to put them there.

The prompt goes to the first place that exists: `{{prompt}}` in the URL or body, a query parameter or body field with a
usual name, the last user turn of a chat body.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from streamgauge.errors import UsageError

PLACEHOLDER: Final = "{{prompt}}"
PROMPT_NAMES: Final = ("message", "prompt", "input", "query", "question", "text", "q")
LIMIT_NAMES: Final = (
    "max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "maxOutputTokens", "num_predict",
)  # fmt: skip
_LIMIT_PARENTS: Final = ("generationConfig", "options")  # Gemini and Ollama nest the limit in these objects


def fill_url(url: str, prompt: str) -> str | None:
    """The URL with the prompt in place of `{{prompt}}`, percent-encoded or not; None for a URL without it."""
    encoded = quote(PLACEHOLDER)
    if PLACEHOLDER not in url and encoded not in url:
        return None
    filled = quote(prompt, safe="")
    return url.replace(encoded, filled).replace(PLACEHOLDER, filled)


def prompt_parameter(url: str) -> str | None:
    """The query parameter that carries the prompt; empty for a query without one, None for a URL without a query."""
    names = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    if not names:
        return None
    return next((name for name in names if name.lower() in PROMPT_NAMES), "")


def with_query(url: str, changes: Mapping[str, str]) -> str:
    """The URL with these query parameters added or replaced."""
    if not changes:
        return url
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in changes]
    return urlunsplit(parts._replace(query=urlencode([*kept, *changes.items()], quote_via=quote)))


def fill_body(template: str, prompt: str) -> str | None:
    """The body with the prompt at the placeholder, else where chat and application bodies usually hold it.

    None when the body has no such place.
    """
    if PLACEHOLDER in template:
        return template.replace(PLACEHOLDER, json.dumps(prompt, ensure_ascii=False)[1:-1])
    fields = _object_in(template)
    if fields is None or not (_fill_last_user_turn(fields, prompt) or _fill_prompt_field(fields, prompt)):
        return None
    return json.dumps(fields, ensure_ascii=False)


def _fill_last_user_turn(fields: dict[str, Any], prompt: str) -> bool:
    """Chat Completions and Messages, Responses, Gemini: a list of turns whose text is a string or a list of parts."""
    gemini_parts = [{"text": prompt}]
    for turns, key, text in (("messages", "content", prompt), ("input", "content", prompt),
                             ("contents", "parts", gemini_parts)):  # fmt: skip
        for turn in reversed(fields[turns]) if isinstance(fields.get(turns), list) else ():
            if isinstance(turn, dict) and turn.get("role") == "user":
                turn[key] = text
                return True
    return False


def _fill_prompt_field(fields: dict[str, Any], prompt: str) -> bool:
    name = next((name for name in PROMPT_NAMES if isinstance(fields.get(name), str)), None)
    if name is not None:
        fields[name] = prompt
    return name is not None


def put_messages(body: str | None, messages: Sequence[Mapping[str, Any]]) -> str:
    """The body with these messages instead of its own. Raises UsageError when it has no list of messages."""
    fields = _object_in(body) or {}
    if not _takes_messages(fields):
        raise UsageError(
            "the prompts are messages, but the request has no list of messages to put them in",
            "give prompts that are text, or --body FILE that has messages",
        )
    return json.dumps({**fields, "messages": list(messages)}, ensure_ascii=False)


def put_history(
    body: str | None, system: str, turns: Sequence[tuple[str, str]], *, system_beside: bool = False
) -> str | None:
    """The body with instructions and earlier turns (role, text) before the newest one, where the vendors have them.

    `system_beside`: the instructions have a field of their own beside `messages`, as Anthropic's. None: the body has no
    list of turns.
    """
    fields = _object_in(body) or {}
    if isinstance(fields.get("messages"), list):
        before = [{"role": role, "content": text} for role, text in turns]
        if system_beside:
            fields["system"] = system
        else:
            before.insert(0, {"role": "system", "content": system})
        fields["messages"] = [*before, *fields["messages"]]
    elif isinstance(fields.get("contents"), list):
        roles = {"assistant": "model"}
        before_parts = [{"role": roles.get(role, role), "parts": [{"text": text}]} for role, text in turns]
        fields["systemInstruction"] = {"parts": [{"text": system}]}
        fields["contents"] = [*before_parts, *fields["contents"]]
    elif isinstance(fields.get("input"), (str, list)) and "model" in fields:
        newest = fields["input"]
        newest = [{"role": "user", "content": newest}] if isinstance(newest, str) else newest
        fields["instructions"] = system
        fields["input"] = [*({"role": role, "content": text} for role, text in turns), *newest]
    else:
        return None
    return json.dumps(fields, ensure_ascii=False)


def put_limit(body: str | None, max_tokens: int) -> str | None:
    """The body with this limit on the answer's length in every field for it; None when the body has no field for it.

    A chat body (one with `messages`) without such a field gets `max_tokens`, which every chat endpoint knows.
    """
    fields = _object_in(body) or {}
    parents = [fields, *(fields.get(name) for name in _LIMIT_PARENTS)]
    places = [
        (parent, name) for parent in parents if isinstance(parent, dict) for name in LIMIT_NAMES if name in parent
    ]
    if not places and _takes_messages(fields):
        places = [(fields, LIMIT_NAMES[0])]
    for parent, name in places:
        parent[name] = max_tokens
    return json.dumps(fields, ensure_ascii=False) if places else None


def limit_in(body: str | None) -> int | None:
    """The limit on the answer's length in a body; None without one."""
    fields = _object_in(body) or {}
    parents = [fields, *(fields.get(name) for name in _LIMIT_PARENTS)]
    limits = [parent[name] for parent in parents if isinstance(parent, dict) for name in LIMIT_NAMES if name in parent]
    return max((limit for limit in limits if isinstance(limit, int) and limit > 0), default=None)


def _takes_messages(fields: Mapping[str, Any]) -> bool:
    """Whether it is a chat body; one whose messages have `parts` is the AI SDK's, which has no field for a limit."""
    messages = fields.get("messages")
    return isinstance(messages, list) and not any(isinstance(turn, dict) and "parts" in turn for turn in messages)


def _object_in(body: str | None) -> dict[str, Any] | None:
    try:
        value: Any = json.loads(body) if body else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
