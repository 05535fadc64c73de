"""Baseten's completion traces, exported from Parquet as CSV or JSON lines. The only format with real abandonment.

A canceled request is left after the tokens that its user got. Without any, it is left after its recorded duration.
"""

from collections.abc import Iterator
from typing import Final

from streamgauge.errors import UsageError
from streamgauge.loadgen.leave import Leave
from streamgauge.loadgen.traces.format import Options, Timed, TraceFormat, always, names
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import HINT, Row
from streamgauge.loadgen.traces.values import blocks_of, flag_of, id_of, milliseconds, time_of, tokens_of

_BLOCK: Final = 64


def read(row: Row, options: Options) -> Iterator[Timed]:
    session = id_of(row, "provided_session_id") or id_of(row, "poor_man_session_id")
    answer, lasted = tokens_of(row, "output_tokens"), milliseconds(row, "duration_e2e_ms")
    left = flag_of(row, "request_canceled")
    prompt = row.first("prompt")
    if prompt is not None and not isinstance(prompt, str):
        raise UsageError(f"{row.where}: prompt is not a text", HINT)
    size = options.block(tokens_of(row, "block_size") or _BLOCK)
    yield (
        time_of(row.first("timestamp_start_unix_ms"), row.where),
        Request(
            prompt_tokens=tokens_of(row, "input_tokens"),
            output_tokens=None if left else answer,  # the whole length that its user wanted is unknown
            session=session,
            group=session,
            lasted_ns=lasted,
            leave=(Leave(tokens=answer) if answer else Leave(after_ns=lasted or 0)) if left else None,
            blocks=blocks_of(row, "total_hashes", size),
            text=prompt,
        ),
    )


FORMAT = TraceFormat(
    key="baseten",
    name="Baseten",
    columns=(names("timestamp_start_unix_ms"),),
    fields="timestamp_start_unix_ms, prompt, input_tokens, output_tokens[, provided_session_id, request_canceled, "
    "duration_e2e_ms, total_hashes, block_size]",
    time=always("ms"),
    time_text="milliseconds since 1970",
    read=read,
)
