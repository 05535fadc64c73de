"""Settings of a mock server; a directive in a prompt overrides them for one stream."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streamgauge.mock_provider import faults, text, timing
from streamgauge.mock_provider.answer import MOST_CALLS
from streamgauge.mock_provider.capacity import Limits
from streamgauge.mock_provider.durations import parse_duration, parse_option
from streamgauge.mock_provider.fleet.limits import FleetLimits
from streamgauge.mock_provider.fleet.settings import FleetSettings
from streamgauge.mock_provider.listening import Listening
from streamgauge.mock_provider.profiles import PROFILES

OnDisconnect = Literal["stop", "continue"]
QueuePolicy = Literal["queue", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MockConfig:
    """Settings of one server; `ttft`, `itl`, `heartbeat` and `faults` are written as in a directive.

    A value that the directive would refuse raises ValueError here, with the same message.
    """

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free port
    listening: Listening = field(default_factory=Listening)
    tokens: int = 32
    ttft: str = "50ms"
    itl: str = "10ms"
    seed: int = 0
    text: str = "ascii"
    say: str | None = None  # the text of every answer, or the arguments of every tool call
    heartbeat: str | None = None  # None: as the dialect does by default
    # The next three apply only to dialects that have the feature.
    reasoning: int = 0  # tokens before the answer
    tools: int = 0  # calls instead of text
    profile: str | None = None  # of OpenAI Chat Completions, see `profiles`
    # Applied to every stream of a dialect they can apply to; a directive's own faults are added to them.
    faults: tuple[str, ...] = ()
    models: tuple[str, ...] = ()  # empty: every model name is accepted
    api_key: str | None = None
    control_token: str | None = None
    on_disconnect: OnDisconnect = "stop"
    ledger_size: int = 10_000
    tokens_per_event: int = 1
    events_per_write: int = 1
    prefill: str = "0"  # for each token of the prompt
    traces: tuple[str, ...] = ()  # NAME=FILE
    replay: str | None = None  # the trace of streams whose directive names none
    # Limits of the capacity model, see `capacity`.
    slots: int | None = None
    queue: int | None = None
    queue_policy: QueuePolicy = "queue"
    prefill_rate: float | None = None
    itl_per_active: str = "0"
    knee: int | None = None
    collapse: float = 0.0
    # Limits of each API key, see `quota`.
    key_slots: int | None = None
    key_rate: int | None = None  # requests a minute
    fleet: FleetSettings = field(default_factory=FleetSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port: expected 0 to 65535, got {self.port}")
        if self.tokens < 0:
            raise ValueError(f"tokens: expected 0 or more, got {self.tokens}")
        if self.reasoning < 0:
            raise ValueError(f"reasoning: expected 0 or more, got {self.reasoning}")
        if not 0 <= self.tools <= MOST_CALLS:
            raise ValueError(f"tools: expected 0 to {MOST_CALLS}, got {self.tools}")
        if self.profile is not None and self.profile not in PROFILES:
            raise ValueError(f"profile: expected one of {', '.join(PROFILES)}, got {self.profile!r}")
        if self.ledger_size < 1:
            raise ValueError(f"ledger-size: expected 1 or more, got {self.ledger_size}")
        if self.text not in text.KINDS:
            raise ValueError(f"text: expected one of {', '.join(text.KINDS)}, got {self.text!r}")
        if self.on_disconnect not in ("stop", "continue"):
            raise ValueError(f"on-disconnect: expected stop or continue, got {self.on_disconnect!r}")
        for name, secret in (("api-key", self.api_key), ("control-token", self.control_token)):
            if secret == "":
                raise ValueError(f"{name}: expected at least one character, or no {name} at all")
        for name, value in (("ttft", self.ttft), ("itl", self.itl)):
            try:
                timing.parse_delay(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        durations = {"heartbeat": self.heartbeat, "prefill": self.prefill, "itl-per-active": self.itl_per_active}
        for name, duration in durations.items():
            parse_option(name, duration or "0")
        self._check_counts()
        for spec in self.faults:
            try:
                faults.parse(spec)
            except ValueError as error:
                raise ValueError(f"fault: {error}") from None

    def _check_counts(self) -> None:
        least_one = {
            "tokens-per-event": self.tokens_per_event,
            "events-per-write": self.events_per_write,
            "slots": self.slots,
            "key-slots": self.key_slots,
            "key-rate": self.key_rate,
            "knee": self.knee,
        }
        for name, count in least_one.items():
            if count is not None and count < 1:
                raise ValueError(f"{name}: expected 1 or more, got {count}")
        if self.queue is not None and self.queue < 0:
            raise ValueError(f"queue: expected 0 or more, got {self.queue}")
        if self.queue_policy not in ("queue", "reject"):
            raise ValueError(f"queue-policy: expected queue or reject, got {self.queue_policy!r}")
        if self.slots is None and (self.queue is not None or self.queue_policy == "reject"):
            raise ValueError("queue, queue-policy: expected slots as well; without slots no request waits")
        if self.slots is None:
            for name, value in (("queue-timeout", self.fleet.queue_timeout), ("overload-at", self.fleet.overload_at)):
                if value is not None:
                    raise ValueError(f"{name}: expected slots as well; without slots no request waits")
        if self.queue_policy == "reject" and self.queue:
            raise ValueError(f"queue: expected no queue with queue-policy reject, got {self.queue}")
        if self.prefill_rate is not None and not 0 < self.prefill_rate < float("inf"):
            raise ValueError(f"prefill-rate: expected tokens a second above 0, got {self.prefill_rate}")
        if not 0 <= self.collapse <= 1_000:
            raise ValueError(f"collapse: expected 0 to 1000, got {self.collapse}")
        if self.collapse and self.knee is None:
            raise ValueError("collapse: expected a knee as well; collapse applies above it")
        if self.replay is not None and self.replay not in self.trace_files():
            raise ValueError(f"replay: expected the name of a trace, got {self.replay!r}")

    def trace_files(self) -> dict[str, Path]:
        """The trace files by name; ValueError for an entry that is not NAME=FILE."""
        files: dict[str, Path] = {}
        for spec in self.traces:
            name, equals, path = spec.partition("=")
            if not name or not equals or not path:
                raise ValueError(f"trace: expected NAME=FILE, got {spec!r}")
            files[name] = Path(path)
        return files

    def limits(self) -> Limits:
        """The limits of the capacity model, of one replica at speed 1."""
        return Limits(
            slots=self.slots,
            queue=0 if self.queue_policy == "reject" else self.queue,
            prefill_rate=self.prefill_rate,
            itl_per_active_ns=parse_duration(self.itl_per_active),
            knee=self.knee,
            collapse=self.collapse,
        )

    def fleet_limits(self) -> FleetLimits:
        """The limits of all replicas together."""
        return self.fleet.limits(self.limits())

    @property
    def models_fleet(self) -> bool:
        """Whether any setting of the capacity model or of the fleet is not its default."""
        return self.limits() != Limits() or self.fleet != FleetSettings()
