"""Azure's LLM inference traces of 2023 and 2024: dates with seven digits of a second, with or without an offset."""

from collections.abc import Iterator

from streamgauge.loadgen.traces.format import Options, Timed, TraceFormat, always, names
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import Row
from streamgauge.loadgen.traces.values import time_of, tokens_of


def read(row: Row, options: Options) -> Iterator[Timed]:  # noqa: ARG001 - the signature of a format
    request = Request(
        prompt_tokens=tokens_of(row, "contexttokens"),
        output_tokens=tokens_of(row, "generatedtokens"),
    )
    yield time_of(row.first("timestamp"), row.where), request


FORMAT = TraceFormat(
    key="azure",
    name="Azure",
    columns=(names("timestamp, contexttokens, generatedtokens"),),
    fields="TIMESTAMP, ContextTokens, GeneratedTokens",
    time=always("s"),
    time_text="dates",
    read=read,
)
