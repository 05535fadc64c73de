"""Classify how a path buffers a stream, from the times of its reads and tokens (docs/methods.md#buffering)."""

from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

import msgspec

from streamgauge.protocol.transcript import Transcript
from streamgauge.units import MS, plural, show_ms
from streamgauge.wire import Head

SCHEMA: Final = 1


class Pattern(StrEnum):
    """How a path delivers a stream. Every class except PASS_THROUGH and UNKNOWN is a way to hold tokens back."""

    PASS_THROUGH = "pass-through"
    BLOCK_BUFFERED = "block-buffered"
    TIME_COALESCED = "time-coalesced"
    FULLY_BUFFERED = "fully-buffered"
    COMPRESSION_HELD = "compression-held"
    ONE_BEHIND = "one-behind"
    FIRST_BYTE_HELD = "first-byte-held"
    UNKNOWN = "unknown"


class PathFinding(msgspec.Struct, frozen=True, kw_only=True):
    """How one path delivers one paced stream.

    `size_bytes` is the size of a burst, `window_ms` the time between bursts; each is None where it does not
    characterise the path. `span_ms` is the time from the first token to the last, `groups` the number of bursts that
    brought tokens. `arrivals_ms` and `emitted_ms` are the times at which the first 400 tokens arrived and were written,
    since the request was sent. `emitted_ms` is empty without a ledger and without a direct path.
    """

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


class ConfigFix(msgspec.Struct, frozen=True):
    """A change to make: `where` names the file, section or product, `lines` is the text to write there."""

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
    fixes: list[ConfigFix]
    paths: list[PathFinding]

    def __repr__(self) -> str:
        return f"<DiagnosisFile {self.answer}>"


class Delivery(NamedTuple):
    """One paced stream as it arrived, in parallel lists. Times are ns since the request was sent.

    `arrived_ns` and `read` have an item for each token; `read_ns` and `read_bytes` have an item for each read that
    brought body bytes, and `read` is an index into them. `emitted_ns` is when the upstream wrote each token, None where
    unknown, or when it arrived on another path, as `emitted` says. `itl_ns` is the time between two of these.
    """

    arrived_ns: list[int]
    read: list[int]
    read_ns: list[int]
    read_bytes: list[int]
    emitted_ns: list[int] | None
    itl_ns: int | None
    encoding: str | None
    emitted: str = "were written"


class Shape(NamedTuple):
    """The class of one delivery, the size and the spacing of its bursts where they are known, and the evidence."""

    pattern: Pattern
    size_bytes: int | None
    window_ns: int | None
    groups: int
    evidence: list[str]


_GROUP_GAP_NS: Final = 3 * MS
"""Reads closer than this belong to one burst: a flush of several segments, not two tokens paced 10 ms apart."""
_PASSING_SHARE: Final = 0.8
_LEAST_TOKENS: Final = 6  # of fewer, chance makes bursts
_ALIKE: Final = 1.3
_SMALL_HEAD: Final = 3
_INSTANT_NS: Final = 300 * MS
"""An answer that is complete so soon may have been written at once: without the upstream's times, that is no buffer."""


def delivery_of(transcript: Transcript, emitted_ns: list[int] | None, itl_ns: int | None) -> Delivery:
    """The delivery in a captured stream; `emitted_ns` in epoch ns of our clock."""
    capture = transcript.capture
    zero = capture.sent_ns or capture.start_ns
    sizes: dict[int, int] = {}
    for read, data in capture.body:
        sizes[read] = sizes.get(read, 0) + len(data)
    at_read = {read: index for index, read in enumerate(sizes)}
    return Delivery(
        [transcript.time_of(event) - zero for event, _ in transcript.tokens],
        [at_read.get(event.read_index, len(sizes) - 1) for event, _ in transcript.tokens],
        [capture.reads[read].t_ns - zero for read in sizes],
        list(sizes.values()),
        None if emitted_ns is None else [at - zero for at in emitted_ns],
        itl_ns,
        content_coding(capture.head),
    )


def content_coding(head: Head | None) -> str | None:
    """The compression that a head names; None where the body is as it is, which `identity` also means."""
    named = head.get("content-encoding") if head else None
    codings = [coding.strip().lower() for coding in (named or "").split(",")]
    return ", ".join(coding for coding in codings if coding not in ("", "identity")) or None


def bursts(delivery: Delivery) -> list[tuple[int, int]]:
    """(arrival of the first byte, bytes) of each burst: reads with less than 3 ms between them."""
    out: list[tuple[int, int]] = []
    last = None
    for at, size in zip(delivery.read_ns, delivery.read_bytes, strict=True):
        if last is not None and at - last < _GROUP_GAP_NS:
            out[-1] = (out[-1][0], out[-1][1] + size)
        else:
            out.append((at, size))
        last = at
    return out


def token_groups(delivery: Delivery) -> list[int]:
    """How many tokens each burst brought. Bursts without a token are left out."""
    return _grouped(delivery.arrived_ns)


def written_in_the_same_bursts(delivery: Delivery) -> bool:
    """Whether the upstream already wrote in bursts, so that the path added few or none of its own.

    A busy machine wakes the mock late, and it then writes all tokens that are due at once.
    """
    written = _grouped(delivery.emitted_ns or [])
    return len(token_groups(delivery)) >= _PASSING_SHARE * len(written) > 0


def _grouped(times_ns: list[int]) -> list[int]:
    """The sizes of runs of times with less than 3 ms from each to the next."""
    counts: list[int] = []
    last = None
    for at in times_ns:
        if last is not None and at - last < _GROUP_GAP_NS:
            counts[-1] += 1
        else:
            counts.append(1)
        last = at
    return counts


def shape_of(fast: Delivery, slow: Delivery | None = None) -> Shape:
    """Classify a path by a fast stream. The same stream at a slower pace tells a full buffer from a timer."""
    tokens = len(fast.arrived_ns)
    groups = token_groups(fast)
    if tokens < _LEAST_TOKENS:
        why = f"{plural(tokens, 'token')} came, and it takes {_LEAST_TOKENS} to see a pattern"
        return Shape(Pattern.UNKNOWN, None, None, len(groups), [why])
    emission = fast.emitted_ns
    summary = f"{tokens} tokens arrived in {plural(len(groups), 'burst')}"
    if len(groups) == 1:
        if emission is None and fast.arrived_ns[-1] < _INSTANT_NS:
            why = f"all {tokens} tokens arrived within {show_ms(fast.arrived_ns[-1])}: too soon to be held back"
            return Shape(Pattern.UNKNOWN, None, None, 1, [why])
        span = emission[-1] - emission[0] if emission else None
        why = f"{summary}; they {fast.emitted} over {show_ms(span)}" if span else summary
        return Shape(Pattern.FULLY_BUFFERED, sum(fast.read_bytes), None, 1, [why])
    rest = tokens - groups[0]
    if groups[0] >= _SMALL_HEAD and rest and len(groups) - 1 >= _PASSING_SHARE * rest:
        held = sum(fast.read_bytes[: fast.read[groups[0] - 1] + 1]) if fast.read else None
        why = f"the first {groups[0]} tokens arrived together, every later one by itself"
        return Shape(Pattern.FIRST_BYTE_HELD, held, None, len(groups), [why])
    if len(groups) >= _PASSING_SHARE * tokens:
        return _single(fast, slow, groups, summary)
    return _held(fast, slow, groups, summary)


def _single(fast: Delivery, slow: Delivery | None, groups: list[int], summary: str) -> Shape:
    """One token in each burst: pass-through, unless each token arrives only when the next token is written."""
    behind = _lag_in_tokens(fast)
    if behind is None:
        return Shape(Pattern.PASS_THROUGH, None, None, len(groups), [summary])
    delay_ns, share = behind
    late = f"{summary}, {show_ms(delay_ns)} after they {fast.emitted}"
    slower = _lag_in_tokens(slow) if slow else None
    # At a slower pace latency stays the same, but a wait for the next token grows.
    if slower is not None and 0.5 <= share <= 1.6 and 0.5 <= slower[1] <= 1.6:
        return Shape(Pattern.ONE_BEHIND, None, None, len(groups), [f"{late}: each token waits for the next"])
    return Shape(Pattern.PASS_THROUGH, None, None, len(groups), [late])


def _lag_in_tokens(delivery: Delivery) -> tuple[int, float] | None:
    """Median arrival − emission, in ns and in gaps between tokens."""
    emitted = delivery.emitted_ns
    if not emitted or not delivery.itl_ns or len(emitted) < len(delivery.arrived_ns):
        return None
    delay = median(at - wrote for at, wrote in zip(delivery.arrived_ns, emitted, strict=False))
    return round(delay), delay / delivery.itl_ns


def _held(fast: Delivery, slow: Delivery | None, groups: list[int], summary: str) -> Shape:
    """Several tokens in each burst. At both paces a buffer gives bursts of equal size, a timer gives equal spacing."""
    size, window = size_and_window(fast)
    by_size = f"{summary}; a burst holds {size:,} bytes" if size else summary
    by_time = f"{summary}; a burst comes every {show_ms(window)}" if window else summary
    if slow is None or len(token_groups(slow)) < 3:
        # At one pace a full buffer and a timer look the same.
        return Shape(Pattern.BLOCK_BUFFERED, size, window, len(groups), [by_size, "measured at one pace only"])
    slow_size, slow_window = size_and_window(slow)
    sizes_agree = _ratio(size, slow_size)
    windows_agree = _ratio(window, slow_window)
    if windows_agree < sizes_agree and windows_agree <= _ALIKE:
        why = f"at a slower pace a burst still comes every {show_ms(slow_window)}: a timer releases the tokens"
        return Shape(Pattern.TIME_COALESCED, None, window, len(groups), [by_time, why])
    why = f"at a slower pace a burst still holds {slow_size or 0:,} bytes: a full buffer releases the tokens"
    return Shape(Pattern.BLOCK_BUFFERED, size, None, len(groups), [by_size, why])


def size_and_window(delivery: Delivery) -> tuple[int | None, int | None]:
    """Median bytes of a burst and median time between bursts. The last burst is a remainder and does not count."""
    found = bursts(delivery)
    whole = [size for _, size in found[:-1]]
    starts = [at for at, _ in found[:-1]]
    gaps = [after - before for before, after in pairwise(starts)]
    return (round(median(whole)) if whole else None), (round(median(gaps)) if gaps else None)


def _ratio(first: int | None, second: int | None) -> float:
    """The larger value over the smaller; infinite when either is missing."""
    if not first or not second:
        return float("inf")
    return max(first, second) / min(first, second)
