"""The tables of the HTML page and the Markdown report, as plain strings."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from streamgauge.metrics.calibration import beyond, calibration_lines
from streamgauge.metrics.definitions import LATENCIES, METRICS, OF_RUN
from streamgauge.metrics.distributions import FIGURES, AdjustedDistribution, Distribution, distribution, show_interval
from streamgauge.metrics.facts import CUT
from streamgauge.metrics.intervals import CONFIDENCE
from streamgauge.metrics.metric import OfRun, Unit
from streamgauge.metrics.summary import Summary
from streamgauge.protocol.outcome import Outcome
from streamgauge.reports.load import Run
from streamgauge.reports.text import ABSENT, ms_cell, number, percent
from streamgauge.units import MS, plural

_FAILURES_SHOWN = 12
_SECRET_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authorization", "cookie", "x-api-key"})


class Table(NamedTuple):
    """`numeric` counts the right-aligned columns at the end."""

    columns: list[str]
    rows: list[list[str]]
    numeric: int = 0


def distributions(summary: Summary) -> Table:
    """Every distribution of the summary, in ms."""
    rows = []
    for metric in LATENCIES:
        dist: Distribution | AdjustedDistribution | None = getattr(summary, metric.field)
        if dist is None and metric.only_if_present:
            continue
        cells = [_figure(dist, figure) for figure in FIGURES]
        counts = [f"{dist.count:,}", f"{dist.cut:,}"] if dist else [ABSENT, ABSENT]
        rows.append([metric.name, *cells, *counts])
    return Table(["ms", *FIGURES, "count", "cut"], rows, 8)


def _figure(dist: Distribution | AdjustedDistribution | None, figure: str) -> str:
    if dist is None:
        return ABSENT
    if getattr(dist, figure) is None:
        return "∞"
    interval = show_interval(dist.intervals.get(figure))
    return dist.sign(figure) + ms_cell(getattr(dist, figure)) + (f" ({interval})" if interval else "")


def truth(run: Run) -> Table | None:
    """Reported latencies beside the true ones from the mock's ledger."""
    if run.manifest is None or run.manifest.truth is None:
        return None
    found = run.manifest.truth
    rows = [
        [name, *(ms_cell(getattr(dist, part) if dist else None) for part in ("p50", "p95", "p99", "max"))]
        for name, dist in (
            ("ttft, reported", found.ttft_ms),
            ("ttft, true", found.true_ttft_ms),
            ("ttft error of this client, stream by stream", found.ttft_error_ms)
            if found.direct
            else ("ttft added by the path, stream by stream", found.ttft_added_ms),
            ("itl, reported", found.itl_ms),
            ("itl, true", found.true_itl_ms),
        )
    ]
    return Table([f"ms, over {plural(found.streams, 'stream')}", "p50", "p95", "p99", "max"], rows, 4)


def open_loop(run: Run) -> Table | None:
    """How many of the planned arrivals started, started late, or never started."""
    if run.manifest is None or run.manifest.open_loop is None:
        return None
    found = run.manifest.open_loop
    return Table(
        ["open loop", "value"],
        [
            ["arrivals", found.model],
            ["planned until the end", f"{found.planned:,}"],
            ["started", f"{found.started:,}"],
            [f"late, by more than {found.late_limit_ms:g} ms", f"{found.late:,}"],
            ["dropped: never started", f"{found.dropped:,}"],
            ["planned rate", ABSENT if found.planned_per_s is None else f"{found.planned_per_s:,.2f}/s"],
            ["achieved rate", ABSENT if found.achieved_per_s is None else f"{found.achieved_per_s:,.2f}/s"],
            ["late because as many streams as --max-streams allows were open", f"{found.held_back:,}"],
            ["most streams open at once", f"{found.most_open:,}"],
            ["limit of open streams (--max-streams)", number(found.max_streams)],
        ],
        1,
    )


def sessions(run: Run) -> Table | None:
    """The conversations of the load: a row for each turn, and one for the whole session."""
    found = run.manifest.sessions if run.manifest else None
    if found is None:
        return None
    rows = [
        [
            f"turn {turn.turn}{' and later' if turn.and_later else ''}, TTFT",
            f"{turn.streams:,}",
            f"{turn.failed:,}",
            ABSENT if turn.prompt_tokens is None else f"{turn.prompt_tokens:,.0f}",
            percent(turn.cached_share),
            *_percentiles(turn.ttft_ms),
        ]
        for turn in found.turns
    ]
    failed = found.sessions - found.succeeded
    for name, times in (("whole session", found.time_ms), ("without its pauses", found.busy_ms)):
        rows.append([name, f"{found.sessions:,}", f"{failed:,}", ABSENT, ABSENT, *_percentiles(times)])
    columns = ["sessions, ms", "count", "failed or cut", "prompt tokens, mean", "from a cache", "p50", "p95", "max"]
    return Table(columns, rows, 7)


def session_ends(run: Run) -> Table | None:
    """How the conversations of the load ended, and how many of their turns were completed."""
    found = run.manifest.sessions if run.manifest else None
    if found is None:
        return None
    turns = found.turns_completed
    rows = [
        ["every turn succeeded", f"{found.succeeded:,}"],
        ["a turn failed", f"{found.failed:,}"],
        ["not finished when the run ended", f"{found.unfinished:,}"],
        ["going on at once, at most", f"{found.most_open:,}"],
    ]
    if turns is not None:
        rows.append(["turns completed, mean / p50 / max", f"{turns.mean:,.2f} / {turns.p50:,.0f} / {turns.max:,}"])
    return Table(["sessions", "number"], rows, 1)


def _percentiles(found: Distribution | None) -> list[str]:
    return [ABSENT] * 3 if found is None else [ms_cell(found.p50), ms_cell(found.p95), ms_cell(found.max)]


def server(run: Run) -> Table | None:
    """What the server said of itself in the measured window."""
    found = run.manifest.server if run.manifest else None
    if found is None:
        return None
    ttft = run.summary.ttft_ms if run.summary else None
    split = found.split(None if ttft is None else ttft.mean)
    rows = [
        ["engine", found.engine],
        ["asked at", found.url],
        ["samples", f"{found.samples:,}" + (f", {found.failed:,} failed" if found.failed else "")],
        ["requests running, mean", number(found.running_mean)],
        ["requests running, at most", number(found.running_max)],
        ["requests waiting, mean", number(found.waiting_mean)],
        ["requests waiting, at most", number(found.waiting_max)],
        ["cache in use, at most", ABSENT if found.kv_share_max is None else percent(found.kv_share_max)],
        ["time in the queue, mean, ms", ms_cell(found.queue_ms)],
        ["the same by Little's law, ms", ms_cell(found.queue_estimate_ms)],
        ["prefill, mean, ms", ms_cell(found.prefill_ms)],
    ]
    return Table(["server", "its own figures"], [*rows, *([["mean TTFT", split]] if split else [])], 1)


def abandonment(run: Run) -> Table | None:
    """What the upstream did with the streams that users left."""
    if run.manifest is None or run.manifest.abandonment is None:
        return None
    found = run.manifest.abandonment
    rows = [["left by their users", f"{found.streams:,}"], ["token events received", f"{found.received_tokens:,}"]]
    if found.joined:
        rows += [
            ["known to the mock's ledger", f"{found.joined:,}"],
            ["noticed by the upstream", f"{found.seen:,}"],
            ["finished before the user left", f"{found.finished:,}"],
            ["never noticed by the upstream", f"{found.unnoticed:,}"],
            ["tokens wasted: generated after the user had left", f"{found.wasted_tokens:,}"],
            ["error of the clock comparison, at most, ms", ms_cell(found.clock_error_ms)],
        ]
    if delay := found.propagation_ms:
        rows += [[f"noticed after, {part}, ms", ms_cell(getattr(delay, part))] for part in ("p50", "p95", "p99", "max")]
    return Table(["abandonment", "value"], rows, 1)


def slos(run: Run) -> Table | None:
    """Each objective, its verdict, the measured value, its interval, and the number of streams behind them."""
    if not run.slos:
        return None
    rows = [
        [
            result.slo,
            result.verdict.value + (f": {result.reason}" if result.reason else ""),
            result.measured or ABSENT,
            result.interval or ABSENT,
            result.count or ABSENT,
            number(result.needed),
        ]
        for result in run.slos
    ]
    columns = ["objective", "verdict", "measured", f"{CONFIDENCE:.0%} interval", "streams", "needed without a miss"]
    return Table(columns, rows, 4)


def floor(run: Run) -> Table | None:
    """The client's own error at a known load, and whether that covers this run."""
    found = run.manifest.calibration if run.manifest else None
    if found is None or run.summary is None or run.manifest is None:
        return None
    why = beyond(found, run.summary, run.manifest.most_open)
    rows = [
        *calibration_lines(found),
        ("its verdict", found.validity.verdict),
        ("covers this run", f"no: {why}" if why else "yes"),
    ]
    return Table(["client's error floor", "measured by calibrate"], [list(row) for row in rows])


def rates(summary: Summary) -> Table:
    """Throughput, shares and counts of the whole run."""
    per_event = summary.output_tokens / summary.token_events if summary.token_events else None
    return Table(
        ["measure", "value"],
        [
            ["measured window", f"{summary.window_s:,.1f} s"],
            ["output tokens in it", number(summary.window_tokens)],
            ["output tokens of the measured streams", number(summary.output_tokens or None)],
            ["tokens counted from", summary.tokens_source or ABSENT],
            ["tokens per token event", ABSENT if per_event is None else f"{per_event:.2f}"],
            *([metric.title, _of_run(metric, summary)] for metric in OF_RUN),
            *_flow(summary),
            *_lengths(summary),
            ["goodput at most: with every undecided stream", percent(summary.goodput_at_most)],
            ["undecided streams: cut before they met or missed the objectives", f"{summary.undecided_streams:,}"],
            ["longest wait for a first token that was cut, ms", ms_cell(summary.longest_cut_wait_ms)],
            ["objectives", "; ".join(summary.slos) or ABSENT],
            ["streams of the warm-up, left out", f"{summary.warmup_streams:,}"],
        ],
        1,
    )


def _flow(summary: Summary) -> list[list[str]]:
    """The streams in flight and the steady state; nothing for a run of an earlier version."""
    rows = []
    if (found := summary.in_flight) is not None:
        residual = ABSENT if found.little_residual is None else percent(found.little_residual)
        rows += [
            ["streams in flight, mean", number(round(found.mean, 1))],
            ["streams in flight, most", f"{found.most:,}"],
            ["difference to throughput × stay (Little's law)", residual],
        ]
    if summary.steady_state is not None:
        rows.append(["steady state", summary.steady_state.verdict.value])
    return rows


def _lengths(summary: Summary) -> list[list[str]]:
    """The output tokens that streams asked for, and those that they received; nothing where none was asked for."""
    found = summary.lengths
    if found is None:
        return []
    return [
        ["ok streams that asked for a number of output tokens", f"{found.streams:,}"],
        ["output tokens asked for, p50", number(found.asked_p50)],
        ["output tokens received, p50", number(found.received_p50)],
        ["answers shorter than asked for, by more than 10 %", f"{found.short:,}"],
        ["answers longer than asked for, by more than 10 %", f"{found.long:,}"],
    ]


def _of_run(metric: OfRun, summary: Summary) -> str:
    value: float | None = getattr(summary, metric.field)
    if metric.unit is Unit.SHARE:
        return percent(value) + share_interval(summary, metric.field)
    return number(value) if value is None or metric.unit is Unit.COUNT or value >= 100 else f"{value:,.2f}"


def share_interval(summary: Summary, field: str) -> str:
    """The interval of a share of streams in brackets, with a space before it; empty without one."""
    found = summary.share_intervals.get(field)
    if found is None or found.low is None or found.high is None:
        return ""
    return f" ({percent(found.low)} to {percent(found.high)})"


def outcomes(summary: Summary) -> Table:
    """Streams by how they ended."""
    total = sum(summary.streams.values())
    known = [outcome.value for outcome in Outcome]
    order = sorted(summary.streams.items(), key=lambda item: known.index(item[0]) if item[0] in known else len(known))
    return Table(["outcome", "streams", "share"], [[name, f"{n:,}", percent(n / total)] for name, n in order if n], 2)


def failures(run: Run) -> Table | None:
    """The failures, and what is wrong with ok streams, by outcome, status and message, most frequent first."""
    if run.streams is None:
        return None
    totals = run.streams.totals
    counted = totals.failures + totals.remarks
    if not counted:
        return None
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0].outcome))
    rows = [
        [failure.outcome, str(failure.status or ABSENT), failure.detail or ABSENT, f"{count:,}"]
        for failure, count in ordered[:_FAILURES_SHOWN]
    ]
    return Table(["outcome", "status", "detail", "streams"], rows, 1)


def scenarios(run: Run) -> Table | None:
    """TTFT and the share of ok streams by scenario, without those that this client cut; None with fewer than two."""
    frame = run.streams.table if run.streams else pd.DataFrame()
    if frame.empty or frame["scenario"].nunique(dropna=True) < 2:
        return None
    rows = []
    for name, group in frame.groupby("scenario"):
        ttft = distribution(value * MS for value in group["ttft_ms"].dropna())
        judged = group["outcome"][~group["outcome"].isin(CUT)]
        ok = percent(float((judged == Outcome.OK.value).mean())) if len(judged) else ABSENT
        cells = [ms_cell(getattr(ttft, part) if ttft else None) for part in ("p50", "p95", "p99")]
        rows.append([str(name), f"{len(group):,}", ok, *cells])
    return Table(["scenario", "streams", "ok", "ttft p50, ms", "ttft p95, ms", "ttft p99, ms"], rows, 5)


def cancellation(run: Run) -> Table | None:
    """Every abandoned stream of the cancel matrix."""
    if run.cancellation is None:
        return None
    rows = []
    for row in run.cancellation.rows:
        delay = ms_cell(row.propagation_ms) if row.seen or row.propagation_ms is not None else "never noticed"
        if row.propagation_ms is not None and row.clock_error_ms is not None:
            delay += f" ± {ms_cell(row.clock_error_ms)}"
        end = " / ".join(part for part in (row.upstream_end, row.upstream_kind) if part) or ABSENT
        rows.append(
            [
                row.path, row.phase, row.method, row.verdict, end, row.note or ABSENT, delay,
                f"{row.tokens_received:,}", number(row.wasted_tokens), number(row.upstream_requests),
            ]
        )  # fmt: skip
    columns = ["path", "phase", "method", "verdict", "upstream end", "note", "delay, ms", "received"]
    return Table([*columns, "wasted", "requests"], rows, 4)


def paths(run: Run) -> Table | None:
    """How tokens arrive on each path of the diagnosis."""
    if run.diagnosis is None:
        return None
    return Table(
        ["path", "address", "class", "block, bytes", "window, ms", "ttft, ms", "itl p50, ms", "tokens", "groups"],
        [
            [
                path.label, path.url, path.pattern.value, number(path.size_bytes), ms_cell(path.window_ms),
                ms_cell(path.ttft_ms), ms_cell(path.itl_p50_ms), f"{path.tokens:,}", f"{path.groups:,}",
            ]
            for path in run.diagnosis.paths
        ],
        6,
    )  # fmt: skip


def headers(run: Run) -> Table | None:
    """Response headers of the paths side by side: the headers that a hop adds or removes identify it."""
    found = run.diagnosis.paths if run.diagnosis else []
    names = sorted({name.lower() for path in found for name in path.headers})
    if not names:
        return None
    lowered = [{name.lower(): value for name, value in path.headers.items()} for path in found]
    rows = [[name, *(_header(headers, name) for headers in lowered)] for name in names]
    return Table(["header", *(path.label for path in found)], rows)


def _header(headers: Mapping[str, str], name: str) -> str:
    return "(hidden)" if name in _SECRET_HEADERS and name in headers else headers.get(name, ABSENT)


def definitions() -> Table:
    """Every metric with its definition."""
    rows = [[metric.name, metric.definition, metric.absent] for metric in METRICS]
    return Table(["metric", "definition", "absent when"], rows)


def manifest(run: Run) -> Table:
    """The command, its target, the client machine and all settings."""
    rows = [["target", run.target], ["dialect", run.dialect or ABSENT]]
    if file := run.manifest:
        rows += [["dialect chosen because", file.dialect_reason]] if file.dialect_reason else []
        rows += [["doubt about the dialect", file.dialect_doubt]] if file.dialect_doubt else []
        rows += [
            ["command", file.command],
            ["status", file.status],
            ["started", file.started],
            ["ended", file.ended or ABSENT],
            ["streamgauge", file.streamgauge],
        ]
        if file.machine:
            cpus = ABSENT if file.machine.cpus is None else str(file.machine.cpus)
            rows += [["client machine", f"{file.machine.system}, Python {file.machine.python}, CPUs: {cpus}"]]
        if file.reader:
            rows += [["sockets read by", file.reader]]
        rows += [[f"setting: {name}", _setting(value)] for name, value in file.settings.items()]
    if run.checks:
        rows += [
            ["checks: position", run.checks.position],
            ["checks: started", run.checks.started],
            ["checks: requests", f"{run.checks.requests:,}"],
            ["checks: strict", "yes" if run.checks.strict else "no"],
        ]
    if run.cancellation:
        rows += [["cancel: mock", run.cancellation.mock], ["cancel: started", run.cancellation.started]]
    if run.diagnosis:
        rows += [["diagnose: position", run.diagnosis.position], ["diagnose: started", run.diagnosis.started]]
    return Table(["", ""], rows)


def _setting(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_setting(item) for item in value) or ABSENT
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_setting(item)}" for key, item in value.items()) or ABSENT
    return str(value)
