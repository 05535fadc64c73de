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
# Keys whose value "error" makes an object an error: Anthropic and the AI SDK, Dify, vLLM before 0.6, hand-made servers.
_ERROR_KEYS: Final = ("type", "event", "object", "status", "kind")
# Keys that hold the type of a heartbeat.
_TYPE_KEYS: Final = ("type", "event")
_STATUS_KEYS: Final = ("status", "statusCode", "status_code", "code")
_TEXT_KEYS: Final = ("message", "msg", "detail", "title")
_FAILED: Final = re.compile(r"error(?:_\w+)?", re.IGNORECASE)


def error_in(event: Event, payload: Any) -> Delta | None:
    """The error in an event with this JSON payload, in any known shape; None when the event is not an error."""
    if isinstance(payload, dict):
        if error := payload.get("error"):
            # LangGraph and others put the class of the error there, and its text beside it.
            beside = error is True or (isinstance(error, str) and isinstance(payload.get("message"), str))
            return Delta(Kind.ERROR, value=payload if beside else error)
        if event.type == "error" or any(payload.get(key) == "error" for key in _ERROR_KEYS):
            return Delta(Kind.ERROR, value=_worded(payload))
        return None
    if event.type == "error":
        return Delta(Kind.ERROR, value={"message": payload if isinstance(payload, str) else event.data})
    if event.data.startswith(ERROR):
        return Delta(Kind.ERROR, value={"message": event.data.removeprefix(ERROR).strip() or event.data})
    return None


def error_body(payload: Any) -> Any:
    """The error in a JSON body as frameworks write it; None where the payload is none.

    Problem Details (RFC 9457; ASP.NET Core) and NestJS have a status, GraphQL and Cloudflare a list of errors.
    """
    if not isinstance(payload, dict):
        return None
    errors = payload.get("errors")
    if isinstance(errors, list) and errors:
        return errors[0]
    fails = any(isinstance(status := payload.get(key), int) and 400 <= status < 600 for key in _STATUS_KEYS)
    return payload if fails and any(isinstance(payload.get(key), str) for key in _TEXT_KEYS) else None


def any_error(event: Event, payload: Any) -> Delta | None:
    """The error in an event with this JSON payload, whether it calls itself an error or has the form of a body."""
    if error := error_in(event, payload):
        return error
    found = error_body(payload)
    return None if found is None else Delta(Kind.ERROR, value=found)


def own_events(events: Sequence[Event]) -> list[Event]:
    """Those that are neither an end marker nor an error nor a heartbeat of any known shape."""
    return [event for event in events if not is_done(event) and foreign(event) is None]


def lone_error(events: Sequence[Event]) -> Any:
    """The error in the only event of a stream that is neither an end marker nor a heartbeat; None where it is none.

    FastAPI writes an object with `detail` alone, and many servers `success: false`. Beside other events that may be a
    word of the application about its progress.
    """
    payload = decode(events[0].data) if len(events) == 1 else None
    if not isinstance(payload, dict):
        return None
    if payload.keys() == {"detail"}:
        detail = payload["detail"]
        return detail[0] if isinstance(detail, list) and detail else payload
    return payload if payload.get("success") is False or payload.get("ok") is False else None


def failed(reason: object) -> bool:
    """Whether a finish reason says that the model failed (`error` of OpenRouter and the AI SDK, Cohere's `ERROR`)."""
    return isinstance(reason, str) and _FAILED.fullmatch(reason) is not None


def foreign(event: Event) -> Delta | None:
    """The event as ERROR or PING delta when it is one of them in any known shape; else None."""
    payload = decode(event.data)
    if error := any_error(event, payload):
        return error
    if event.type in _PINGS or (isinstance(payload, dict) and any(payload.get(key) in _PINGS for key in _TYPE_KEYS)):
        return Delta(Kind.PING)
    return None


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


def _worded(payload: dict[str, Any]) -> dict[str, Any]:
    """The error with its text under `message`, where the AI SDK calls it `errorText`."""
    text = payload.get("errorText")
    return {**payload, "message": text} if isinstance(text, str) else payload
