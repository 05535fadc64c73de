"""Whether two sides were measured alike: what differs is refused where it decides the figures, and else named.

Peers compare whatever they are given, so a difference of the workload is reported as one of the server.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from streamgauge.comparing.side import RunSample, Side
from streamgauge.metrics.metric import Metric
from streamgauge.metrics.validity import Scope, Validity

_NOT_OF_THE_LOAD: Final = frozenset({"slos", "max_errors", "abort_if"})
_NAMED_SETTINGS: Final = frozenset(
    {"seed", "duration_s", "warmup_s", "drain_s", "processes", "expect_workers", "server_metrics"}
)
"""Settings that leave the load the same: how long it is measured, by which processes, and what is asked besides."""

_SALT: Final = frozenset({"nonce"})  # a random text of each run
_LENGTH_TOLERANCE: Final = 0.02
_CACHE_TOLERANCE: Final = 0.05
_ANSWER_METRICS: Final = frozenset({"e2e", "e2e_intended", "output_tokens_per_s", "streams_per_s"})
_PROMPT_METRICS: Final = frozenset({"ttft", "ttfat", "ttft_intended", "e2e", "e2e_intended"})


class Mismatch(NamedTuple):
    """What differs, with both values. `spoils` are the metrics that differ for this reason alone."""

    what: str
    a: str
    b: str
    spoils: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.what} {self.a} → {self.b}"


class Identity(NamedTuple):
    """What differs between two sides: `refused` decides the figures, `named` is worth knowing.

    `clients` are the verdicts on this client in each run, by the run's directory.
    """

    refused: list[Mismatch]
    named: list[Mismatch]
    clients: list[tuple[Path, Validity]]

    @property
    def doubts(self) -> list[str]:
        """Why a client could have distorted figures."""
        return [_doubt(*client) for client in self.clients if client[1].verdict != "VALID"]

    def doubts_about(self, figures: Iterable[Scope]) -> list[str]:
        """Why a client could have distorted figures of these kinds: then they decide nothing, for neither side."""
        asked = frozenset(figures)
        about = [(directory, client.about(asked)) for directory, client in self.clients]
        return [_doubt(*client) for client in about if client[1].verdict != "VALID"]

    def spoilt(self, metric: str) -> str | None:
        """Why a metric cannot be compared; None when it can."""
        return next((str(one) for one in (*self.refused, *self.named) if metric in one.spoils), None)

    @property
    def line(self) -> str:
        """The first line of a comparison."""
        if self.refused:
            named = f"; also differs: {'; '.join(map(str, self.named))}" if self.named else ""
            return f"NOT ALIKE: {'; '.join(map(str, self.refused))}{named}"
        alike = "Same workload and lengths"
        return f"{alike}. Differs: {'; '.join(map(str, self.named))}" if self.named else f"{alike}, same client."


def identify(a: Side, b: Side) -> Identity:
    """Compare how both sides were measured. The runs of one side must be alike, too."""
    refused, named = list[Mismatch](), list[Mismatch]()
    first = a.runs[0]
    for side, run in [(own, run) for own in (a, b) for run in own.runs]:
        if run is first:
            continue
        place = "" if side is b else f" ({run.directory})"
        for one in _workload(first, run):
            _add(refused, one._replace(what=one.what + place))
        for one in _circumstances(first, run):
            _add(named, one)
    for one in (*_lengths(a, b), *_caches(a, b)):
        _add(named, one)
    clients = [(run.directory, run.summary.validity) for side in (a, b) for run in side.runs]
    return Identity(refused, named, clients)


def _add(found: list[Mismatch], one: Mismatch) -> None:
    if str(one) not in map(str, found):
        found.append(one)


def _workload(one: RunSample, other: RunSample) -> Iterator[Mismatch]:
    """Differences of the load and of the prompts."""
    for name, a, b in _different(_settings(one), _settings(other)):
        if name not in _NAMED_SETTINGS:
            yield Mismatch(name, a, b)
    for name, a, b in _different(_prompts(one), _prompts(other)):
        if name not in ("seed", *_SALT):
            yield Mismatch(f"prompts: {name}", a, b)
    for name in ("command", "dialect"):
        a, b = getattr(one.run, name), getattr(other.run, name)
        if a != b:
            yield Mismatch(name, _show(a), _show(b))


def _circumstances(one: RunSample, other: RunSample) -> Iterator[Mismatch]:
    """Differences that leave the load the same."""
    for name, a, b in (
        ("target", one.run.target, other.run.target),
        ("streamgauge", one.run.streamgauge, other.run.streamgauge),
        ("machine", _machine(one), _machine(other)),
        ("calibration", _calibration(one), _calibration(other)),
        ("validity", one.summary.validity.verdict, other.summary.validity.verdict),
        ("status", one.run.status, other.run.status),
        ("tokens counted from", one.summary.tokens_source, other.summary.tokens_source),
        ("streams end with", one.run.end.value, other.run.end.value),
    ):
        if a != b:
            yield Mismatch(name, _show(a), _show(b))
    for name, a, b in _different(_settings(one), _settings(other)):
        if name in _NAMED_SETTINGS:
            yield Mismatch(name, a, b)
    for name, a, b in _different(_prompts(one), _prompts(other)):
        if name == "seed":
            yield Mismatch("seed of the prompts", a, b)
        if name in _SALT and "None" in (a, b):
            yield Mismatch(f"prompts: {name}", a, b, _PROMPT_METRICS)


def _lengths(a: Side, b: Side) -> Iterator[Mismatch]:
    """Received lengths: a server that answers shorter is not a faster one."""
    for what, field, spoils in (
        ("mean answer, tokens", "output", _ANSWER_METRICS),
        ("mean prompt as the server counts it, tokens", "prompt", _PROMPT_METRICS),
    ):
        one, other = _mean(a, field), _mean(b, field)
        if one and other and abs(other / one - 1) > _LENGTH_TOLERANCE:
            yield Mismatch(what, f"{one:,.1f}", f"{other:,.1f}", spoils)


def _caches(a: Side, b: Side) -> Iterator[Mismatch]:
    """A server that took more of the prompts from a cache had less to do."""
    one, other = (_cached(side) for side in (a, b))
    if one is not None and other is not None and abs(other - one) > _CACHE_TOLERANCE:
        yield Mismatch("share of prompt tokens from a cache", f"{one:.0%}", f"{other:.0%}", _PROMPT_METRICS)
    elif (one is None) is not (other is None):
        a_share, b_share = ("unknown" if share is None else f"{share:.0%}" for share in (one, other))
        yield Mismatch("share of prompt tokens from a cache", a_share, b_share)


def _cached(side: Side) -> float | None:
    """The share of prompt tokens that came from a cache, the mean over the runs that know it."""
    known = [share for run in side.runs if (share := run.summary.cached_share) is not None]
    return sum(known) / len(known) if known else None


def _mean(side: Side, field: str) -> float | None:
    """The mean length over the runs, by their streams."""
    known = [(value, run.streams) for run in side.runs if (value := getattr(run.lengths, field)) is not None]
    total = sum(streams for _, streams in known)
    return sum(value * streams for value, streams in known) / total if total else None


def _doubt(directory: Path, client: Validity) -> str:
    return f"{directory} is {client.verdict}: {next(iter(client.reasons), '')}"


def _different(one: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*one, *other]):
        if one.get(name) != other.get(name):
            yield name, _show(one.get(name)), _show(other.get(name))


def _settings(sample: RunSample) -> dict[str, Any]:
    own = {name: value for name, value in sample.run.settings.items() if name not in _NOT_OF_THE_LOAD}
    own.pop("prompts", None)
    return own


def _prompts(sample: RunSample) -> dict[str, Any]:
    found = sample.run.settings.get("prompts")
    return found if isinstance(found, dict) else {}


def _machine(sample: RunSample) -> str | None:
    machine = sample.run.machine
    return None if machine is None else f"{machine.system}, Python {machine.python}, {machine.cpus} CPUs"


def _calibration(sample: RunSample) -> str | None:
    floor = sample.calibration
    return None if floor is None else f"of {floor.started} at {floor.users:,} users"


def _show(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def of_gaps(metric: Metric) -> bool:
    """Whether the client's error of a metric is that of a gap."""
    return bool(getattr(metric, "of_gaps", False))


def labels(sides: Sequence[Side]) -> list[str]:
    """A short name for each side: A, B, C."""
    return [chr(ord("A") + at) if at < 26 else f"side {at + 1}" for at in range(len(sides))]
