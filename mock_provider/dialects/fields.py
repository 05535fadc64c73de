"""Shared by several vendors: typed fields, limits, the newest text, tools, arguments of calls."""

import json
from collections.abc import Callable
from typing import Any

from streamgauge.mock_provider.answer import Tool
from streamgauge.mock_provider.chat_request import Refusal


def wrong_type(name: str, kind: type, value: Any) -> Refusal:
    """The refusal of a field that is not a `kind`, for vendors without their own wording."""
    message = f"{name}: expected {kind.__name__}, got {type(value).__name__}"
    return Refusal(400, message, param=name, code="invalid_type")


def field(
    body: dict[str, Any],
    name: str,
    kind: type,
    default: Any,
    refuse: Callable[[str, type, Any], Refusal] = wrong_type,
) -> Any:
    """`body[name]`, or `default` if missing or null; `refuse` makes the error for another type (bool is not int)."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise refuse(name, kind, value)
    return value


def required(body: dict[str, Any], name: str, kind: type) -> Any:
    """`body[name]`; Refusal if it is missing, null or empty."""
    value = field(body, name, kind, None)
    if value is None:
        raise Refusal(400, f"{name}: Field required", param=name, code="missing")
    if kind is not int and not value:
        raise Refusal(400, f"{name}: must not be empty", param=name, code="empty")
    return value


def limit(body: dict[str, Any], name: str) -> int | None:
    """A number of tokens of at least 1, or None if it is missing."""
    value: int | None = field(body, name, int, None)
    if value is not None and value < 1:
        raise Refusal(400, f"{name}: must be greater than or equal to 1, got {value}", param=name, code="too_small")
    return value


def served(model: str, models: tuple[str, ...], message: str) -> str:
    """`model`; Refusal with 404 and `message` if the server has a list of models without it."""
    if models and model not in models:
        raise Refusal(404, message, param="model", code="model_not_found")
    return model


def newest_text(turns: list[Any], where: str, key: str = "content") -> str:
    """The text under `key` of the last user turn with text, or of the last turn if there is none."""
    texts: list[tuple[str, str]] = []
    for index, turn in enumerate(turns):
        name = f"{where}.{index}"
        if not isinstance(turn, dict):
            raise Refusal(
                400, f"{name}: expected an object, got {type(turn).__name__}", param=name, code="invalid_type"
            )
        role = turn.get("role", "user")
        if not isinstance(role, str):
            raise Refusal(400, f"{name}.role: expected a string", param=f"{name}.role", code="invalid_type")
        texts.append((role, _text(turn.get(key), f"{name}.{key}")))
    user_texts = (text for role, text in reversed(texts) if role == "user" and text.strip())
    return next(user_texts, texts[-1][1] if texts else "")


def non_blank(text: str, where: str) -> str:
    """`text`; Refusal if it is blank."""
    if not text.strip():
        raise Refusal(400, f"{where}: text content must be non-empty", param=where, code="blank")
    return text


def _text(content: Any, where: str) -> str:
    if content is None:  # a turn that only called tools
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        # Other parts, such as images and tool results, are legal and ignored.
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    raise Refusal(400, f"{where}: expected a string or an array of parts", param=where, code="invalid_type")


def declared_tools(tools: list[Any], where: str, *schemas: str) -> tuple[Tool, ...]:
    """Tools as `{"name", <one of schemas>: JSON schema}`."""
    found = []
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            name = f"{where}.{index}.name"
            raise Refusal(400, f"{name}: Field required", param=name, code="missing")
        schema = next((tool[key] for key in schemas if isinstance(tool.get(key), dict)), None)
        found.append(Tool(tool["name"], argument_name(schema)))
    return tuple(found)


def argument_name(schema: Any) -> str:
    """The first required property of a tool's JSON schema, or else its first property."""
    parts = [schema.get("required"), schema.get("properties")] if isinstance(schema, dict) else []
    names = [name for part in parts if isinstance(part, (list, dict)) for name in part if isinstance(name, str)]
    return names[0] if names else "input"


def functions(tools: list[Any]) -> list[Any]:
    """The functions of tools that are wrapped as `{"type":"function","function":{...}}`."""
    return [tool.get("function") if isinstance(tool, dict) else None for tool in tools]


def call_arguments(text: str) -> dict[str, Any]:
    """The arguments of a call as an object; empty if a fault has broken the JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
