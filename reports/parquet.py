"""streams.parquet: one row a stream, for pandas, DuckDB or Spark. Needs the extra `streamgauge[parquet]` (pyarrow)."""

from itertools import islice
from pathlib import Path
from typing import Any, Final

from streamgauge.errors import UsageError
from streamgauge.files import replacing
from streamgauge.metrics.definitions import OF_STREAM
from streamgauge.metrics.facts import StreamFacts
from streamgauge.protocol.record import StreamRecord
from streamgauge.rundir import runs

NAME: Final = "streams.parquet"
_ROWS: Final = 20_000  # of one row group, which is in memory at once

_TEXT: Final = (
    "id", "outcome", "detail", "scenario", "method", "url", "dialect", "finish_reason", "tokens_source", "usage_doubt",
    "stamp_source", "session",
)  # fmt: skip
_NUMBERS: Final = (
    "worker", "status", "start_ns", "intended_ns", "dns_ns", "tunnel_ns", "tls_ns", "handshake_ns", "sent_ns",
    "closed_ns", "events", "comments", "output_tokens", "token_chars", "unstamped_reads", "wire_bytes",
    "asked_prompt_tokens", "asked_output_tokens", "usage_prompt_tokens", "usage_cached_tokens", "turn",
)  # fmt: skip
_FLAGS: Final = ("reused", "warmup")
_LISTS: Final = ("token_at_ns", "read_at_ns", "read_lag_ns", "read_bytes")


def write_parquet(directory: Path, *, events: bool = False) -> Path:
    """Write `streams.parquet` beside the records; `events` adds the arrivals of all tokens and reads as lists.

    Times are ns; an event that did not happen is null. Raises UsageError without pyarrow or without records.
    """
    try:
        import pyarrow as pa  # an extra of 100 MB that most users never need
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError("--parquet needs pyarrow", "install it: pip install 'streamgauge[parquet]'") from None
    if not (directory / runs.STREAMS).exists():
        raise UsageError(f"{directory} holds no {runs.STREAMS}", "give the directory that load wrote with --out")
    schema = pa.schema(
        [(name, pa.string()) for name in _TEXT]
        + [(name, pa.bool_()) for name in _FLAGS]
        + [(name, pa.int64()) for name in _NUMBERS]
        + [(metric.column, pa.float64()) for metric in OF_STREAM]
        + [(name, pa.list_(pa.int64())) for name in _LISTS if events]
    )
    path = directory / NAME
    records = iter(runs.RecordReader(directory))
    try:
        with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            while rows := [_row(record, events) for record in islice(records, _ROWS)]:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", "is it writable? Is the disk full?") from None
    return path


def _row(record: StreamRecord, events: bool) -> dict[str, Any]:
    stream = StreamFacts(record)
    row: dict[str, Any] = {name: getattr(record, name) for name in (*_TEXT, *_FLAGS, *_NUMBERS)}
    row["outcome"] = record.outcome.value
    values = ((metric.column, metric.of_stream(stream)) for metric in OF_STREAM)
    row |= {column: None if value is None else float(value) for column, value in values}
    if events:
        reads = record.reads
        row |= zip(_LISTS, (stream.token_ns, reads.at_ns, reads.lag_ns, reads.bytes), strict=True)
    return row
