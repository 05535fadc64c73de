"""Our own columns: timestamp, prompt_tokens, output_tokens. Only the first is required."""

from collections.abc import Iterator
from typing import Final

from streamgauge.loadgen.traces.format import Options, Timed, TraceFormat, names
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import Row
from streamgauge.loadgen.traces.time_unit import Evidence
from streamgauge.loadgen.traces.values import blocks_of, id_of, time_of, tokens_of

_BLOCK: Final = 512
"""As Mooncake and vLLM's timed traces have it; --block-tokens says another size."""


def read(row: Row, options: Options) -> Iterator[Timed]:
    session = id_of(row, "session_id")
    yield (
        time_of(row.first("timestamp"), row.where),
        Request(
            prompt_tokens=tokens_of(row, "prompt_tokens"),
            output_tokens=tokens_of(row, "output_tokens"),
            session=session,
            group=session,
            blocks=blocks_of(row, "hash_ids", options.block(_BLOCK)),
        ),
    )


FORMAT = TraceFormat(
    key="own",
    name="own columns",
    columns=(names("timestamp"),),
    fields="timestamp[, prompt_tokens, output_tokens, session_id, hash_ids]",
    time=lambda _: Evidence("s"),
    time_text="seconds or ISO 8601",
    read=read,
)
