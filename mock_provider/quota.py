"""Limits of each user: streams at once, and requests a minute. A user is an API key."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

MINUTE_NS: Final = 60_000_000_000
MOST_USERS: Final = 10_000  # users remembered; above it the least recent is forgotten


@dataclass(slots=True)
class _Use:
    running: int = 0
    recent_ns: deque[int] = field(default_factory=deque)


class Quota:
    """The use of each user; a limit of None never refuses. Times are monotonic nanoseconds."""

    def __init__(self, streams: int | None, requests: int | None) -> None:
        self._streams, self._requests = streams, requests
        self._users: OrderedDict[str, _Use] = OrderedDict()

    def admit(self, user: str, now_ns: int) -> bool:
        """Whether the user may start one more stream; if so, it counts until `leave`."""
        if self._streams is None and self._requests is None:
            return True
        use = self._users.setdefault(user, _Use())
        self._users.move_to_end(user)
        if len(self._users) > MOST_USERS:
            self._users.popitem(last=False)
        while use.recent_ns and use.recent_ns[0] <= now_ns - MINUTE_NS:
            use.recent_ns.popleft()
        if self._streams is not None and use.running >= self._streams:
            return False
        if self._requests is not None and len(use.recent_ns) >= self._requests:
            return False
        use.running += 1
        use.recent_ns.append(now_ns)
        return True

    def leave(self, user: str) -> None:
        """A stream that was admitted has ended."""
        if use := self._users.get(user):
            use.running -= 1
