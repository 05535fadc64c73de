"""A run directory of a million streams, and what a report of it costs: `python -m tests.bench.records [STREAMS]`.

Writes about 1.9 GB to a temporary directory, measures `streamgauge report` (time, memory), and deletes it.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord
from streamgauge.rundir import runs
from streamgauge.units import MS, SECOND

TOKENS = 50
EPOCH = 1_763_700_000 * SECOND


def record(number: int, draw: random.Random) -> StreamRecord:
    """A stream of 1.2 s that begins 2 ms after the one before; one in a thousand fails, one in a hundred coalesces."""
    at = [int(draw.gauss(1, 0.05) * MS)]
    at.append(int(draw.lognormvariate(5.3, 0.2) * MS))
    for _ in range(TOKENS - 1):
        at.append(at[-1] + int(draw.gauss(20, 1) * MS))
    failed = draw.random() < 0.001
    tokens = list(range(1, TOKENS + 1)) if draw.random() > 0.01 else [1, 1, *range(2, TOKENS)]
    return StreamRecord(
        schema=SCHEMA,
        id=f"{number:012x}",
        outcome=Outcome.TRUNCATED if failed else Outcome.OK,
        detail="the stream ended without its end marker" if failed else None,
        scenario="ChatUser",
        worker=4711,
        method="POST",
        url="http://127.0.0.1:9000/v1/chat/completions",
        dialect="openai-chat",
        status=200,
        start_ns=EPOCH + number * 2 * MS,
        reused=True,
        sent_ns=100_000 + draw.randrange(50_000),
        first_byte_ns=at[0],
        headers_ns=at[0],
        first_event_ns=at[0],
        first_chunk_ns=at[0],
        first_answer_ns=at[1],
        end_ns=at[-1],
        closed_ns=at[-1],
        events=TOKENS + 3,
        reads=Reads(at, [draw.randrange(30_000, 300_000) for _ in at], [180] * len(at)),
        token_reads=tokens,
        token_chars=4 * TOKENS,
        output_tokens=TOKENS,
        tokens_source="usage",
        finish_reason="stop",
        stamp_source="kernel",
        wire_bytes=180 * len(at),
    )


def generate(directory: Path, streams: int) -> int:
    """Write the records and run.json; bytes of streams.jsonl."""
    draw, encoder = random.Random(1), msgspec.json.Encoder()
    # A thousand distinct streams, repeated with their own ids and starts: drawing takes longer than writing.
    kinds = [record(number, draw) for number in range(1000)]
    with (directory / runs.STREAMS).open("wb") as file:
        for number in range(streams):
            one = kinds[number % len(kinds)]
            one.id, one.start_ns = f"{number:012x}", EPOCH + number * 2 * MS
            file.write(encoder.encode(one) + b"\n")
    manifest = runs.RunFile(command="load", target=kinds[0].url, started="2026-01-01T00:00:00+00:00")
    runs.write(directory / runs.RUN, manifest)
    return (directory / runs.STREAMS).stat().st_size


def main() -> None:
    streams = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        size = generate(directory, streams)
        began = time.monotonic()
        command = [sys.executable, "-c", "from streamgauge.cli import main; main()", "report", name]
        subprocess.run(command, check=True, env={**os.environ, "NO_COLOR": "1"})
        took_s = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        page = (directory / "report.html").stat().st_size
    print(f"{streams:,} streams of {TOKENS} tokens, {size / 1e6:,.0f} MB of records")  # noqa: T201
    print(  # noqa: T201
        f"report: {took_s:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, {used.ru_maxrss / 1024:,.0f} MB, "
        f"page {page / 1e3:,.0f} kB"
    )


if __name__ == "__main__":
    main()
