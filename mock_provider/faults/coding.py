"""Bodies that are held back, cut at other places, or compressed."""

import zlib
from collections.abc import Iterator

from streamgauge.mock_provider.faults.base import Arg, Facts, Fault
from streamgauge.mock_provider.stream import BEFORE_FIRST, Event, Head, Kind

GZIP_WINDOW = 31  # zlib's number for the gzip format with the largest window
BURST_EVENTS = 4
BLOCK_BYTES = 4_096  # a memory page: the buffer of nginx and of most stdio libraries


def _held_to_the_end(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    held, token, step = bytearray(), None, BEFORE_FIRST
    for event in source:
        held += event.data
        step = event.step
        token = token if event.token is None else event.token
    yield Event(Kind.TOKEN, step, bytes(held), token)


def _one_behind(source: Iterator[Event], _arg: Arg, _facts: Facts) -> Iterator[Event]:
    held = next(source, None)
    for event in source:
        assert held is not None
        yield held._replace(step=event.step)
        held = event
    if held is not None:
        yield held


def _blocks(source: Iterator[Event], arg: Arg, _facts: Facts) -> Iterator[Event]:
    size = arg.count if arg.count is not None else BLOCK_BYTES
    held = bytearray()
    ends: list[tuple[int, int]] = []  # (offset in `held` at which a token is complete, token)
    step = BEFORE_FIRST
    for event in source:
        held += event.data
        step = event.step
        if event.token is not None:
            ends.append((len(held), event.token))
        while len(held) >= size:
            token = max((token for end, token in ends if end <= size), default=None)
            ends = [(end - size, token) for end, token in ends if end > size]
            yield Event(Kind.TOKEN, step, bytes(held[:size]), token)
            del held[:size]
    if held:
        yield Event(Kind.TOKEN, step, bytes(held), ends[-1][1] if ends else None)


def _bursts(source: Iterator[Event], arg: Arg, _facts: Facts) -> Iterator[Event]:
    size = arg.count or BURST_EVENTS
    held: list[Event] = []
    for event in source:
        if event.token is None and held:
            yield _joined(held)
            held = []
        if event.token is None:
            yield event
            continue
        held.append(event)
        if len(held) == size:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def _joined(events: list[Event]) -> Event:
    return events[-1]._replace(data=b"".join(event.data for event in events))


def _gzip_head(head: Head, _arg: Arg, facts: Facts) -> None:
    if facts.accepts_gzip:
        head.replace("Content-Encoding", "gzip")
        head.headers.append(("Vary", "Accept-Encoding"))


def _gzip_flush(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
    if not facts.accepts_gzip:
        yield from source
        return
    compressor = zlib.compressobj(wbits=GZIP_WINDOW)
    step = BEFORE_FIRST
    for event in source:
        step = event.step
        if event.data:
            yield event._replace(data=compressor.compress(event.data) + compressor.flush(zlib.Z_SYNC_FLUSH))
    yield Event(Kind.COMMENT, step, compressor.flush())


def _gzip_no_flush(source: Iterator[Event], _arg: Arg, facts: Facts) -> Iterator[Event]:
    if not facts.accepts_gzip:
        yield from source
        return
    compressor = zlib.compressobj(wbits=GZIP_WINDOW)
    token, step = None, BEFORE_FIRST
    for event in source:
        step = event.step
        token = token if event.token is None else event.token
        # The compressor gives bytes when its own buffer is full; nobody can say which tokens they complete.
        yield Event(Kind.COMMENT, step, compressor.compress(event.data))
    yield Event(Kind.TOKEN, step, compressor.flush(), token)


FAULTS = (
    Fault(
        name="no-flush",
        sentence="everything after the head is held back until the end",
        level="timing",
        trips=("flush.incremental", "flush.lockstep", "flush.burstiness"),
        needs=frozenset({"stream", "finite"}),
        body=_held_to_the_end,
    ),
    Fault(
        name="one-behind",
        sentence="each event is written only when the next one is ready",
        level="timing",
        trips=("flush.no-one-behind", "flush.lockstep"),
        body=_one_behind,
    ),
    Fault(
        name="block",
        sentence=f"the body is written in blocks of BYTES (default {BLOCK_BYTES})",
        level="timing",
        trips=("flush.lockstep", "flush.incremental", "flush.burstiness"),
        takes="bytes",
        body=_blocks,
    ),
    Fault(
        name="bursts",
        sentence=f"COUNT tokens' events (default {BURST_EVENTS}) come in one chunk, when the last of them is due",
        level="timing",
        trips=("flush.lockstep",),
        takes="count",
        body=_bursts,
    ),
    Fault(
        name="gzip-flush",
        sentence="gzip for a client that accepts it, flushed after each event (legal)",
        level="http",
        trips=("headers.no-content-encoding",),
        head=_gzip_head,
        body=_gzip_flush,
    ),
    Fault(
        name="gzip-no-flush",
        sentence="gzip for a client that accepts it, flushed only at the end",
        level="http",
        trips=("headers.no-content-encoding", "flush.compression-flushes"),
        head=_gzip_head,
        body=_gzip_no_flush,
    ),
)
