"""What tells how late a client was: a process's row of its own figures, and streams whose reads came late."""

from collections.abc import Iterable
from typing import Any

from streamgauge.metrics.histogram import Histogram
from streamgauge.metrics.process_stats import WorkerRow
from streamgauge.metrics.validity import doubtful
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord, Waits
from streamgauge.units import MS


def row(
    worker: int, wall_ns: int = 1000, cpu_ns: int = 0, waited_ns: int | None = None, late: Iterable[int] = ()
) -> WorkerRow:
    pool = Histogram()
    pool.add(late)
    return WorkerRow(worker=worker, wall_ns=wall_ns, cpu_ns=cpu_ns, waited_ns=waited_ns, late=pool.counts())


def stream(*reads: tuple[float, float, int], waited_ms: int | None = None, **changes: Any) -> StreamRecord:
    """A record. A read is its arrival in ms, the client's lag in ms, and the tokens in it.

    `waited_ms` is how long every doubtful read waited, as the client measured it.
    """
    given: dict[str, Any] = {
        "schema": SCHEMA, "id": "s", "outcome": Outcome.OK, "method": "POST", "url": "u", "start_ns": 10**18,
        "reused": True, "sent_ns": MS // 10, "stamp_source": "kernel",
        "reads": Reads([round(r[0] * MS) for r in reads], [round(r[1] * MS) for r in reads], [9] * len(reads)),
        "token_reads": [index for index, (_, _, tokens) in enumerate(reads) for _ in range(tokens)],
        "end_ns": round(reads[-1][0] * MS) + 1 if reads else None,
    } | changes  # fmt: skip
    record = StreamRecord(**given)
    if waited_ms is not None and (asked := doubtful(record)):
        record.waits = Waits(asked, [max(waited_ms * MS, record.reads.lag_ns[read]) for read in asked])
    return record
