"""Simulated streams for comparisons: heavy tails and a level that wanders, so that neighbours are not independent."""

import math
import random
from pathlib import Path

from streamgauge.comparing.blocks import SLICES, Sliced, sliced_waits
from streamgauge.metrics.summary import Totals, Window
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord
from streamgauge.rundir import runs
from streamgauge.rundir.runs import Machine, RunFile
from streamgauge.units import MS, SECOND

BEGIN_NS = 1_763_700_000 * SECOND
EVERY_NS = 50 * MS
SETTINGS = {"load": "5 users", "users": 5, "duration_s": 30.0, "seed": 1, "prompts": {"source": "fixed", "seed": 1}}


def ttfts(rng: random.Random, count: int, *, factor: float = 1.0, memory: float = 20) -> list[float]:
    """Times in ns around 200 ms: lognormal, with a Pareto tail (its variance is infinite) and a wandering level.

    The correlation of two streams falls to 1/e over `memory` streams.
    """
    keep, level, found = math.exp(-1 / memory), rng.gauss(0, 0.05), []
    for _ in range(count):
        level = keep * level + rng.gauss(0, 0.05 * math.sqrt(1 - keep * keep))
        value = 200 * math.exp(level + rng.gauss(0, 0.1)) + 10 * rng.paretovariate(1.5)
        found.append(value * factor * MS)
    return found


def column(values: list[float]) -> Sliced:
    """The values as those of streams that begin one after another."""
    return sliced_waits((value, at * SLICES // len(values)) for at, value in enumerate(values))


def stream(
    number: int, ttft_ns: float, *, tokens: int = 5, outcome: Outcome = Outcome.OK, **more: object
) -> StreamRecord:
    """A stream that begins `number` × 50 ms into the run."""
    at = [round(ttft_ns) + 10 * MS * token for token in range(tokens)]
    given: dict[str, object] = {
        "schema": SCHEMA, "id": f"s{number}", "outcome": outcome, "method": "POST",
        "url": "http://127.0.0.1:9/v1/chat/completions", "dialect": "openai-chat", "status": 200,
        "start_ns": BEGIN_NS + number * EVERY_NS, "headers_ns": at[0], "first_byte_ns": at[0], "end_ns": at[-1] + MS,
        "closed_ns": at[-1] + MS, "sent_ns": 0, "events": tokens,
        "reads": Reads(at, [100_000] * tokens, [64] * tokens), "token_reads": list(range(tokens)),
        "output_tokens": tokens, "tokens_source": "usage", "usage_prompt_tokens": 40, "stamp_source": "kernel", **more,
    }  # fmt: skip
    return StreamRecord(**given)  # type: ignore[arg-type]


def write_run(directory: Path, records: list[StreamRecord], **changes: object) -> Path:
    """A run directory with these records, as `load` leaves it."""
    directory.mkdir(parents=True)
    writer, totals = runs.RecordWriter(directory), Totals()
    for record in records:
        writer.add(record)
        totals.add(record)
    writer.close()
    first, last = records[0].start_ns, records[-1].start_ns
    runs.write_window(directory, Window(first, last + EVERY_NS))
    given: dict[str, object] = {
        "command": "load", "target": "http://127.0.0.1:9/v1/chat/completions", "dialect": "openai-chat",
        "started": "2025-11-21T10:00:00Z", "status": "complete",
        "settings": SETTINGS,
        "machine": Machine("Linux 6.1", "3.11.2", 4), "summary": totals.summary(), **changes,
    }  # fmt: skip
    runs.write(directory / runs.RUN, RunFile(**given))  # type: ignore[arg-type]
    return directory


def simulated_run(directory: Path, seed: int, *, count: int = 400, factor: float = 1.0, **changes: object) -> Path:
    """A run of simulated streams."""
    values = ttfts(random.Random(seed), count, factor=factor, memory=5)
    return write_run(directory, [stream(number, value) for number, value in enumerate(values)], **changes)
