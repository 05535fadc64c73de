"""What a master of `load --master` takes from the messages that a worker sends to Locust itself.

Locust keeps tables of names, response times, errors, tracebacks and logs, and adds whatever a worker sends. `load`
reads none of them: its figures come from the records. So a worker cannot fill the master's memory with them, and a
message of another shape than Locust's cannot end the greenlet that listens.
"""

from typing import Any, Final

import msgspec
from locust.rpc.protocol import Message
from locust.stats import RequestStats

from streamgauge.protocol.typed import from_value

_OURS: Final = "streamgauge_"  # their handlers check them


class _Users(msgspec.Struct):
    user_classes_count: dict[str, int]


class _Heartbeat(msgspec.Struct):
    state: str
    current_cpu_usage: float


_SHAPES: Final[dict[str, Any]] = {
    "client_ready": str,
    "client_stopped": None,
    "heartbeat": _Heartbeat,
    "quit": None,
    "spawning": None,
    "spawning_complete": _Users,
    "stats": _Users,
}
_NO_FIGURES: Final[dict[str, Any]] = {
    "stats": [],
    "stats_total": RequestStats().total.get_stripped_report(),
    "errors": {},
}


def needed(message: Message) -> Message | None:
    """The message without the tables; None for one that `load` does not need, or that is malformed."""
    if message.type.startswith(_OURS):
        return message
    if message.type not in _SHAPES:
        return None
    try:
        data = from_value(message.data, _SHAPES[message.type])
    except msgspec.ValidationError:
        return None
    if message.type == "stats":
        figures = {**_NO_FIGURES, **msgspec.to_builtins(data)}
        return Message(message.type, figures, message.node_id)  # type: ignore[no-untyped-call]
    return message
