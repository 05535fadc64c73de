"""The Prometheus text format: lines of gauges, counters and histograms."""

from collections.abc import Iterable, Iterator, Mapping

from streamgauge.mock_provider.fleet.replica import Histogram
from streamgauge.mock_provider.http import Reply

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


def exposition(*metrics: Iterable[str]) -> Reply:
    """An answer of all the lines."""
    return Reply(200, "".join(f"{line}\n" for metric in metrics for line in metric).encode(), CONTENT_TYPE)


def gauge(name: str, text: str, values: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    """A gauge with a value for each set of labels."""
    return _metric("gauge", name, text, values)


def counter(name: str, text: str, values: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    """A counter with a value for each set of labels."""
    return _metric("counter", name, text, values)


def histogram(name: str, text: str, values: Iterable[tuple[Labels, Histogram]]) -> Iterator[str]:
    """A histogram in seconds for each set of labels."""
    yield from _head("histogram", name, text)
    for labels, measured in values:
        for bound, count in measured.cumulated():
            yield f"{name}_bucket{_braced({**labels, 'le': bound})} {count}"
        yield f"{name}_sum{_braced(labels)} {measured.sum_ns / 1e9}"
        yield f"{name}_count{_braced(labels)} {measured.count}"


def _metric(kind: str, name: str, text: str, values: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    yield from _head(kind, name, text)
    for labels, value in values:
        yield f"{name}{_braced(labels)} {value}"


def _head(kind: str, name: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _braced(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""
