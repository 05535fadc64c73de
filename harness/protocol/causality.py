"""No token can be older than its write: where the upstream's ledger says so, the stream was read wrongly."""

from typing import Final

from streamgauge.units import MS, show_ms

_TOLERANCE_NS: Final = MS
"""Kernel stamps and the mock's clock are adjusted alike on one machine, but may drift apart between two."""


def older_by_ns(reported_ttft_ns: int | None, true_ttft_ns: int | None) -> int | None:
    """By how much the first token is older than its write; None when it is not, or when one of the times is unknown.

    Both are durations, each on its own clock: from the start of the request to the token that was read, and from the
    request's arrival at the upstream to the first token that it wrote. The first one contains the second.
    """
    if reported_ttft_ns is None or true_ttft_ns is None or reported_ttft_ns + _TOLERANCE_NS >= true_ttft_ns:
        return None
    return true_ttft_ns - reported_ttft_ns


def misread(dialect: str | None, older_ns: int) -> str:
    """The doubt about a stream whose first token is older than its write."""
    return (
        f"what was read as the first token came {show_ms(older_ns)} before the upstream wrote its first token: "
        f"{dialect or 'this dialect'} does not fit, or the endpoint puts a text of its own in front"
    )
