"""Shared by the shapes that applications invent: their requests and their end markers."""

from typing import Any, Final

from streamgauge.protocol.dialects.base import Delta, Kind, RequestTemplate
from streamgauge.protocol.dialects.foreign import is_done
from streamgauge.protocol.eventstream import Event

_REASONS: Final = ("finish_reason", "finishReason", "stop_reason", "stopReason", "reason")


def get(prompt: str) -> RequestTemplate:
    """`GET ?message=`, as EventSource needs it."""
    return RequestTemplate("GET", None, {"message": prompt})


def post(prompt: str) -> RequestTemplate:
    """`POST {"message": ...}`."""
    return RequestTemplate("POST", {"message": prompt}, {})


def done_of(event: Event) -> Delta | None:
    """The end marker that application shapes share; None for any other event."""
    return Delta(Kind.DONE) if is_done(event) else None


def finish_of(payload: dict[str, Any] | None) -> list[Delta]:
    """The finish reason in an end marker's payload, under one of its usual names; empty without one."""
    reasons = [payload[name] for name in _REASONS if isinstance(payload.get(name), str)] if payload else []
    return [Delta(Kind.FINISH, value=reason) for reason in reasons[:1]]
