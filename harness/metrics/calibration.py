"""The client's error floor: the difference between reported and true figures of a mock, on this machine at one load."""

import msgspec

from streamgauge.metrics.comparison import Comparison
from streamgauge.metrics.distributions import Distribution
from streamgauge.metrics.summary import Summary
from streamgauge.metrics.validity import Validity


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """`calibration.json`. At this load, this client cannot show an effect smaller than these errors.

    Errors are reported − true: `ttft_error_ms` stream by stream, `itl_p50_error_ms` and `itl_p99_error_ms` at the
    quantile.
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
    """The floor from the summary of a run against the mock and its comparison with the mock's ledger."""
    reported, true = truth.itl_ms, truth.true_itl_ms
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
        itl_p50_error_ms=round(reported.p50 - true.p50, 3) if reported and true else None,
        itl_p99_error_ms=round(reported.p99 - true.p99, 3) if reported and true else None,
        client_lag_ms=summary.client_lag_ms,
        loop_late_ms=summary.loop_late_ms,
        busiest_core=summary.busiest_core,
        validity=summary.validity,
    )


def calibration_lines(floor: Calibration) -> list[tuple[str, str]]:
    """The floor as pairs of a label and a value with its unit."""
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


def beyond(floor: Calibration, summary: Summary, most_open: int | None) -> str | None:
    """Why a floor does not cover a run, or None when it does. It covers loads up to the load it was measured at.

    `most_open` is the largest number of streams that the run had open at once.
    """
    if most_open is not None and most_open > floor.users:
        return f"it was measured at {floor.users:,} users, this run had {most_open:,} streams open at once"
    calibrated, rate = floor.tokens_per_s or 0.0, summary.output_tokens_per_s or 0.0
    if rate > 1.1 * calibrated:
        return f"it was measured at {calibrated:,.0f} tokens/s, this run had {rate:,.0f}"
    return None
