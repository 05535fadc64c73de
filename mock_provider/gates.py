"""Lockstep: a step of a stream is written only after the control API has released it."""

from collections import OrderedDict
from collections.abc import Callable

GATES_LIMIT = 10_000  # ids remembered; a release may precede its stream


class Gate:
    """Steps 0 to released-1 may be written; the callbacks in `waiting` are called after each release."""

    __slots__ = ("released", "waiting")

    def __init__(self) -> None:
        self.released = 0
        self.waiting: list[Callable[[], None]] = []


class Gates:
    """One gate for each stream id, shared by retries; above GATES_LIMIT the least recently used is forgotten."""

    def __init__(self) -> None:
        self._gates: OrderedDict[str, Gate] = OrderedDict()

    def get(self, stream_id: str) -> Gate:
        """The gate of `stream_id`; a new one is closed."""
        gate = self._gates.setdefault(stream_id, Gate())
        self._gates.move_to_end(stream_id)
        if len(self._gates) > GATES_LIMIT:
            self._gates.popitem(last=False)
        return gate

    def release(self, stream_id: str, upto: int) -> int:
        """Release steps 0 to upto-1, and return how many steps are released; never closes any."""
        gate = self.get(stream_id)
        gate.released = max(gate.released, upto)
        for callback in list(gate.waiting):
            callback()
        return gate.released

    def reset(self) -> None:
        """Forget every release; a waiting stream keeps its gate, but no id leads to it any more."""
        self._gates.clear()
