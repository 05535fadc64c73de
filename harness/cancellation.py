"""Cancellation: what the model went on doing after its reader had left. Judged from the two sides' own times."""

from typing import Final

import msgspec

SCHEMA: Final = 1


class CancelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One abandoned stream. `propagation_ms` is client close → upstream saw it, absent when it never did.

    `wasted_tokens` are those the upstream wrote after the client had closed; `clock_error_ms` bounds both.
    """

    path: str
    phase: str
    method: str
    verdict: str
    seen: bool
    propagation_ms: float | None
    clock_error_ms: float | None
    tokens_received: int
    wasted_tokens: int | None
    upstream_end: str | None
    upstream_kind: str | None
    upstream_requests: int | None
    note: str | None = None


class CancellationFile(msgspec.Struct, frozen=True, kw_only=True):
    """`cancellation.json`."""

    schema: int = SCHEMA
    target: str
    mock: str
    started: str
    rows: list[CancelRow]
