"""Buffering: who holds the tokens back, told from reads and events on each path (design section 6)."""

from enum import StrEnum
from typing import Final

import msgspec

SCHEMA: Final = 1


class Pattern(StrEnum):
    """The classes of delivery."""

    PASS_THROUGH = "pass-through"
    BLOCK_BUFFERED = "block-buffered"
    TIME_COALESCED = "time-coalesced"
    FULLY_BUFFERED = "fully-buffered"
    COMPRESSION_HELD = "compression-held"
    ONE_BEHIND = "one-behind"
    FIRST_BYTE_HELD = "first-byte-held"
    UNKNOWN = "unknown"


class PathFinding(msgspec.Struct, frozen=True, kw_only=True):
    """How one path delivers. `delays_ms` is arrival − emission per token where the mock's ledger is known."""

    label: str
    url: str
    pattern: Pattern
    size_bytes: int | None = None
    window_ms: float | None = None
    ttft_ms: float | None = None
    itl_p50_ms: float | None = None
    span_ms: float | None = None
    tokens: int = 0
    groups: int = 0
    arrivals_ms: list[float] = []
    emitted_ms: list[float] = []
    headers: dict[str, str] = {}
    evidence: list[str] = []


class Fix(msgspec.Struct, frozen=True):
    """What to change: the file or product it belongs to, and the exact lines."""

    where: str
    lines: list[str]


class DiagnosisFile(msgspec.Struct, frozen=True, kw_only=True):
    """`diagnosis.json`."""

    schema: int = SCHEMA
    position: str
    started: str
    buffered: bool
    pattern: Pattern
    size_bytes: int | None
    window_ms: float | None
    hop: str
    culprit: str | None
    answer: str
    evidence: list[str]
    fixes: list[Fix]
    paths: list[PathFinding]
