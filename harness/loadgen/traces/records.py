"""streams.jsonl of a run of our own: its streams again, at the times at which they were wanted."""

from collections.abc import Iterator

from streamgauge.loadgen.leave import Leave
from streamgauge.loadgen.traces.format import Options, Timed, TraceFormat, always, names
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import Row
from streamgauge.loadgen.traces.values import length_ns, time_of, tokens_of
from streamgauge.protocol.outcome import Outcome


def read(row: Row, options: Options) -> Iterator[Timed]:  # noqa: ARG001 - the signature of a format
    """A stream that its user left is left after as many tokens again. A stream that failed has no length."""
    outcome, answer = row.first("outcome"), tokens_of(row, "output_tokens")
    left = outcome == Outcome.CANCELLED
    yield (
        time_of(row.first("intended_ns", "start_ns"), row.where),
        Request(
            prompt_tokens=tokens_of(row, "asked_prompt_tokens", "usage_prompt_tokens"),
            output_tokens=answer if outcome == Outcome.OK else tokens_of(row, "asked_output_tokens"),
            lasted_ns=length_ns(row, 1, "closed_ns"),
            leave=Leave(tokens=answer or 1) if left else None,
        ),
    )


FORMAT = TraceFormat(
    key="records",
    name="records of streamgauge",
    columns=(names("schema, start_ns, outcome"),),
    fields="streams.jsonl of a run: intended_ns or start_ns, asked_prompt_tokens, output_tokens, outcome",
    time=always("ns"),
    time_text="nanoseconds since 1970",
    read=read,
)
