"""The wire behind a verdict: the answer to each request, line by line with arrival times, bounded.

Kept are the beginning and the end of each body and what lies around the bytes that a check quotes; every row is escaped
and masked, so that a report may be passed on.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from streamgauge.conformance.cases import Case, Observed, place_of, printable, visible, whole_character
from streamgauge.conformance.result import CheckResult, WireExchange, WireRow
from streamgauge.leaks import beginning, quoted
from streamgauge.protocol.scattered import scattered
from streamgauge.protocol.transcript import Transcript
from streamgauge.secrets import hidden_piece, mask_header
from streamgauge.spellings import Span

MAX_EXCHANGES: Final = 80
PER_SCENARIO: Final = 8
FIRST_ROWS: Final = 16
LAST_ROWS: Final = 6
AROUND: Final = 4
MAX_CITED: Final = 8
ROW_CHARS: Final = 240
_BEFORE_CHARS: Final = 60
_MOST_BYTES: Final = 4 * ROW_CHARS


def hidden(result: CheckResult) -> CheckResult:
    """The result with all secrets masked."""
    evidence = []
    for item in result.evidence:
        excerpt = item.excerpt and quoted(item.excerpt)
        mark = item.mark if excerpt == item.excerpt else None
        evidence.append(msgspec.structs.replace(item, note=item.note and quoted(item.note), excerpt=excerpt, mark=mark))
    return msgspec.structs.replace(result, actual=quoted(result.actual), evidence=evidence)


def exchanges(case: Case, results: Sequence[CheckResult]) -> list[WireExchange]:
    """The exchanges to keep for the report, bounded; those that a check quotes come first."""
    cited: dict[str, set[int]] = {}
    for result in results:
        for item in result.evidence:
            cited.setdefault(item.scenario, set()).update([] if item.offset is None else [item.offset])
    kept: list[Observed] = []
    for _, group in groupby(case.observed, key=lambda seen: seen.scenario):
        of_scenario = sorted(group, key=lambda seen: seen.label not in cited)[:PER_SCENARIO]
        kept += of_scenario
    return [_exchange(seen, sorted(cited.get(seen.label, ()))[:MAX_CITED]) for seen in kept[:MAX_EXCHANGES]]


def _exchange(seen: Observed, cited: Sequence[int]) -> WireExchange:
    transcript, capture = seen.transcript, seen.transcript.capture
    head = capture.head
    pieces = _chosen(list(_pieces(seen)), cited)
    secrets = scattered(transcript, [_shown_of(transcript, piece, cited) for piece in pieces])

    def since(t_ns: int | None) -> int | None:
        return None if t_ns is None else t_ns - capture.start_ns

    return WireExchange(
        label=seen.label,
        scenario=seen.scenario,
        method=seen.method,
        url=seen.url,
        reproduce=seen.curl or None,
        outcome=transcript.outcome.value,
        detail=None if transcript.detail is None else printable(beginning(transcript.detail, 301), 300),
        status=None if head is None else head.status,
        http_version=None if head is None else head.http_version,
        headers=[] if head is None else [
            (printable(name, 80), printable(beginning(mask_header(name, value), 301), 300))
            for name, value in head.headers[:60]
        ],
        headers_ns=since(capture.headers_ns),
        end_ns=since(capture.end_ns),
        end=None if capture.end is None else capture.end.value,
        framing=None if capture.framing is None else capture.framing.value,
        reads=len(capture.reads),
        size=len(transcript.body),
        rows=[_row(seen, piece, cited, secrets) for piece in pieces],
    )  # fmt: skip


class _Piece(NamedTuple):
    start: int
    end: int
    read: int | None


def _pieces(seen: Observed) -> Iterator[_Piece]:
    """The body by lines, each with the blank line after it; a body without lines by network reads."""
    transcript = seen.transcript
    lines = [*transcript.lines, *([transcript.pending] if transcript.pending is not None else [])]
    if lines:
        # A byte order mark belongs to the first line, whose offset is behind the mark.
        last = _Piece(0, lines[0].end, lines[0].read_index)
        for line in lines[1:]:
            if not line.raw and line.read_index == last.read:
                last = last._replace(end=line.end)
            else:
                yield last
                last = _Piece(line.offset, line.end, line.read_index)
        yield last
        return
    if not transcript.body:
        return
    # After content decoding, the reads have no known borders in the body.
    if sum(len(data) for _, data in transcript.capture.body) != len(transcript.body):
        yield _Piece(0, len(transcript.body), None)
        return
    start = 0
    for read, data in transcript.capture.body:
        if data:
            yield _Piece(start, start + len(data), read)
        start += len(data)


def _chosen(pieces: list[_Piece], cited: Sequence[int]) -> list[_Piece]:
    """The first and last pieces, and those around quoted offsets."""
    wanted = set(range(FIRST_ROWS)) | set(range(len(pieces) - LAST_ROWS, len(pieces)))
    for offset in cited:
        at = next((index for index, piece in enumerate(pieces) if piece.start <= offset < piece.end), len(pieces))
        wanted |= set(range(at - AROUND, at + AROUND + 1))
    return [piece for index, piece in enumerate(pieces) if index in wanted]


def _shown_of(transcript: Transcript, piece: _Piece, cited: Sequence[int]) -> Span:
    """The part of a piece that a row can show: a piece may have megabytes. A cut in a character would show an invalid
    byte.
    """
    first, last = piece.start, piece.end
    inside = next((offset for offset in cited if first <= offset < last), first)
    if inside > first + _MOST_BYTES:
        first = whole_character(transcript.body, inside - _MOST_BYTES)
    if last > first + 2 * _MOST_BYTES:
        last = whole_character(transcript.body, first + 2 * _MOST_BYTES)
    return Span(first, last)


def _row(seen: Observed, piece: _Piece, cited: Sequence[int], secrets: Sequence[Span]) -> WireRow:
    capture = seen.transcript.capture
    inside = [offset for offset in cited if piece.start <= offset < piece.end]
    first, last = _shown_of(seen.transcript, piece, cited)
    data = seen.transcript.body[first:last]
    text = visible(data)
    shown = quoted(visible(hidden_piece(seen.transcript.body, first, last, secrets)))
    # Masking shifts offsets, so then the row is flagged but no character.
    marks = [place_of(text, data[: offset - first]) for offset in inside] if shown == text else []
    known = [mark for mark in marks if mark is not None]
    start = max(0, known[0] - _BEFORE_CHARS) if known and known[0] > ROW_CHARS - _BEFORE_CHARS else 0
    end = start + ROW_CHARS
    begins_late = start > 0 or first > piece.start
    return WireRow(
        offset=piece.start,
        size=piece.end - piece.start,
        arrival_ns=None if piece.read is None else capture.reads[piece.read].t_ns - capture.start_ns,
        read=piece.read,
        text=f"{'…' if begins_late else ''}{shown[start:end]}{'…' if end < len(shown) or last < piece.end else ''}",
        cited=inside,
        marks=[mark - start + begins_late for mark in known if start <= mark < end],
    )
