"""Shared by OpenAI's APIs: fields of requests, tools, and errors in the vendor's own words."""

import json
from typing import Any

from streamgauge.mock_provider.answer import Tool, calls_for
from streamgauge.mock_provider.chat_request import Refusal
from streamgauge.mock_provider.dialects.fields import argument_name, field, served

_MOST_STOPS = 4
_JSON_TYPES = {str: "a string", bool: "a boolean", int: "an integer", dict: "an object", list: "an array"}


def typed(body: dict[str, Any], name: str, kind: type, default: Any, where: str = "") -> Any:
    """`fields.field` with OpenAI's error message."""

    def refuse(name: str, kind: type, value: Any) -> Refusal:
        return wrong_type(f"{where}{name}", _JSON_TYPES[kind], value)

    return field(body, name, kind, default, refuse)


def wrong_type(param: str, expected: str, value: Any) -> Refusal:
    """The refusal of a value whose JSON type is wrong."""
    got = "null" if value is None else _JSON_TYPES.get(type(value), "a decimal")
    message = f"Invalid type for '{param}': expected {expected}, but got {got} instead."
    return Refusal(400, message, param=param, code="invalid_type")


def at_least(body: dict[str, Any], name: str, least: int) -> int | None:
    """A whole number of `least` or more, or None if it is missing."""
    value: int | None = typed(body, name, int, None)
    if value is not None and value < least:
        message = (
            f"Invalid '{name}': integer below minimum value. Expected a value >= {least}, but got {value} instead."
        )
        raise Refusal(400, message, param=name, code="integer_below_min_value")
    return value


def chosen_model(body: dict[str, Any], models: tuple[str, ...]) -> str:
    """The model; 404 if the server has a list of models without it."""
    model: str = typed(body, "model", str, "mock-1")
    return served(model, models, f"The model `{model}` does not exist or you do not have access to it.")


def read_stream(body: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the answer is streamed, and whether the usage then comes with it."""
    options = typed(body, "stream_options", dict, {})
    stream: bool = typed(body, "stream", bool, False)
    if options and not stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refusal(400, message, param="stream_options")
    return stream, typed(options, "include_usage", bool, False, "stream_options.")


def check_one_choice(body: dict[str, Any]) -> None:
    """Refusal of `n` above 1, which the mock does not serve."""
    if (at_least(body, "n", 1) or 1) > 1:
        raise Refusal(400, "this mock gives one choice: expected n = 1", param="n", code="unsupported_value")


def read_stops(body: dict[str, Any]) -> tuple[str, ...]:
    """`ChatRequest.stop`."""
    value = body.get("stop")
    stops = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise wrong_type("stop", "one of a string or array of strings", value)
    if len(stops) > _MOST_STOPS:
        message = f"Invalid 'stop': array too long. Expected an array with maximum length {_MOST_STOPS}."
        raise Refusal(400, message, param="stop", code="array_above_max_length")
    return tuple(stop for stop in stops if stop)


def read_tools(body: dict[str, Any], *, nested: bool, answered: bool) -> tuple[tuple[Tool, ...], int | None]:
    """`ChatRequest.tools` and `.calls`; `nested` if a function's fields are under `function` (Chat Completions)."""
    tools: list[Tool] = []
    for index, value in enumerate(typed(body, "tools", list, [])):
        where = f"tools[{index}]"
        if not isinstance(value, dict):
            raise wrong_type(where, "an object", value)
        if value.get("type") != "function":  # a hosted tool: legal, but the mock does not call it
            continue
        function = typed(value, "function", dict, {}, f"{where}.") if nested else value
        if nested:
            where = f"{where}.function"
        if not isinstance(function.get("name"), str):
            message = f"Missing required parameter: '{where}.name'."
            raise Refusal(400, message, param=f"{where}.name", code="missing_required_parameter")
        tools.append(Tool(function["name"], argument_name(function.get("parameters"))))
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):  # one tool, chosen by its name
        function = choice.get("function") if nested else choice
        name = function.get("name") if isinstance(function, dict) else None
        tools = [tool for tool in tools if tool.name == name] or tools
        choice = "required"
    if choice not in ("auto", "none", "required", None):
        message = f"Invalid value: {choice!r}. Supported values are: 'none', 'auto', and 'required'."
        raise Refusal(400, message, param="tool_choice", code="invalid_value")
    if choice == "required" and not tools:
        message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        raise Refusal(400, message, param="tool_choice")
    return tuple(tools), calls_for(tuple(tools), choice or "auto", answered=answered)


def content_text(content: Any, where: str, *, nullable: bool) -> str:
    """The text of a message's content; other parts, such as images, are legal and ignored."""
    if isinstance(content, str):
        return content
    if content is None and nullable:
        return ""
    if not isinstance(content, list):
        raise wrong_type(where, "one of a string or array of objects", content)
    texts: list[str] = []
    for index, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise wrong_type(f"{where}[{index}]", "an object with a type", part)
        if isinstance(part.get("text"), str):
            texts.append(part["text"])
    return "".join(texts)


def error_body(status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:
    """`{"error":{"message","type","param","code"}}`."""
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status)
    if kind is None:
        kind = "invalid_request_error" if status < 500 else "server_error"
    value = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return "application/json", json.dumps(value).encode()
