"""Figures of a running load by scenario: small and mergeable. Reports do not use them; they read the records."""

from collections import Counter
from typing import Final

import msgspec

from streamgauge.metrics.facts import NEUTRAL, gaps_ns, ttft_ns
from streamgauge.metrics.histogram import Counts, Histogram
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import SECOND, ns_to_ms

WINDOW_S: Final = 10
LATE_S: Final = 4
"""The newest seconds are left out: a Locust worker reports every 3 s, so its master does not have them in full yet."""

_KEPT_S: Final = 60


class Share(msgspec.Struct, frozen=True):
    """The figures of one scenario in one process since its last report; `per_s` is output tokens by epoch second."""

    streams: dict[str, int]
    ttft: Counts
    itl: Counts
    lag: Counts
    per_s: dict[int, int]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario in numbers, times in ms. A quantile without data is None, and its cell stays empty."""

    name: str
    streams: int
    ok: int
    failed: int
    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    itl_p50_ms: float | None
    itl_p99_ms: float | None
    tokens_per_s: float | None
    client_lag_p99_ms: float | None


class Figures:
    """One scenario's figures so far."""

    def __init__(self) -> None:
        self.streams: Counter[str] = Counter()
        self.ttft, self.itl, self.lag = Histogram(), Histogram(), Histogram()
        self.per_s: Counter[int] = Counter()

    def add(self, record: StreamRecord) -> None:
        """Count one stream. Its tokens count in the second in which it ended, because they are known only then."""
        self.streams[record.outcome.value] += 1
        first = ttft_ns(record)
        if first is not None:
            self.ttft.add([first])
        self.itl.add(gaps_ns(record))
        if record.stamp_source != "user":
            self.lag.add(record.reads.lag_ns)
        ended_s = (record.start_ns + (record.closed_ns or record.end_ns or 0)) // SECOND
        self._count(ended_s, record.output_tokens or 0)

    def share(self) -> Share:
        """All figures, to be sent to another process."""
        return Share(dict(self.streams), self.ttft.counts(), self.itl.counts(), self.lag.counts(), dict(self.per_s))

    def merge(self, share: Share) -> None:
        """Add the figures of another process."""
        self.streams.update(share.streams)
        self.ttft.merge(Histogram.of(share.ttft))
        self.itl.merge(Histogram.of(share.itl))
        self.lag.merge(Histogram.of(share.lag))
        for second, tokens in share.per_s.items():
            self._count(second, tokens)

    def row(self, name: str, now_s: float) -> Row:
        """The figures at `now_s` (epoch seconds)."""
        total = sum(self.streams.values())
        return Row(
            name=name,
            streams=total,
            ok=self.streams[Outcome.OK],
            failed=total - sum(self.streams[outcome] for outcome in NEUTRAL),
            ttft_p50_ms=_ms(self.ttft, 0.5),
            ttft_p99_ms=_ms(self.ttft, 0.99),
            itl_p50_ms=_ms(self.itl, 0.5),
            itl_p99_ms=_ms(self.itl, 0.99),
            tokens_per_s=self._rate(now_s),
            client_lag_p99_ms=_ms(self.lag, 0.99),
        )

    def _count(self, second: int, tokens: int) -> None:
        self.per_s[second] += tokens
        if len(self.per_s) > 2 * _KEPT_S:
            for old in sorted(self.per_s)[:-_KEPT_S]:
                del self.per_s[old]

    def _rate(self, now_s: float) -> float | None:
        """Output tokens a second over the last WINDOW_S complete seconds, or over all complete seconds so far."""
        last = int(now_s) - LATE_S
        first = max(last - WINDOW_S + 1, min(self.per_s, default=last + 1))
        if first > last:
            return None
        return round(sum(self.per_s[second] for second in range(first, last + 1)) / (last - first + 1), 1)


class Live:
    """The figures of every scenario: those of one process, or on a master those of all its workers."""

    def __init__(self) -> None:
        self._figures: dict[str, Figures] = {}

    def add(self, record: StreamRecord) -> None:
        """Count one stream."""
        self._of(record.scenario or "").add(record)

    def take(self) -> dict[str, Share]:
        """The figures since the last call. They are removed here."""
        shares = {name: figures.share() for name, figures in self._figures.items()}
        self._figures.clear()
        return shares

    def merge(self, shares: dict[str, Share]) -> None:
        """Add the figures that another process took."""
        for name, share in shares.items():
            self._of(name).merge(share)

    def clear(self) -> None:
        """Forget everything."""
        self._figures.clear()

    def rows(self, now_s: float) -> list[Row]:
        """A row for each scenario, and with several scenarios one row for all together."""
        rows = [figures.row(name, now_s) for name, figures in sorted(self._figures.items())]
        if len(rows) > 1:
            whole = Figures()
            for figures in self._figures.values():
                whole.merge(figures.share())
            rows.append(whole.row("Aggregated", now_s))
        return rows

    def _of(self, name: str) -> Figures:
        return self._figures.setdefault(name, Figures())


def _ms(histogram: Histogram, q: float) -> float | None:
    value = histogram.quantile(q)
    return None if value is None else round(ns_to_ms(value), 2)
