"""Generated from metrics/definitions.py by `make docs`; do not edit.

The metrics of a run as a typed struct. Each is optional, because an older run.json does not have the newer ones.
"""

import msgspec

from streamgauge.metrics.distributions import AdjustedDistribution, Distribution


class MetricFields(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics in the summary of run.json: distributions in ms, shares from 0 to 1, rates per second, counts."""

    ttft_ms: Distribution | None = None
    ttfb_ms: Distribution | None = None
    headers_ms: Distribution | None = None
    ttfe_ms: Distribution | None = None
    ttfat_ms: Distribution | None = None
    ttst_ms: Distribution | None = None
    itl_ms: Distribution | None = None
    tpot_ms: Distribution | None = None
    e2e_ms: Distribution | None = None
    adj_ttft_ms: AdjustedDistribution | None = None
    adj_tpot_ms: AdjustedDistribution | None = None
    adj_e2e_ms: AdjustedDistribution | None = None
    schedule_delay_ms: Distribution | None = None
    ttft_intended_ms: Distribution | None = None
    e2e_intended_ms: Distribution | None = None
    connect_ms: Distribution | None = None
    client_lag_ms: Distribution | None = None
    ttft_bound_ms: Distribution | None = None
    itl_bound_ms: Distribution | None = None
    loop_late_ms: Distribution | None = None
    record_delay_ms: Distribution | None = None
    ttft_any_chunk_ms: Distribution | None = None
    tpot_incl_first_ms: Distribution | None = None
    itl_request_mean_ms: Distribution | None = None
    output_tokens_per_s: float | None = None
    events_per_s: float | None = None
    streams_per_s: float | None = None
    error_rate: float | None = None
    goodput: float | None = None
    goodput_of_ok: float | None = None
    session_error_rate: float | None = None
    stalls: int = 0
    coalesced_share: float | None = None
    merged_share: float | None = None
    cached_share: float | None = None
    busiest_core: float | None = None
