"""Shared by the shapes that applications invent: their requests, their errors and their end markers."""

from typing import Any, Final

from streamgauge.protocol.dialects.base import Delta, Kind, RequestTemplate
from streamgauge.protocol.eventstream import Event

_REASONS: Final = ("finish_reason", "finishReason", "stop_reason", "stopReason", "reason")


def get(prompt: str) -> RequestTemplate:
    """`GET ?message=`, as EventSource needs it."""
    return RequestTemplate("GET", None, {"message": prompt})


def post(prompt: str) -> RequestTemplate:
    """`POST {"message": ...}`."""
    return RequestTemplate("POST", {"message": prompt}, {})


def error_of(event: Event, payload: Any) -> Delta | None:
    """An error in the form that application shapes share: `event: error`, or an object with an `error` key."""
    if event.type == "error":
        return Delta(Kind.ERROR, value=payload if isinstance(payload, dict) else {"message": event.data})
    if isinstance(payload, dict) and payload.get("error"):
        return Delta(Kind.ERROR, value=payload["error"])
    return None


def done_of(event: Event) -> Delta | None:
    """An end marker that application shapes share: `event: done`, or `data: [DONE]` in an event without a name.

    In an event named token, "[DONE]" is text: a model may generate it.
    """
    marked = event.type == "done" or (event.type == "message" and event.data == "[DONE]")
    return Delta(Kind.DONE) if marked else None


def finish_of(payload: dict[str, Any] | None) -> list[Delta]:
    """The finish reason in an end marker's payload, under one of its usual names; empty without one."""
    reasons = [payload[name] for name in _REASONS if isinstance(payload.get(name), str)] if payload else []
    return [Delta(Kind.FINISH, value=reason) for reason in reasons[:1]]
