"""What a mock server does when neither flag nor directive says otherwise."""

from dataclasses import dataclass
from typing import Literal

from mock_provider import faults, text, timing
from mock_provider.durations import parse_duration

OnDisconnect = Literal["stop", "continue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MockConfig:
    """Settings of one server; `ttft`, `itl`, `heartbeat` and `faults` are written as in a directive.

    A value that the directive would refuse raises ValueError here, with the same message.
    """

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free port
    tokens: int = 32
    ttft: str = "50ms"
    itl: str = "10ms"
    seed: int = 0
    text: str = "ascii"
    heartbeat: str | None = None  # None: what the dialect does by itself
    # Applied to every stream of a dialect they can apply to; a directive's own faults are added to them.
    faults: tuple[str, ...] = ()
    models: tuple[str, ...] = ()  # empty: every model name is accepted
    api_key: str | None = None
    control_token: str | None = None
    on_disconnect: OnDisconnect = "stop"
    ledger_size: int = 10_000

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port: expected 0 to 65535, got {self.port}")
        if self.tokens < 0:
            raise ValueError(f"tokens: expected 0 or more, got {self.tokens}")
        if self.ledger_size < 1:
            raise ValueError(f"ledger-size: expected 1 or more, got {self.ledger_size}")
        if self.text not in text.KINDS:
            raise ValueError(f"text: expected one of {', '.join(text.KINDS)}, got {self.text!r}")
        if self.on_disconnect not in ("stop", "continue"):
            raise ValueError(f"on-disconnect: expected stop or continue, got {self.on_disconnect!r}")
        for name, value in (("ttft", self.ttft), ("itl", self.itl)):
            try:
                timing.parse_delay(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        if self.heartbeat is not None:
            try:
                parse_duration(self.heartbeat)
            except ValueError as error:
                raise ValueError(f"heartbeat: {error}") from None
        for spec in self.faults:
            try:
                faults.parse(spec)
            except ValueError as error:
                raise ValueError(f"fault: {error}") from None
