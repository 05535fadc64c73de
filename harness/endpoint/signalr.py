"""Recognises a SignalR hub by its answers: it speaks a protocol of its own, which is not Server-Sent Events to a page.

The texts are those of ASP.NET Core's HttpConnectionDispatcher
(https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/TransportProtocols.md).
"""

import json
from typing import Final

from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError

REFUSALS: Final = (b"Connection ID required", b"No Connection with that ID")
SUMMARY: Final = "this is a SignalR hub, not an SSE endpoint"
ADVICE: Final = (
    "a hub answers only clients that negotiate a connection first. probe, load, capacity and cancel do, with "
    "--hub-method NAME. For everything else measure an endpoint that streams over HTTP: map one beside the hub that "
    "calls the same service (docs/dotnet.md shows one)"
)


def refuse_hub(target: Target, command: str) -> None:
    """Raises UsageError when the target is a hub, for a command that cannot measure one."""
    if target.signalr is not None:
        raise UsageError(f"{command} cannot measure a SignalR hub", ADVICE)


def is_hub(body: bytes) -> bool:
    """Whether an answer comes from a hub: a request without a connection id, or the answer to `negotiate`."""
    if body.strip().startswith(REFUSALS):
        return True
    try:
        value = json.loads(body[:65_536])
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "connectionId" in value and isinstance(value.get("availableTransports"), list)
