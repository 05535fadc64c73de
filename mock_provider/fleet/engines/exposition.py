"""The Prometheus text format (version 0.0.4) of snapshots: an engine is a tuple of metrics."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from streamgauge.mock_provider.fleet.counts import Histogram
from streamgauge.mock_provider.fleet.snapshot import Snapshot
from streamgauge.mock_provider.http import Reply

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


class Totals(NamedTuple):
    """A histogram of which nobody reads the buckets."""

    values: int
    total: float


class Metric(NamedTuple):
    """One series: how its value is read from a snapshot; `labels` come after those of the engine."""

    kind: str
    name: str
    text: str
    read: Callable[[Snapshot], float | Histogram | Totals]
    labels: Labels = {}  # noqa: RUF012 (never changed)


def gauge(name: str, text: str, read: Callable[[Snapshot], float]) -> Metric:
    """A value that rises and falls."""
    return Metric("gauge", name, text, read)


def counter(name: str, text: str, read: Callable[[Snapshot], float], **labels: str) -> Metric:
    """A value that only rises."""
    return Metric("counter", name, text, read, labels)


def histogram(name: str, text: str, read: Callable[[Snapshot], Histogram]) -> Metric:
    """Durations in seconds."""
    return Metric("histogram", name, text, read)


def totals(name: str, text: str, read: Callable[[Snapshot], Totals]) -> Metric:
    """A histogram of anything else, with one bucket."""
    return Metric("histogram", name, text, read)


def exposition(metrics: Iterable[Metric], engines: Sequence[tuple[Labels, Snapshot]]) -> Reply:
    """An answer with all metrics of all engines, each engine with its labels."""
    lines = (line for metric in _by_name(metrics) for line in _lines(metric, engines))
    return Reply(200, "".join(f"{line}\n" for line in lines).encode(), CONTENT_TYPE)


def _by_name(metrics: Iterable[Metric]) -> Iterable[list[Metric]]:
    named: dict[str, list[Metric]] = {}
    for metric in metrics:
        named.setdefault(metric.name, []).append(metric)
    return named.values()


def _lines(metrics: list[Metric], engines: Sequence[tuple[Labels, Snapshot]]) -> Iterator[str]:
    """The lines of the metrics with one name."""
    kind, name, text, _, _ = metrics[0]
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, engine in engines:
        for metric in metrics:
            yield from _samples(name, {**labels, **metric.labels}, metric.read(engine))


def _samples(name: str, labels: Labels, value: float | Histogram | Totals) -> Iterator[str]:
    if isinstance(value, Histogram):
        cumulated, total, count = list(value.cumulated()), value.sum_ns / 1e9, value.count
    elif isinstance(value, Totals):
        cumulated, total, count = [("+Inf", value.values)], value.total, value.values
    else:
        yield f"{name}{_braced(labels)} {value}"
        return
    for bound, below in cumulated:
        yield f"{name}_bucket{_braced({**labels, 'le': bound})} {below}"
    yield f"{name}_sum{_braced(labels)} {total}"
    yield f"{name}_count{_braced(labels)} {count}"


def _braced(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""
