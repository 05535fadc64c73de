"""The settings of the fleet. Each is declared once: it is a flag of `streamgauge mock`, too."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import Annotated

from streamgauge.mock_provider.capacity import NS_PER_S, Limits, QueueOrder
from streamgauge.mock_provider.durations import parse_duration, parse_option
from streamgauge.mock_provider.fleet.gauges import Engine, Lie
from streamgauge.mock_provider.fleet.limits import FleetLimits, Routing
from streamgauge.mock_provider.options import check_choices

MOST_REPLICAS = 1_000
MOST_FACTOR = 1_000.0
MOST_COUNT = 1_000_000  # of requests, blocks, and words of a block: a full cache takes 150 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """Settings of the replicas behind one address; the defaults model nothing. A wrong value raises ValueError."""

    replicas: Annotated[int, "Replicas behind this address; each has its own --slots, --queue and caches."] = 1
    speed: Annotated[str, "Speed of each replica: 1,1,0.5 makes the third half as fast. One number: of all."] = "1"
    weight: Annotated[str, "Share of the requests that each replica gets: 3,1 sends three of four to the first."] = "1"
    routing: Annotated[Routing, "How a request finds its replica."] = "round-robin"
    sticky_header: Annotated[str, "Header field whose value chooses the replica with --routing sticky."] = (
        "X-Session-Id"
    )
    replica_header: Annotated[str, "Header field of an answer that names its replica, if there are several."] = (
        "X-Replica"
    )
    admit: Annotated[int | None, "Requests that may run or wait in all replicas together; more are refused."] = None
    refuse_status: Annotated[int, "Status of a refusal, and after --queue-timeout: 429 or 503, for example."] = 429
    retry_after: Annotated[str, "Retry-After of a refusal, in whole seconds; 0: no such field."] = "1s"
    queue_order: Annotated[QueueOrder, "Which waiting request gets a free slot."] = "fifo"
    queue_timeout: Annotated[str | None, "Longest wait for a slot, then the request is refused. Default: no limit."] = (
        None
    )

    cold_requests: Annotated[int, "How many first requests of each replica wait --cold-time for a cold model."] = 0
    cold_time: Annotated[str, "How much later a cold replica writes the first token: 5s."] = "0"
    cold_after: Annotated[str | None, "A replica is cold again after so long without a stream. Default: never."] = None
    overload_at: Annotated[int | None, "Number of waiting requests that makes a replica slow. Default: none."] = None
    overload_factor: Annotated[float, "Factor by which a slow replica takes longer for everything."] = 2.0
    overload_recovery: Annotated[str, "A slow replica recovers when its queue has been empty for so long."] = "0"
    prefix_cache: Annotated[int | None, "Blocks of each replica's prefix cache. Default: no cache."] = None
    prefix_block: Annotated[int, "Words in a block of the prefix cache."] = 16
    engine: Annotated[Engine | None, "Engine whose status pages are served, such as /metrics. Default: none."] = None
    gauge_lie: Annotated[tuple[Lie, ...], "How the status pages lie, as real ones do."] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.replicas <= MOST_REPLICAS:
            raise ValueError(f"replicas: expected 1 to {MOST_REPLICAS}, got {self.replicas}")
        check_choices(self)
        for name in ("sticky_header", "replica_header"):
            _check_field_name(_dashed(name), getattr(self, name))
        if self.admit is not None and self.admit < 1:
            raise ValueError(f"admit: expected 1 or more, got {self.admit}")
        for name, least in (("cold_requests", 0), ("overload_at", 1), ("prefix_cache", 1), ("prefix_block", 1)):
            value = getattr(self, name)
            if value is not None and not least <= value <= MOST_COUNT:
                raise ValueError(f"{_dashed(name)}: expected {least} to {MOST_COUNT}, got {value}")
        if not 1 <= self.overload_factor <= MOST_FACTOR:
            raise ValueError(f"overload-factor: expected 1 to {MOST_FACTOR:g}, got {self.overload_factor}")
        for name in ("cold_time", "cold_after", "overload_recovery"):
            parse_option(_dashed(name), getattr(self, name) or "0")
        if not 400 <= self.refuse_status <= 599:
            raise ValueError(f"refuse-status: expected an error status of 400 to 599, got {self.refuse_status}")
        if parse_option("retry-after", self.retry_after) % NS_PER_S:
            raise ValueError(f"retry-after: expected whole seconds, got {self.retry_after!r}")
        if self.gauge_lie and self.engine is None:
            raise ValueError("gauge-lie: expected an engine as well; without one there are no status pages")
        if self.queue_timeout is not None and parse_option("queue-timeout", self.queue_timeout) == 0:
            raise ValueError("queue-timeout: expected more than 0; --queue-policy reject lets no request wait")
        self.speeds()
        self.weights()

    @property
    def retry_after_s(self) -> int | None:
        """Value of Retry-After; None: no such field."""
        return parse_option("retry-after", self.retry_after) // NS_PER_S or None

    def speeds(self) -> tuple[float, ...]:
        """The speed of each replica."""
        return _each("speed", self.speed, self.replicas)

    def weights(self) -> tuple[float, ...]:
        """The weight of each replica."""
        return _each("weight", self.weight, self.replicas)

    def limits(self, base: Limits) -> FleetLimits:
        """The limits of the fleet; `base` has the slots, queue and speed of decoding of each replica."""
        base = replace(
            base,
            queue_order=self.queue_order,
            queue_timeout_ns=_duration_ns(self.queue_timeout),
            cold_requests=self.cold_requests,
            cold_ns=parse_duration(self.cold_time),
            cold_after_ns=_duration_ns(self.cold_after),
            overload_at=self.overload_at,
            overload_factor=self.overload_factor if self.overload_at is not None else 1.0,
            recovery_ns=parse_duration(self.overload_recovery),
            cache_blocks=self.prefix_cache,
            block_tokens=self.prefix_block,
        )
        return FleetLimits(
            replicas=tuple(replace(base, speed=speed) for speed in self.speeds()),
            weights=self.weights(),
            routing=self.routing,
            admit=self.admit,
        )


def _duration_ns(text: str | None) -> int | None:
    return None if text is None else parse_duration(text)


def _each(name: str, text: str, replicas: int) -> tuple[float, ...]:
    """A number for each replica, from a list of numbers or from one number."""
    numbers = tuple(_number(name, part) for part in text.split(","))
    if len(numbers) == 1:
        return numbers * replicas
    if len(numbers) != replicas:
        raise ValueError(f"{name}: expected one number, or one for each of {replicas} replicas, got {len(numbers)}")
    return numbers


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not isfinite(number) or not 1 / MOST_FACTOR <= number <= MOST_FACTOR:
        raise ValueError(f"{name}: expected numbers of {1 / MOST_FACTOR} to {MOST_FACTOR:g}, got {text[:40]!r}")
    return number


def _check_field_name(name: str, value: str) -> None:
    if not value or len(value) > 64 or not all(char.isascii() and (char.isalnum() or char == "-") for char in value):
        raise ValueError(f"{name}: expected a field name of letters, digits and '-', got {value[:80]!r}")


def _dashed(name: str) -> str:
    return name.replace("_", "-")
