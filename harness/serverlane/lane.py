"""The server's figures over a run: samples on the client's clock, and what they say of its time to first token."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Final

import msgspec

from streamgauge.protocol.numbers import Ns
from streamgauge.serverlane.figures import Figures, Seconds
from streamgauge.units import SECOND, plural

LEAST_SAMPLES: Final = 3
_ALL_SHARE: Final = 0.75  # of the streams that this client has open: with fewer, its rate is not that of this server
_BUSY_SHARE: Final = 0.5  # of the streams that this client has open: fewer running and waiting are another server's


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A line of server.jsonl: one answer, which is of some moment between the two (epoch ns of this client)."""

    begin_ns: Ns
    end_ns: Ns
    figures: Figures

    @property
    def at_ns(self) -> int:
        return (self.begin_ns + self.end_ns) // 2


class ServerLane(msgspec.Struct, frozen=True, kw_only=True):
    """`server` of run.json: the server's own figures in the measured window. None where it does not show one.

    `queue_ms` and `prefill_ms` are means over the requests that the server counted in the window. Where it counts no
    queue time, `queue_estimate_ms` is the mean number of waiting requests divided by the first tokens per second of
    this client (Little's law); None when the server also serves others, or is one of several. `error_ms` is the
    longest time that an answer took: so much later or earlier a figure may be.
    """

    url: str
    engine: str
    trap: str
    samples: int
    failed: int = 0
    failure: str | None = None
    error_ms: float | None = None
    running_mean: float | None = None
    running_max: float | None = None
    waiting_mean: float | None = None
    waiting_max: float | None = None
    kv_share_max: float | None = None
    queue_ms: float | None = None
    queue_estimate_ms: float | None = None
    prefill_ms: float | None = None
    requests: int | None = None
    caveats: list[str] = []

    def split(self, ttft_ms: float | None) -> str | None:
        """The mean TTFT as queue, prefill and the rest; None where the server does not tell its queue.

        `ttft_ms` is the client's mean over the same window. The rest is the network, the front end, and the first
        token's own step.
        """
        if ttft_ms is None:
            return None
        if self.queue_ms is None:
            return self._estimated_split(ttft_ms)
        inside = self.queue_ms + (self.prefill_ms or 0.0)
        if inside > ttft_ms:
            return None
        prefill = "" if self.prefill_ms is None else f", {self.prefill_ms:,.1f} ms prefill"
        rest = "network, front end and the rest" if prefill else "prefill, network and the rest"
        return f"{ttft_ms:,.1f} ms = {self.queue_ms:,.1f} ms queue{prefill}, {ttft_ms - inside:,.1f} ms {rest}"

    def _estimated_split(self, ttft_ms: float) -> str | None:
        if self.queue_estimate_ms is None:
            return None
        queue_ms = min(self.queue_estimate_ms, ttft_ms)
        rest_ms = ttft_ms - queue_ms
        return (
            f"{ttft_ms:,.0f} ms = about {queue_ms:,.0f} ms queue (Little's law), {rest_ms:,.0f} ms prefill and the rest"
        )


def summary(
    url: str,
    engine: str,
    trap: str,
    samples: Iterable[Sample],
    *,
    window: tuple[int, int] | None = None,
    open_mean: float | None = None,
    first_tokens_per_s: float | None = None,
    failed: int = 0,
    failure: str | None = None,
) -> ServerLane:
    """The samples in the window (epoch ns) in figures.

    `open_mean` is how many streams this client had open then, and `first_tokens_per_s` how many had their first token.
    """
    taken = [one for one in samples if window is None or window[0] <= one.at_ns <= window[1]]
    running, waiting, kv = (_known(taken, name) for name in ("running", "waiting", "kv_share"))
    queue, prefill = (_growth([getattr(one.figures, name) for one in taken]) for name in ("queue", "prefill"))
    found = ServerLane(
        url=url,
        engine=engine,
        trap=trap,
        samples=len(taken),
        failed=failed,
        failure=failure,
        error_ms=round(max((one.end_ns - one.begin_ns for one in taken), default=0) / 1e6, 3) if taken else None,
        running_mean=_mean(running),
        running_max=max(running, default=None),
        waiting_mean=_mean(waiting),
        waiting_max=max(waiting, default=None),
        kv_share_max=max(kv, default=None),
        queue_ms=_mean_ms(queue),
        prefill_ms=_mean_ms(prefill),
        requests=None if queue is None else round(queue.count),
    )
    return msgspec.structs.replace(
        found,
        queue_estimate_ms=_queue_estimate_ms(found, open_mean, first_tokens_per_s),
        caveats=list(_caveats(found, running, waiting, open_mean)),
    )


def _queue_estimate_ms(lane: ServerLane, open_mean: float | None, first_tokens_per_s: float | None) -> float | None:
    """See ServerLane. Both rates must be those of the same requests: only then does Little's law hold."""
    if lane.queue_ms is not None or lane.waiting_mean is None or lane.samples < LEAST_SAMPLES:
        return None
    together = (lane.running_mean or 0.0) + lane.waiting_mean
    if not open_mean or not first_tokens_per_s or not _ALL_SHARE <= together / open_mean <= 1 / _ALL_SHARE:
        return None
    return round(lane.waiting_mean / first_tokens_per_s * 1e3, 1)


def _known(samples: Sequence[Sample], name: str) -> list[float]:
    return [value for one in samples if (value := getattr(one.figures, name)) is not None]


def _mean(values: Sequence[float]) -> float | None:
    return round(fmean(values), 2) if values else None


def _growth(histograms: Sequence[Seconds | None]) -> Seconds | None:
    """What a histogram counted between its first and last sample; None when it was set back, as by a restart."""
    known = [one for one in histograms if one is not None]
    if len(known) < 2:
        return None
    if any(after.count < before.count for before, after in pairwise(known)):
        return None
    grown = Seconds(known[-1].count - known[0].count, known[-1].total - known[0].total)
    return grown if grown.count > 0 and grown.total >= 0 else None


def _mean_ms(seconds: Seconds | None) -> float | None:
    mean = math.nan if seconds is None else seconds.total / seconds.count * 1e3
    return None if math.isnan(mean) else round(mean, 3)


def _caveats(
    lane: ServerLane, running: Sequence[float], waiting: Sequence[float], open_mean: float | None
) -> Iterable[str]:
    if lane.failed:
        yield f"{plural(lane.failed, 'answer')} of the server's metrics failed: {lane.failure}"
    if lane.samples < LEAST_SAMPLES:
        yield f"only {plural(lane.samples, 'sample')} of the server's metrics in the window: too few for a picture"
        return
    if any(value < 0 for value in (*running, *waiting)):
        yield "the server showed fewer than no requests: its counter is wrong"
    together = (lane.running_mean or 0.0) + (lane.waiting_mean or 0.0)
    if open_mean is None or open_mean < 1:
        return
    if len({*running}) == 1 and len({*waiting}) <= 1 and running[0] == 0:
        yield (
            f"the server showed no request although {open_mean:,.1f} streams were open: its gauge stands still, or "
            "another server answered"
        )
    elif waiting and together < _BUSY_SHARE * open_mean:
        yield (
            f"the server showed {together:,.1f} requests while {open_mean:,.1f} streams were open: it is one of "
            "several, or something in front of it holds requests back"
        )


def rate(before: Sample, after: Sample) -> float | None:
    """Generated tokens per second between two samples; None where the server does not count them."""
    old, new = before.figures.generated, after.figures.generated
    seconds = (after.at_ns - before.at_ns) / SECOND
    return (new - old) / seconds if old is not None and new is not None and new >= old and seconds > 0 else None
