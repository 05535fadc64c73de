"""Events that do not belong to the dialect of their stream: errors, heartbeats and end markers of any known shape.

A gateway, a framework or a failing upstream puts them between the events of a dialect, often in front. They are never
tokens, and they are no evidence of the dialect.
"""

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


def foreign(event: Event) -> Delta | None:
    """The event as ERROR or PING delta when it is one of them in any known shape; else None."""
    payload = decode(event.data)
    if error := error_in(event, payload):
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
