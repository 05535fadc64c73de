"""The client's error floor: what this harness on this machine reports of a provider whose truth is known, beside it."""

import msgspec

from streamgauge.metrics.comparison import Comparison
from streamgauge.metrics.distributions import Distribution
from streamgauge.metrics.summary import Summary
from streamgauge.metrics.validity import Validity


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """`calibration.json`. An effect smaller than these errors cannot be seen from this client at this load.

    `itl_p50_error_ms` and `itl_p99_error_ms` are reported − true at the quantile, `ttft_error_ms` stream by stream.
    """

    streamgauge: str
    started: str
    machine: str
    users: int
    processes: int
    ttft: str
    itl: str
    tokens: int
    streams: int
    tokens_per_s: float | None
    ttft_error_ms: Distribution | None
    itl_p50_error_ms: float | None
    itl_p99_error_ms: float | None
    client_lag_ms: Distribution | None
    loop_late_ms: Distribution | None
    busiest_core: float | None
    validity: Validity


def floor_of(
    summary: Summary,
    truth: Comparison,
    *,
    streamgauge: str,
    started: str,
    machine: str,
    users: int,
    processes: int,
    ttft: str,
    itl: str,
    tokens: int,
) -> Calibration:
    """The floor that a run against the mock shows."""
    ours, theirs = truth.itl_ms, truth.true_itl_ms
    both = ours is not None and theirs is not None
    return Calibration(
        streamgauge=streamgauge,
        started=started,
        machine=machine,
        users=users,
        processes=processes,
        ttft=ttft,
        itl=itl,
        tokens=tokens,
        streams=truth.streams,
        tokens_per_s=summary.output_tokens_per_s,
        ttft_error_ms=truth.ttft_error_ms,
        itl_p50_error_ms=round(ours.p50 - theirs.p50, 3) if both and ours and theirs else None,
        itl_p99_error_ms=round(ours.p99 - theirs.p99, 3) if both and ours and theirs else None,
        client_lag_ms=summary.client_lag_ms,
        loop_late_ms=summary.loop_late_ms,
        busiest_core=summary.busiest_core,
        validity=summary.validity,
    )


def calibration_lines(floor: Calibration) -> list[tuple[str, str]]:
    """The floor in words: what, and how much."""
    ttft = floor.ttft_error_ms
    lines = [
        ("at", f"{floor.users:,} users, {floor.tokens_per_s or 0:,.0f} tokens/s, gaps of {floor.itl}"),
        ("TTFT reported - true", "-" if ttft is None else f"p50 {ttft.p50:+.2f} ms, p99 {ttft.p99:+.2f} ms"),
    ]
    if floor.itl_p50_error_ms is not None and floor.itl_p99_error_ms is not None:
        lines.append(
            ("ITL reported - true", f"p50 {floor.itl_p50_error_ms:+.2f} ms, p99 {floor.itl_p99_error_ms:+.2f} ms")
        )
    for name, dist in (("client lag", floor.client_lag_ms), ("event loop lateness", floor.loop_late_ms)):
        if dist is not None:
            lines.append((name, f"p50 {dist.p50:.2f} ms, p99 {dist.p99:.2f} ms"))
    if floor.busiest_core is not None:
        lines.append(("busiest process", f"{floor.busiest_core:.0%} of a core, used or waited for"))
    return lines


def beyond(floor: Calibration, summary: Summary, users: int | None) -> str | None:
    """Why a floor does not cover a run, or None when it does: it holds for no more load than it was measured at."""
    if users is not None and users > floor.users:
        return f"it was measured at {floor.users:,} users, this run had {users:,}"
    measured, had = floor.tokens_per_s or 0.0, summary.output_tokens_per_s or 0.0
    if had > 1.1 * measured:
        return f"it was measured at {measured:,.0f} tokens/s, this run had {had:,.0f}"
    return None
