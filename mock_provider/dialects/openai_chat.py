"""OpenAI Chat Completions (conformance.md D.1): role, content, finish, usage on request, `[DONE]`."""

import json
import secrets
import time
from typing import Any

from mock_provider.dialects.base import MESSAGE, Ask, Dialect, Encoder, Refusal, json_object
from mock_provider.http import Request
from mock_provider.plan import Plan
from mock_provider.stream import Item, Kind


class OpenAIChat(Dialect):
    """`POST /v1/chat/completions`, streamed and whole."""

    name = "openai-chat"
    routes = (("POST", "/v1/chat/completions"),)
    features = frozenset({"sse", "json", "object", "openai", "marker", "error"})
    start = (Kind.START,)

    def read(self, request: Request, models: tuple[str, ...]) -> Ask:
        """Validates what OpenAI validates of the fields that are used here."""
        body = json_object(request)
        model = _field(body, "model", str, "mock-1")
        if models and model not in models:
            message = f"The model `{model}` does not exist; expected one of {', '.join(models)}"
            raise Refusal(404, message, param="model", code="model_not_found")
        options = _field(body, "stream_options", dict, {})
        return Ask(
            prompt=_prompt(body.get("messages")),
            stream=_field(body, "stream", bool, False),
            model=model,
            max_tokens=_limit(body),
            include_usage=_field(options, "include_usage", bool, False),
        )

    def encoder(self, ask: Ask, plan: Plan) -> Encoder:
        """Chunks that share one id and one creation time."""
        return ChunkEncoder(ask, plan)

    def end(self, ask: Ask) -> tuple[Kind, ...]:
        """The usage chunk comes only when `stream_options.include_usage` asks for it."""
        return (Kind.FINISH, Kind.USAGE, Kind.DONE) if ask.include_usage else (Kind.FINISH, Kind.DONE)

    def whole(self, ask: Ask, plan: Plan, texts: list[str]) -> bytes:
        """A `chat.completion` object."""
        message = {"role": "assistant", "content": "".join(texts), "refusal": None}
        completion = {
            "id": _response_id(),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": ask.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": plan.finish}],
            "usage": _usage(ask, len(texts)),
        }
        return json.dumps(completion).encode()

    def error(self, status: int, message: str, *, param: str | None, code: str | None) -> tuple[str, bytes]:
        """`{"error":{"message","type","param","code"}}`."""
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status)
        if kind is None:
            kind = "invalid_request_error" if status < 500 else "server_error"
        value = {"error": {"message": message, "type": kind, "param": param, "code": code}}
        return "application/json", json.dumps(value).encode()


class ChunkEncoder:
    """The chunks of one response; what is constant is rendered once."""

    def __init__(self, ask: Ask, plan: Plan) -> None:
        self._ask = ask
        self._finish = plan.finish
        self._tokens = 0
        # Compact separators and this key order are OpenAI's own.
        opening = json.dumps(
            {
                "id": _response_id(),
                "object": "chat.completion.chunk",
                "created": int(time.time()),
                "model": ask.model,
                "choices": 0,
            },
            separators=(",", ":"),
        ).removesuffix("0}")
        self._opening = f"data: {opening}"
        usage = ',"usage":null' if ask.include_usage else ""
        self._token_prefix = f'{self._opening}[{{"index":0,"delta":{{"content":'
        self._token_suffix = f'}},"finish_reason":null}}]{usage}}}\n\n'
        self._usage_suffix = f"{usage}}}\n\n"

    def encode(self, item: Item) -> bytes:
        """One chunk, or the marker."""
        kind = item.kind
        if kind is Kind.TOKEN:
            self._tokens += 1
            return f"{self._token_prefix}{json.dumps(item.text)}{self._token_suffix}".encode()
        if kind is Kind.START:
            return self._choice({"role": "assistant", "content": ""}, None)
        if kind is Kind.FINISH:
            return self._choice({}, self._finish)
        if kind is Kind.USAGE:
            usage = json.dumps(_usage(self._ask, self._tokens), separators=(",", ":"))
            return f'{self._opening}[],"usage":{usage}}}\n\n'.encode()
        if kind is Kind.DONE:
            return b"data: [DONE]\n\n"
        if kind is Kind.ERROR:
            error = {"message": item.text or MESSAGE, "type": "server_error", "param": None, "code": None}
            return f"data: {json.dumps({'error': error}, separators=(',', ':'))}\n\n".encode()
        return f": {item.text}\n\n".encode()

    def _choice(self, delta: dict[str, str], finish: str | None) -> bytes:
        choice = json.dumps([{"index": 0, "delta": delta, "finish_reason": finish}], separators=(",", ":"))
        return f"{self._opening}{choice}{self._usage_suffix}".encode()


def _response_id() -> str:
    return f"chatcmpl-{secrets.token_hex(12)}"


def _usage(ask: Ask, completion: int) -> dict[str, int]:
    # No tokenizer here: a token of the prompt is a word of it.
    prompt = len(ask.prompt.split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _field(body: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        message = f"Invalid type for '{name}': expected {kind.__name__}, got {type(value).__name__}"
        raise Refusal(400, message, param=name, code="invalid_type")
    return value


def _limit(body: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refusal(400, f"Invalid type for '{name}': expected int", param=name, code="invalid_type")
        if value < 1:
            raise Refusal(400, f"'{name}' must be at least 1, got {value}", param=name, code="integer_below_min_value")
        return value
    return None


def _prompt(messages: Any) -> str:
    """The text of the last user message, or of the last message when no user speaks."""
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "'messages' must be a non-empty array", param="messages", code="invalid_type")
    texts: list[tuple[str, str]] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise Refusal(400, f"{where} must be an object with a role", param=where, code="invalid_type")
        texts.append((message["role"], _content(message, where)))
    text = next((text for role, text in reversed(texts) if role == "user"), texts[-1][1])
    if not text.strip():
        raise Refusal(400, "the last user message is blank", param="messages", code="invalid_value")
    return text


def _content(message: dict[str, Any], where: str) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        # Parts that are not text (images) are legal and say nothing to a mock.
        if all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in content):
            return "".join(part for part in parts if isinstance(part, str))
    if content is None and message["role"] == "assistant":  # an assistant that only called tools
        return ""
    message_text = f"{where}.content must be a string or an array of parts"
    raise Refusal(400, message_text, param=f"{where}.content", code="invalid_type")


DIALECT = OpenAIChat()
