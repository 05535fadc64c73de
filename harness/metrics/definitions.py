"""Every metric, declared once. To add a metric, add a declaration here and run `make docs`; nothing else.

What derives from `METRICS`: the summary in run.json (metrics/summary_fields.py, generated), the report's rows, the
columns of streams.parquet, the names in `--slo` and `--abort-if`, the rows that `load` prints, and the README's table.
The order here is the order everywhere. The times that the definitions name are in docs/definitions.md#times.
"""

from typing import Final

from streamgauge.metrics.facts import StreamFacts, mean, share, tpot_ns
from streamgauge.metrics.metric import Adjusted, Latency, Metric, OfProcesses, OfRun, PerStream, Pooled, Unit
from streamgauge.metrics.process_stats import lateness, recording_delays


def _tpot_with_first(stream: StreamFacts) -> float | None:
    tokens = stream.record.output_tokens
    return stream.end_ns / tokens if stream.end_ns and tokens else None


def _waited_for_second(stream: StreamFacts) -> int | None:
    if stream.cut_ns is None or len(stream.token_ns) != 1:
        return None
    return stream.cut_ns - stream.token_ns[0]


METRICS: Final[tuple[Metric, ...]] = (
    PerStream(
        name="ttft",
        definition="arrival of the first event with generated text (content, reasoning or tool arguments) − start",
        absent="no token came",
        value=lambda stream: stream.ttft_ns,
        cut=lambda stream: stream.waited_ns(stream.ttft_ns),
        objective=True,
        terminal=True,
    ),
    PerStream(
        name="ttfb",
        definition="first response byte − start",
        absent="no answer",
        value=lambda stream: stream.record.first_byte_ns,
        cut=lambda stream: stream.waited_ns(stream.record.first_byte_ns),
        of_wire=True,
        objective=True,
    ),
    PerStream(
        name="headers",
        definition="end of the response head − start",
        absent="no answer",
        value=lambda stream: stream.record.headers_ns,
        cut=lambda stream: stream.waited_ns(stream.record.headers_ns),
        of_wire=True,
        objective=True,
    ),
    PerStream(
        name="ttfe",
        definition="first event of any kind − start",
        absent="no event",
        value=lambda stream: stream.record.first_event_ns,
        cut=lambda stream: stream.waited_ns(stream.record.first_event_ns),
        of_wire=True,
        objective=True,
    ),
    PerStream(
        name="ttfat",
        definition="first non-reasoning text − start",
        absent="no answer text",
        value=lambda stream: stream.record.first_answer_ns,
        cut=lambda stream: stream.waited_ns(stream.record.first_answer_ns),
        objective=True,
    ),
    PerStream(
        name="ttst",
        definition="second token event − first",
        absent="fewer than 2 token events",
        value=lambda stream: stream.token_ns[1] - stream.token_ns[0] if len(stream.token_ns) > 1 else None,
        cut=_waited_for_second,
        of_gaps=True,
        objective=True,
    ),
    Pooled(
        name="itl",
        definition="gaps between successive token events, pooled over streams; 0 inside one read, counted as "
        "coalesced; a stall that was cut counts with the time that it had lasted",
        absent="fewer than 2 token events",
        values=lambda stream: stream.gaps_ns,
        of_gaps=True,
        objective=True,
        terminal=True,
    ),
    PerStream(
        name="tpot",
        definition="per stream: (last token − first token) / (output tokens − 1); excludes TTFT",
        absent="fewer than 2 tokens",
        value=lambda stream: tpot_ns(stream.record),
        of_gaps=True,
        objective=True,
        terminal=True,
    ),
    PerStream(
        name="e2e",
        definition="end of the stream (end marker, else last byte) − start",
        absent="no answer, or a refusal",
        value=lambda stream: stream.end_ns,
        cut=lambda stream: stream.cut_ns,
        objective=True,
        terminal=True,
    ),
    Adjusted(
        name="adj_ttft",
        definition="ttft in which a failed stream counts as infinitely slow, so that failures make no figure better; a "
        "percentile that falls among the failed streams is absent (∞)",
        absent="no token came, and no stream failed",
        value=lambda stream: stream.adjusted_ns(stream.ttft_ns),
        cut=lambda stream: stream.waited_ns(stream.ttft_ns),
        objective=True,
        terminal=True,
    ),
    Adjusted(
        name="adj_tpot",
        definition="tpot in which a failed stream counts as infinitely slow",
        absent="fewer than 2 tokens, and no stream failed",
        value=lambda stream: stream.adjusted_ns(tpot_ns(stream.record)),
        of_gaps=True,
        objective=True,
        terminal=True,
    ),
    Adjusted(
        name="adj_e2e",
        definition="e2e in which a failed stream counts as infinitely slow",
        absent="no answer, and no stream failed",
        value=lambda stream: stream.adjusted_ns(stream.end_ns),
        cut=lambda stream: stream.cut_ns,
        objective=True,
        terminal=True,
    ),
    PerStream(
        name="schedule_delay",
        definition="actual − intended start of a stream: the start that an open loop planned, or with --connections "
        "the time when a user wanted it",
        absent="closed loop without --connections",
        value=lambda stream: stream.delay_ns,
        terminal=True,
        only_if_present=True,
    ),
    PerStream(
        name="ttft_intended",
        definition="ttft from the intended start: what a user who came on time waited (coordinated omission)",
        absent="no intended start, or no token came",
        value=lambda stream: stream.from_intended(stream.ttft_ns),
        cut=lambda stream: stream.from_intended(stream.waited_ns(stream.ttft_ns)),
        terminal=True,
        only_if_present=True,
    ),
    PerStream(
        name="e2e_intended",
        definition="e2e from the intended start",
        absent="no intended start, or no e2e",
        value=lambda stream: stream.from_intended(stream.end_ns),
        cut=lambda stream: stream.from_intended(stream.cut_ns),
        terminal=True,
        only_if_present=True,
    ),
    PerStream(
        name="connect",
        definition="length of the TCP connect (name look-up, proxy tunnel and TLS handshake not included)",
        absent="the connection was reused",
        value=lambda stream: stream.record.connect_ns,
    ),
    Pooled(
        name="client_lag",
        definition="user-space read − kernel arrival, per read: the error this client would have added",
        absent="no kernel stamps",
        values=lambda stream: () if stream.record.stamp_source == "user" else stream.record.reads.lag_ns,
        terminal=True,
    ),
    PerStream(
        name="ttft_bound",
        definition="per stream: the most by which this client may report ttft too late (late send, merged reads)",
        absent="no token came",
        value=lambda stream: stream.ttft_bound_ns,
        terminal=True,
    ),
    Pooled(
        name="itl_bound",
        definition="per gap: the most by which this client may report its token too late; 0 if it came in a read alone",
        absent="fewer than 2 token events",
        values=lambda stream: stream.itl_bounds_ns,
        zeros=lambda stream: len(stream.gaps_ns) - len(stream.itl_bounds_ns),
        terminal=True,
    ),
    OfProcesses(
        name="loop_late",
        definition="how late a timer fired in a client process: its next streams began so late",
        absent="no client process reported",
        pool=lateness,
    ),
    OfProcesses(
        name="record_delay",
        definition="how long a finished stream waited in its client process for being recorded; delays no stream",
        absent="no client process reported",
        pool=recording_delays,
    ),
    PerStream(
        name="ttft_any_chunk",
        definition="first chunk of any content, role included − start (vLLM bench's TTFT)",
        absent="no chunk came",
        value=lambda stream: stream.record.first_chunk_ns,
    ),
    PerStream(
        name="tpot_incl_first",
        definition="e2e / output tokens (guidellm's TPOT)",
        absent="no token came",
        value=_tpot_with_first,
    ),
    PerStream(
        name="itl_request_mean",
        definition="per stream: mean gap between token events (aiperf's and guidellm's ITL)",
        absent="fewer than 2 token events",
        value=lambda stream: mean(stream.gaps_ns),
    ),
    OfRun(
        name="output_tokens_per_s",
        definition="output tokens of any stream that arrived in the measured window (without warm-up and drain) / its "
        "length",
        absent="no token came",
        title="output tokens/s",
        unit=Unit.PER_SECOND,
        value=lambda run: run.per_second(run.window_tokens),
        objective=True,
        higher_is_better=True,
    ),
    OfRun(
        name="events_per_s",
        definition="events of any stream that arrived in the measured window / its length",
        absent="no event came",
        title="events/s",
        unit=Unit.PER_SECOND,
        value=lambda run: run.per_second(run.window_events),
        of_wire=True,
        objective=True,
        higher_is_better=True,
    ),
    OfRun(
        name="streams_per_s",
        definition="measured streams, however they ended / length of the measured window",
        absent="no stream ended",
        title="streams/s",
        unit=Unit.PER_SECOND,
        value=lambda run: run.per_second(run.streams),
        of_wire=True,
        objective=True,
        higher_is_better=True,
    ),
    OfRun(
        name="error_rate",
        definition="share of streams that are not ok; streams cut by their user, by the end of the run or by a limit "
        "of this client do not count",
        absent="no stream ended",
        title="error rate",
        unit=Unit.SHARE,
        of_streams=True,
        value=lambda run: share(run.judged - run.ok, run.judged),
        objective=True,
    ),
    OfRun(
        name="goodput",
        definition="share of streams that are ok and meet every SLO; failed ones are not good, nor are cut ones that "
        "had missed an SLO; other cut ones are undecided and enter as cut waits",
        absent="no stream",
        title="goodput",
        unit=Unit.SHARE,
        of_streams=True,
        value=lambda run: run.goodput,
        objective=True,
        higher_is_better=True,
    ),
    OfRun(
        name="goodput_of_ok",
        definition="share of the ok streams that meet every SLO: goodput as inference-perf counts it, which failed "
        "streams do not make smaller",
        absent="no ok stream, or no SLO that a stream meets or misses",
        title="goodput of ok streams only, without failed ones",
        unit=Unit.SHARE,
        value=lambda run: None if run.good is None else share(run.good, run.ok),
        higher_is_better=True,
    ),
    OfRun(
        name="session_error_rate",
        definition="share of sessions in which a turn failed; sessions that the end of the run cut do not count",
        absent="no session ended",
        title="session error rate",
        unit=Unit.SHARE,
        counts="session",
        value=lambda run: share(run.sessions_failed, run.sessions_ended),
        objective=True,
    ),
    OfRun(
        name="stalls",
        definition="number of gaps between token events above max(10 × the stream's median gap, 500 ms); the silence "
        "at the end of a stream that stops before its content ends is one too",
        absent="never: 0 without such a gap",
        title="stalls",
        unit=Unit.COUNT,
        value=lambda run: run.stalls,
    ),
    OfRun(
        name="coalesced_share",
        definition="share of itl gaps that are 0 because both tokens came in one read",
        absent="fewer than 2 token events",
        title="coalesced gaps",
        unit=Unit.SHARE,
        value=lambda run: share(run.coalesced, run.gaps),
    ),
    OfRun(
        name="merged_share",
        definition="share of token events whose itl_bound is above 3 ms: late reads of this client merged them",
        absent="no token came",
        title="merged by late reads of this client",
        unit=Unit.SHARE,
        value=lambda run: share(run.merged, run.token_events),
    ),
    OfRun(
        name="cached_share",
        definition="share of the prompt tokens that came from the endpoint's cache, over streams whose usage says both",
        absent="no usage with cached tokens",
        title="prompt tokens from a cache",
        unit=Unit.SHARE,
        value=lambda run: share(run.cached_tokens, run.prompt_tokens),
    ),
    OfRun(
        name="busiest_core",
        definition="largest share of its time that a client process used a CPU core or waited for one",
        absent="no client process reported",
        title="busiest client process, of a core",
        unit=Unit.SHARE,
        value=lambda run: run.busiest_core,
    ),
)

BY_NAME: Final = {metric.name: metric for metric in METRICS}
LATENCIES: Final = tuple(metric for metric in METRICS if isinstance(metric, Latency))
PER_STREAM: Final = tuple(metric for metric in METRICS if isinstance(metric, PerStream))
POOLED: Final = tuple(metric for metric in METRICS if isinstance(metric, Pooled))
OF_STREAM: Final = tuple(metric for metric in METRICS if isinstance(metric, PerStream | Pooled))
OF_PROCESSES: Final = tuple(metric for metric in METRICS if isinstance(metric, OfProcesses))
OF_RUN: Final = tuple(metric for metric in METRICS if isinstance(metric, OfRun))


def per_stream(stream: StreamFacts) -> dict[str, float | None]:
    """Every metric that one stream has, in ns; of a pooled metric the largest value."""
    return {metric.name: metric.of_stream(stream) for metric in OF_STREAM}
