"""The mock's ledger of a run: when each token was due, when it was written, and what a client made of it."""

import json
from collections.abc import Iterable
from typing import Final, NamedTuple

import httpx

from streamgauge.metrics.comparison import Comparison, Ledgered, compare_with_ledger
from streamgauge.metrics.distributions import nearest_rank
from streamgauge.mock_provider.timing import Timeline, parse_delay
from streamgauge.protocol.record import StreamRecord
from tests.bench.clients.scenarios import Scenario

LAST_NS: Final = 1_000_000_000  # a client that is stopped may or may not record a stream that ended just before
_EXPORT_S: Final = 120


class Window(NamedTuple):
    """The part of a run that counts, epoch ns."""

    begin_ns: int
    end_ns: int

    def has(self, t_ns: int | None) -> bool:
        return t_ns is not None and self.begin_ns <= t_ns < self.end_ns

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.begin_ns) / 1e9


class Ledger(NamedTuple):
    """What the mock did within the window."""

    tokens: int
    late_p99_ms: float
    streams: dict[str, Ledgered]  # those that were requested within the window, by id
    ended: set[str]  # the ids of those that also ended within it, except for its last moment


def read_ledger(control: str, scenario: Scenario, window: Window) -> Ledger:
    """Fetch the ledger. A token is late by the time between its deadline and its write."""
    ttft, itl = parse_delay(scenario.ttft), parse_delay(scenario.itl)
    tokens, late_ns, streams, ended = 0, list[int](), dict[str, Ledgered](), set[str]()
    with httpx.stream("GET", f"{control}/_mock/export", timeout=_EXPORT_S) as export:
        for line in export.iter_lines():
            entry = json.loads(line)
            writes = entry["writes"]
            timeline = Timeline(ttft, itl, seed=0, stream=entry["id"])
            before = -1
            times = []
            for t_ns, token in zip(writes["t_ns"], writes["token"], strict=True):
                if token is None:
                    continue
                times += [t_ns] * (token - before)
                due_ns = entry["arrival_ns"] + timeline.offset_ns(token)
                if window.has(t_ns):
                    tokens += token - before
                    late_ns.append(t_ns - due_ns)
                before = token
            if window.has(entry["arrival_ns"]):
                streams[entry["id"]] = Ledgered(entry["arrival_ns"], times)
                if entry["end"] == "complete" and entry["end_ns"] < window.end_ns - LAST_NS:
                    ended.add(entry["id"])
    return Ledger(tokens, nearest_rank(sorted(late_ns), 0.99) / 1e6 if late_ns else 0.0, streams, ended)


def compare(records: Iterable[StreamRecord], ledger: Ledger) -> Comparison | None:
    """Reported against true; None where a client measures nothing."""
    seen = [record for record in records if record.id in ledger.streams]
    return compare_with_ledger(seen, ledger.streams, direct=True) if seen else None
