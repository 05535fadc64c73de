"""Mooncake: whole milliseconds, and blocks of 512 tokens."""

from collections.abc import Iterator
from typing import Final

from streamgauge.loadgen.traces.format import Options, Timed, TraceFormat, names
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import Row
from streamgauge.loadgen.traces.time_unit import Evidence
from streamgauge.loadgen.traces.values import blocks_of, time_of, tokens_of

BLOCK: Final = 512


def read(row: Row, options: Options) -> Iterator[Timed]:
    request = Request(
        prompt_tokens=tokens_of(row, "input_length"),
        output_tokens=tokens_of(row, "output_length"),
        blocks=blocks_of(row, "hash_ids", options.block(BLOCK)),
    )
    yield time_of(row.first("timestamp"), row.where), request


FORMAT = TraceFormat(
    key="mooncake",
    name="Mooncake",
    columns=(names("timestamp, input_length, hash_ids"), names("timestamp, output_length, hash_ids")),
    fields="timestamp, input_length, output_length, hash_ids",
    time=lambda seen: Evidence(None if seen.fractions else "ms"),
    time_text="milliseconds",
    read=read,
)
