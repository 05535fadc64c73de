"""What an endpoint promises its callers: the [promise] table of a target file. Values only."""

import re
from typing import Final

import msgspec

from streamgauge.errors import UsageError
from streamgauge.units import parse_bounded

_RATE: Final = re.compile(r"(\d{1,6})\s*/\s*(s|min|h)", re.ASCII)
_UNIT_S: Final = {"s": 1, "min": 60, "h": 3600}


class Promise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The promises; None where there is none. `max_input` is in characters of a prompt, `context` in tokens of it,
    `concurrent` in streams of one caller, `rate` in requests of one caller.
    """

    max_input: int | None = None
    context: int | None = None
    concurrent: int | None = None
    rate: str | None = None
    duration: str | None = None
    heartbeat: str | None = None
    retry_after: bool | None = None
    request_id: bool | None = None
    auth: bool | None = None

    def __post_init__(self) -> None:
        for name in ("max_input", "context", "concurrent"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= 10_000_000:
                raise ValueError(f"promise.{name}: expected 1 to 10,000,000, got {value}")
        for name in ("duration", "heartbeat"):
            if getattr(self, name) is not None:
                _bounded(getattr(self, name), name)
        if self.rate is not None and self._rate[0] < 1:
            raise ValueError(f"promise.rate: expected 1 or more, got {self.rate!r}")

    @property
    def _rate(self) -> tuple[int, int]:
        """Requests and seconds. Raises ValueError on another form."""
        found = _RATE.fullmatch(self.rate or "")
        if found is None:
            raise ValueError(f'promise.rate: expected such as "100/min", with s, min or h, got {self.rate!r}')
        return int(found[1]), _UNIT_S[found[2]]

    @property
    def requests(self) -> int | None:
        """The number of requests in `rate`."""
        return None if self.rate is None else self._rate[0]

    @property
    def window_s(self) -> int | None:
        """The seconds in which `rate` allows so many requests."""
        return None if self.rate is None else self._rate[1]

    @property
    def duration_ns(self) -> int | None:
        return None if self.duration is None else _bounded(self.duration, "duration")

    @property
    def heartbeat_ns(self) -> int | None:
        return None if self.heartbeat is None else _bounded(self.heartbeat, "heartbeat")


def _bounded(text: str, name: str) -> int:
    """A duration above 0. Raises ValueError, which names the key."""
    try:
        value_ns = parse_bounded(text, f"promise.{name}")
    except UsageError as error:
        raise ValueError(error.message) from None
    if value_ns <= 0:
        raise ValueError(f"promise.{name}: expected more than 0, got {text!r}")
    return value_ns


NOTHING: Final = Promise()
