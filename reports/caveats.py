"""Warnings that a reader needs before trusting a number. Each names an observation and its consequence."""

from typing import Final

from streamgauge.conformance.result import Verdict
from streamgauge.metrics.definitions import BY_NAME, LATENCIES
from streamgauge.metrics.histogram import RELATIVE_ERROR
from streamgauge.metrics.intervals import CONFIDENCE, needed
from streamgauge.metrics.metric import PerStream
from streamgauge.metrics.summary import Summary
from streamgauge.reports.load import Run
from streamgauge.reports.text import clean, ms, percent
from streamgauge.units import plural

_POOLED: Final = [metric.name for metric in LATENCIES if not isinstance(metric, PerStream)]


def caveats(run: Run) -> list[str]:
    """Every caveat that applies; caveats about lost data come first."""
    lines = [*_completeness(run)]
    if run.summary is not None:
        lines += _timing(run.summary)
    if run.checks is not None:
        undecided = sum(result.verdict is Verdict.INCONCLUSIVE for result in run.checks.results)
        if undecided:
            lines.append(
                f"{plural(undecided, 'check')} could not be decided from position {clean(run.checks.position)}. "
                "No data is not a pass: the checks section names what each of them needs."
            )
    if run.cancellation is not None:
        errors = [row.clock_error_ms for row in run.cancellation.rows if row.clock_error_ms is not None]
        if errors:
            lines.append(f"Propagation delays compare two clocks: here each can be off by up to {max(errors):.2f} ms.")
    if run.diagnosis is not None and run.diagnosis.position == "direct":
        lines.append(
            "The diagnosis had only one path and no emission times, so it uses only the statistics of the arrivals. "
            "For an exact diagnosis, give a direct address or the mock."
        )
    return [clean(line) for line in [*lines, *(run.manifest.caveats if run.manifest else []), *_of_server(run)]]


def _of_server(run: Run) -> list[str]:
    found = run.manifest.server if run.manifest else None
    return [] if found is None else [f"{text[0].upper()}{text[1:]}." for text in found.caveats]


def _completeness(run: Run) -> list[str]:
    lines = []
    streams, manifest = run.streams, run.manifest
    if streams and streams.torn:
        lines.append(
            f"{plural(streams.torn, 'line')} of streams.jsonl could not be read (torn or damaged) and "
            f"{'is' if streams.torn == 1 else 'are'} left out."
        )
    if run.recomputed:
        why = f" (status: {manifest.status})" if manifest else ""
        lines.append(
            f"run.json has no summary{why}: every figure here was recomputed from the "
            f"{plural(streams.count if streams else 0, 'record')} that had been written."
        )
        lines += [f"The objective {text!r} could not be read, so goodput ignores it." for text in run.unread_slos]
    elif run.summary and streams and _summarised(run.summary) != streams.count:
        lines.append(
            f"run.json summarises {plural(_summarised(run.summary), 'stream')}, streams.jsonl holds "
            f"{streams.count:,}: the tables are from run.json, the drawings from streams.jsonl."
        )
    elif run.summary and streams is None:
        lines.append("There is no streams.jsonl: the numbers are from run.json, and nothing can be drawn.")
    if streams and streams.stride > 1:
        lines.append(f"The TTFT drawings use every {streams.stride}th of {plural(streams.count, 'stream')}.")
    return lines


def _summarised(summary: Summary) -> int:
    return sum(summary.streams.values()) + summary.warmup_streams


def _timing(summary: Summary) -> list[str]:
    lines = [_stamps(summary)]
    if summary.unstamped_reads:
        lines.append(
            f"{plural(summary.unstamped_reads, 'read')} had no kernel stamp. The client's own time is used instead; "
            "it can only be later."
        )
    if summary.ttft_ms is not None and summary.longest_cut_wait_ms is not None:
        lines.append(
            f"{plural(summary.ttft_ms.cut, 'stream')} had no token when cut, after up to "
            f"{ms(summary.longest_cut_wait_ms)}. These waits are no values, but they count as lower bounds: ttft "
            "percentiles are those of Kaplan and Meier, and ≥ marks a figure that may be larger. --drain cuts fewer."
        )
    lines.append(
        "Percentiles are exact: nearest rank over all streams, each a value that was measured. Pooled percentiles "
        f"({', '.join(_POOLED)}) come from a histogram and are within {percent(RELATIVE_ERROR)} of the exact value."
    )
    if summary.coalesced_share is not None:
        share = percent(summary.coalesced_share)
        lines.append(
            f"{share} of the gaps between tokens are coalesced: both tokens came in one read. They count as 0 ms in itl"
            + (
                ", so itl percentiles up to that share mean nothing. Use tpot instead, and run diagnose."
                if summary.coalesced_share > 0.05
                else "."
            )
        )
    lines.append(
        f"Intervals hold the endpoint's true figure with a confidence of {CONFIDENCE:.0%}: for percentiles by the "
        "binomial distribution of ranks, for shares of streams by Wilson, for gaps by blocks of streams. An end that "
        "is missing means that so few streams set no bound there."
    )
    if summary.dependence:
        each = ", ".join(f"{name} {tau:.1f}" for name, tau in summary.dependence.items())
        lines.append(
            "Successive streams depend on each other, as in a queue. So many of them are worth one independent stream "
            f"at the p95: {each}. The intervals are wider for it."
        )
    lines += _small_samples(summary)
    lines += summary.caveats
    if summary.tokens_source and "token events" in summary.tokens_source:
        lines.append(
            f"Tokens are counted from {summary.tokens_source}. An event may hold several tokens: then tokens/s is too "
            "low and tpot too high, by the number of tokens per event."
        )
    return lines


def _stamps(summary: Summary) -> str:
    match summary.stamp_source:
        case "kernel":
            return "Arrival times are the kernel's (SO_TIMESTAMPNS): a busy client does not delay them."
        case "user":
            return "Arrival times were taken in user space after the read: a busy client adds to every latency here."
        case None:
            return "There are no arrival times, because nothing arrived."
        case other:
            return f"Source of the arrival times: {other}."


def _small_samples(summary: Summary) -> list[str]:
    distributions = [(name, getattr(summary, BY_NAME[name].field)) for name in ("ttft", "itl", "tpot", "e2e")]
    enough = needed(0.99)
    small = [f"{name} ({dist.count:,})" for name, dist in distributions if dist and dist.count < enough]
    if not small:
        return []
    return [
        (
            f"p99 rests on fewer than {enough} values for {', '.join(small)}: the true p99 may be larger than the "
            "slowest of them."
        )
    ]
