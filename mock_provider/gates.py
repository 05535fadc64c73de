"""Releases of lockstep streams: which steps of which stream may be written."""

from collections import OrderedDict
from collections.abc import Callable

GATES_LIMIT = 10_000  # ids remembered; a release may precede its stream


class Gate:
    """Steps 0 .. released-1 may go; `waiting` is called after each release."""

    __slots__ = ("released", "waiting")

    def __init__(self) -> None:
        self.released = 0
        self.waiting: list[Callable[[], None]] = []


class Gates:
    """One gate an id, shared by retries; the ones unused for longest are forgotten first."""

    def __init__(self) -> None:
        self._gates: OrderedDict[str, Gate] = OrderedDict()

    def get(self, stream_id: str) -> Gate:
        """The gate of `stream_id`, closed when it is new."""
        gate = self._gates.setdefault(stream_id, Gate())
        self._gates.move_to_end(stream_id)
        if len(self._gates) > GATES_LIMIT:
            self._gates.popitem(last=False)
        return gate

    def release(self, stream_id: str, upto: int) -> int:
        """Open steps 0 .. upto-1, never closing any; returns how many are open."""
        gate = self.get(stream_id)
        gate.released = max(gate.released, upto)
        for callback in list(gate.waiting):
            callback()
        return gate.released

    def reset(self) -> None:
        """Forget every release; streams that wait keep their gate but can't be reached by id any more."""
        self._gates.clear()
