"""Events that do not belong to the dialect of their stream: errors, heartbeats and end markers of any known shape.

A gateway, a framework or a failing upstream puts them between the events of a dialect, often in front. They are never
tokens, and they are no evidence of the dialect.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from streamgauge.protocol.dialects.base import Delta, Kind
from streamgauge.protocol.dialects.payload import decode
from streamgauge.protocol.eventstream import Event

DONE: Final = "[DONE]"
ERROR: Final = "[ERROR]"  # written by hand-made servers as they write [DONE]
_PINGS: Final = ("ping", "pong", "heartbeat", "heart_beat", "keepalive", "keep-alive", "keep_alive")
# Names of events, and types of payloads, that say that the answer failed; lower case, with _ for every other sign.
# OpenAI's Assistants, Coze, AG-UI, Agno, Spring and hand-made servers. A tool that failed is no failure of the answer.
_ERROR_NAMES: Final = frozenset(
    {"error", "errors", "exception", "fail", "failed", "failure", "fatal", "abort", "aborted", "fatal_error",
     "stream_error", "streamerror", "stream_failed", "stream_aborted", "server_error", "internal_error",
     "internal_server_error", "upstream_error", "api_error", "chat_error", "chat_failed", "conversation_chat_failed",
     "run_error", "runerror", "run_failed", "thread_run_failed"}
)  # fmt: skip
_EXCEPTION: Final = "Exception"  # ends the names of Bedrock's: internalServerException, modelStreamErrorException
# Keys whose value may be one of these names: Anthropic and the AI SDK, Dify, vLLM before 0.6, hand-made servers.
_ERROR_KEYS: Final = ("type", "event", "object", "kind")
# Keys that only an error has: Spring and Python's web frameworks, ASP.NET, AWS Lambda, Hunyuan, Replicate.
_KEYS_OF_ERRORS: Final = (
    "exception", "Error", "errorMessage", "error_message", "errorMsg", "ErrorMsg", "err",
)  # fmt: skip
# Keys that hold the type of a heartbeat.
_TYPE_KEYS: Final = ("type", "event")
_TIME_KEYS: Final = ("ts", "time", "timestamp", "at", "seq")  # what may be beside
_STATUS_KEYS: Final = ("status", "statusCode", "status_code", "code")
_TEXT_KEYS: Final = ("message", "msg", "detail", "title")
_MESSAGE_KEYS: Final = ("message", "Message")
# Beside the message of an error that says nothing else of itself.
_BESIDE_MESSAGE: Final = frozenset({"id", "request_id", "requestId", "RequestId", "trace_id", "code", "__type"})
_FAILS: Final = re.compile(
    r"error|fail|exception|denied|unauthori[sz]ed|forbidden|time[d-]? ?out|limit|exceed|invalid|unavailable|overload"
    r"|not found|not allowed|not supported|no such|cannot|could not|refused|wrong",
    re.IGNORECASE,
)
_LEAST_ERROR_CODE: Final = 400  # smaller codes say success in many shapes: 0, 1, 200
# Where the AI SDK, Flowise, n8n and AWS have the text of an error.
_OTHER_TEXT_KEYS: Final = (
    "errorText",
    "Message",
    "errorMessage",
    "error_message",
    "error_msg",
    "msg",
    "detail",
    "content",
    "data",
    "text",
    "reason",
)
_NO_WORD: Final = re.compile(r"[\W_]+")
_FAILED: Final = re.compile(r"error(?:_\w+)?", re.IGNORECASE)


def error_in(event: Event, payload: Any) -> Delta | None:
    """The error in an event with this JSON payload, in any known shape; None when the event is not an error."""
    if isinstance(payload, dict):
        if error := payload.get("error"):
            # LangGraph and others put the class of the error there, and its text beside it.
            beside = error is True or (isinstance(error, str) and isinstance(payload.get("message"), str))
            return Delta(Kind.ERROR, value=payload if beside else error)
        if (
            payload.get("status") == "error"
            or _says_error(event.type)
            or any(_says_error(payload.get(key)) for key in _ERROR_KEYS)
        ):
            return Delta(Kind.ERROR, value=_worded(payload))
        found = _under_key(payload)
        return None if found is None else Delta(Kind.ERROR, value=found)
    if isinstance(payload, list):  # Gemini's answer is an array, and so is its error
        first = payload[0] if payload else None
        if isinstance(first, dict) and first.get("error"):
            return Delta(Kind.ERROR, value=first["error"])
    if _says_error(event.type):
        text = payload if isinstance(payload, str) else f"event: {event.type}" if payload is None else event.data
        return Delta(Kind.ERROR, value={"message": text})
    if event.data.startswith(ERROR):
        return Delta(Kind.ERROR, value={"message": event.data.removeprefix(ERROR).strip() or event.data})
    return None


def error_body(payload: Any) -> Any:
    """The error in a JSON body as frameworks write it; None where the payload is none.

    Problem Details (RFC 9457; ASP.NET Core) and NestJS have a status, GraphQL and Cloudflare a list of errors.
    """
    if not isinstance(payload, dict):
        return None
    for around in (payload, payload.get("payload")):  # GraphQL over SSE, with one connection for all queries
        errors = around.get("errors") if isinstance(around, dict) else None
        if isinstance(errors, list) and errors:
            return errors[0]
    fails = any(isinstance(status := payload.get(key), int) and 400 <= status < 600 for key in _STATUS_KEYS)
    texts = [text for key in _TEXT_KEYS if isinstance(text := payload.get(key), (str, list))]
    return payload if fails and texts else _coded(payload)


def any_error(event: Event, payload: Any) -> Delta | None:
    """The error in an event with this JSON payload, whether it calls itself an error or has the form of a body."""
    if error := error_in(event, payload):
        return error
    found = error_body(payload)
    return None if found is None else Delta(Kind.ERROR, value=found)


def own_events(events: Sequence[Event]) -> list[Event]:
    """Those that are neither an end marker nor an error nor a heartbeat of any known shape."""
    return [event for event in events if not is_done(event) and foreign(event) is None]


def lone_error(events: Sequence[Event], *, vendor: bool = False) -> Any:
    """The error in the only event of a stream that is neither an end marker nor a heartbeat; None where it is none.

    FastAPI writes an object with `detail` alone, API gateways and Cohere one with `message`, and many servers
    `success: false`. Beside other events that may be a word of the application about its progress. A message alone is
    an answer, too, in some shapes: only one that tells of a failure is an error, unless `vendor` says that the run
    speaks a vendor's dialect, which has no such answer.
    """
    payload = decode(events[0].data) if len(events) == 1 else None
    if not isinstance(payload, dict):
        return None
    if payload.keys() == {"detail"}:
        detail = payload["detail"]
        return detail[0] if isinstance(detail, list) and detail else payload
    key = next((key for key in _MESSAGE_KEYS if isinstance(payload.get(key), str)), None)
    if key is not None and payload.keys() <= {key} | _BESIDE_MESSAGE and (vendor or _FAILS.search(payload[key])):
        return {**payload, "message": payload[key]}
    failed = payload.get("success") is False or payload.get("ok") is False or _says_error(payload.get("status"))
    coded = _is_error_code(payload.get("code")) and not payload.get("data") and any(map(payload.get, _TEXT_KEYS))
    return _worded(payload) if failed or coded else None


def failed(reason: object) -> bool:
    """Whether a finish reason says that the model failed (`error` of OpenRouter and the AI SDK, Cohere's `ERROR`)."""
    return isinstance(reason, str) and _FAILED.fullmatch(reason) is not None


def foreign(event: Event) -> Delta | None:
    """The event as ERROR or PING delta when it is one of them in any known shape; else None."""
    payload = decode(event.data)
    if error := any_error(event, payload):
        return error
    return Delta(Kind.PING) if event.type in _PINGS or _is_ping(payload) else None


def _is_ping(payload: Any) -> bool:
    """Whether an object has the type of a heartbeat, or is nothing else: {"heartbeat": true}, {"ping": 1, "ts": 17}."""
    if not isinstance(payload, dict):
        return False
    if any(payload.get(key) in _PINGS for key in _TYPE_KEYS):
        return True
    return any(key in _PINGS for key in payload) and all(key in _PINGS or key in _TIME_KEYS for key in payload)


def is_done(event: Event) -> bool:
    """Whether the event is an end marker that several shapes share: `event: done`, or `data: [DONE]` without a name.

    In an event named token, "[DONE]" is text: a model may generate it.
    """
    return event.type == "done" or (event.type in ("message", "line") and event.data == DONE)


def undecided(event: Event) -> list[Delta]:
    """The deltas of an event in a stream of which no dialect is known: nothing in it is a token."""
    if known := foreign(event):
        return [known]
    return [Delta(Kind.DONE if is_done(event) else Kind.META)]


def _says_error(name: object) -> bool:
    """Whether the name of an event, or the type in a payload, is that of an error."""
    if not isinstance(name, str):
        return False
    return _NO_WORD.sub("_", name).lower() in _ERROR_NAMES or (name.endswith(_EXCEPTION) and name.isidentifier())


def _under_key(payload: dict[str, Any]) -> Any:
    """The error under a key that only errors have, as {"internalServerException": {...}}; None without one."""
    for key in _KEYS_OF_ERRORS:
        value = payload.get(key)
        if value and isinstance(value, (str, dict)):
            return value
    return next(
        (
            {"message": name, **value} if isinstance(value, dict) else {"message": f"{name}: {value}"}
            for name, value in payload.items()
            if name.endswith(_EXCEPTION) and value and isinstance(value, (dict, str))
        ),
        None,
    )


def _coded(payload: dict[str, Any]) -> Any:
    """The error of a body whose code says so in the way of its vendor; None where none does.

    MiniMax has `base_resp`, Spark a `header`, ERNIE an `error_code`.
    """
    base = payload.get("base_resp")
    if isinstance(base, dict) and base.get("status_code"):
        return {"message": base.get("status_msg") or f"status_code {base['status_code']}", **base}
    header = payload.get("header")
    if isinstance(header, dict) and _is_error_code(header.get("code")) and isinstance(header.get("message"), str):
        return header
    if code := payload.get("error_code"):
        text = payload.get("error_msg") or payload.get("message")
        return {**payload, "message": text} if isinstance(text, str) and code != "0" else None
    return None


def _is_error_code(code: object) -> bool:
    return isinstance(code, int) and (code < 0 or code >= _LEAST_ERROR_CODE)


def _worded(payload: dict[str, Any]) -> dict[str, Any]:
    """The error with its text under `message`, also where its shape has another name for it."""
    if isinstance(payload.get("message"), str):
        return payload
    text = next((text for key in _OTHER_TEXT_KEYS if isinstance(text := payload.get(key), str) and text), None)
    return payload if text is None else {**payload, "message": text}
