"""What a reader must know before believing a number. Each caveat says what was seen and what follows from it."""

from streamgauge.conformance.result import Verdict
from streamgauge.metrics.histogram import RELATIVE_ERROR
from streamgauge.metrics.summary import Summary
from streamgauge.reports.load import Run
from streamgauge.reports.text import clean, percent
from streamgauge.rundir.runs import SCHEMA
from streamgauge.units import plural

ENOUGH_FOR_P99 = 100


def caveats(run: Run) -> list[str]:
    """Every caveat that applies, those about lost data first."""
    lines = [*_completeness(run)]
    if run.summary is not None:
        lines += _timing(run.summary)
    if run.checks is not None:
        open_ = sum(result.verdict is Verdict.INCONCLUSIVE for result in run.checks.results)
        if open_:
            lines.append(
                f"{plural(open_, 'check')} could not be decided from position {clean(run.checks.position)}. "
                "No data is not a pass: the checks section says what would make each testable."
            )
    if run.cancellation is not None:
        errors = [row.clock_error_ms for row in run.cancellation.rows if row.clock_error_ms is not None]
        if errors:
            lines.append(
                f"Propagation delays compare two clocks; the error of that is at most {max(errors):.2f} ms here."
            )
    if run.diagnosis is not None and run.diagnosis.position == "direct":
        lines.append(
            "The diagnosis saw one path and no emission times: it rests on the statistics of the arrivals alone. "
            "Give a direct address or the mock for an exact one."
        )
    return [clean(line) for line in [*lines, *(run.manifest.caveats if run.manifest else [])]]


def _completeness(run: Run) -> list[str]:
    lines = []
    streams, manifest = run.streams, run.manifest
    if manifest and manifest.schema > SCHEMA:
        lines.append(
            f"run.json has schema {manifest.schema}, newer than this program's {SCHEMA}: parts may be missing."
        )
    if streams and streams.torn:
        lines.append(
            f"{plural(streams.torn, 'line')} of streams.jsonl could not be read (torn or damaged) and "
            f"{'is' if streams.torn == 1 else 'are'} left out."
        )
    if run.recomputed:
        why = f" (status: {manifest.status})" if manifest else ""
        lines.append(
            f"run.json holds no summary{why}: every figure here was recomputed from the "
            f"{plural(streams.count if streams else 0, 'record')} that had been written."
        )
        lines += [f"The objective {text!r} could not be read: goodput leaves it out." for text in run.unread_slos]
    elif run.summary and streams and _summarised(run.summary) != streams.count:
        lines.append(
            f"run.json summarises {plural(_summarised(run.summary), 'stream')}, streams.jsonl holds "
            f"{streams.count:,}: the numbers are from the former, the figures from the latter."
        )
    elif run.summary and streams is None:
        lines.append("There is no streams.jsonl: the numbers are from run.json and no figures can be drawn.")
    if streams and streams.stride > 1:
        lines.append(f"TTFT figures are drawn from every {streams.stride}th of {plural(streams.count, 'stream')}.")
    return lines


def _summarised(summary: Summary) -> int:
    return sum(summary.streams.values()) + summary.warmup_streams


def _timing(summary: Summary) -> list[str]:
    lines = [_stamps(summary)]
    if summary.unstamped_reads:
        lines.append(
            f"{plural(summary.unstamped_reads, 'read')} carried no kernel stamp; "
            "the client's own time stands in, which can only be later."
        )
    lines.append(
        "Percentiles are nearest rank over all streams: exact, each a value that was measured. Pooled ones (itl, "
        f"itl_bound, client_lag) come from a histogram and are within {percent(RELATIVE_ERROR)} of the exact value."
    )
    if summary.coalesced_share is not None:
        share = percent(summary.coalesced_share)
        lines.append(
            f"{share} of the gaps between tokens are coalesced (several tokens in one read). They count as 0 ms in itl"
            + (
                ", so itl percentiles up to that share say nothing; look at tpot, and run diagnose."
                if summary.coalesced_share > 0.05
                else "."
            )
        )
    lines += _small_samples(summary)
    if summary.tokens_source and "token events" in summary.tokens_source:
        lines.append(
            f"Tokens are counted from {summary.tokens_source}: an event may hold several tokens, "
            "so tokens/s and tpot can be off by the tokens per event."
        )
    return lines


def _stamps(summary: Summary) -> str:
    match summary.stamp_source:
        case "kernel":
            return "Arrival times are the kernel's (SO_TIMESTAMPNS): a busy client does not move them."
        case "user":
            return "Arrival times were taken in user space after the read: client load adds to every latency here."
        case None:
            return "No read was stamped: nothing arrived."
        case other:
            return f"Arrival times are of source: {other}."


def _small_samples(summary: Summary) -> list[str]:
    small = [
        f"{name} ({dist.count})"
        for name, dist in (
            ("ttft", summary.ttft_ms),
            ("itl", summary.itl_ms),
            ("tpot", summary.tpot_ms),
            ("e2e", summary.e2e_ms),
        )
        if dist is not None and dist.count < ENOUGH_FOR_P99
    ]
    if not small:
        return []
    return [
        (
            f"p99 rests on fewer than {ENOUGH_FOR_P99} values for {', '.join(small)}: it is the slowest value "
            "or next to it, and another run may well differ."
        )
    ]
