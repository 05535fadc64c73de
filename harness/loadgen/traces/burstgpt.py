"""BurstGPT. A row without response tokens failed in the original; the sessions are those of its later releases."""

from collections.abc import Iterator

from streamgauge.loadgen.traces.format import Options, Timed, TraceFormat, always, names
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import Row
from streamgauge.loadgen.traces.values import id_of, length_ns, time_of, tokens_of
from streamgauge.units import SECOND


def read(row: Row, options: Options) -> Iterator[Timed]:  # noqa: ARG001 - the signature of a format
    session = id_of(row, "session id")
    request = Request(
        prompt_tokens=tokens_of(row, "request tokens"),
        output_tokens=tokens_of(row, "response tokens"),
        session=session,
        group=session,
        lasted_ns=length_ns(row, SECOND, "elapsed time"),
    )
    yield time_of(row.first("timestamp"), row.where), request


FORMAT = TraceFormat(
    key="burstgpt",
    name="BurstGPT",
    columns=(names("timestamp, request tokens, response tokens"),),
    fields="Timestamp, Request tokens, Response tokens[, Session ID, Elapsed time]",
    time=always("s"),
    time_text="seconds",
    read=read,
)
