"""Parsing reads: what a parser of a response can do, and how many reads are parsed at once."""

from collections.abc import Sequence
from typing import Final, Protocol

from streamgauge.transport.connection import Close
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.wire import Arrivals, PlainResponse, Read

_BATCH: Final = 64  # reads that the parser's fast path takes at once; a batch that it declines is halved
_FEW: Final = 4  # a batch of at most this size is not halved but parsed read by read

Reads = Sequence[tuple[bytes, Read]]


class Parser(Protocol):
    """Parses the bytes of one response: fills the capture, and ends it."""

    done: bool
    keep_alive: bool
    default_close: Close  # how a client of this protocol ends a response that it no longer wants

    @property
    def broken_hint(self) -> str:
        """Added to the message about a broken connection: a likely reason, such as a peer of another protocol."""

    @property
    def unsent(self) -> bool:
        """Whether a part of the request waits until the peer opens its flow-control window."""

    @property
    def tail(self) -> bytes:
        """The last bytes of every read that may end the response; empty where any read may."""

    def feed(self, data: bytes, read: int) -> None:
        """Take the bytes of read number `read`."""

    def plain(self, data: bytes) -> bool:
        """Whether parsing these bytes can wait: they only continue the body, neither end it nor call for an answer."""

    def feed_plain(self, pieces: list[bytes], read: int) -> bool:
        """The fast path of `feed` for many reads, numbered from `read` on. Law: it has the effect of `feed` for each of
        them, or returns False and has none.
        """

    def feed_whole(self, arrivals: Arrivals) -> PlainResponse | None:
        """The fast path of `feed` for a whole response of which nothing was fed. Law: `feed` would take the same
        response from these reads, and end with them; or the answer is None, and there is no effect.
        """

    def eof(self) -> None:
        """The peer closed its side."""

    def outgoing(self) -> bytes:
        """The bytes that have to be sent now."""

    def cancel(self) -> bytes:
        """The bytes that end this response but not the connection; empty where only closing the connection ends it."""

    def release(self) -> None:
        """Take no more bytes."""


def parse_reads(parser: Parser, state: ExchangeState, reads: Reads) -> None:
    """Parse reads in their order, as many as possible by the parser's fast path."""
    if state.capture.wire is None:
        # The last read may hold the terminating chunk, which the fast path always declines.
        for start in range(0, len(reads) - 1, _BATCH):
            _parse_batch(parser, state, reads[start : min(start + _BATCH, len(reads) - 1)])
        reads = reads[-1:]
    _parse_each(parser, state, reads)


def _parse_batch(parser: Parser, state: ExchangeState, reads: Reads) -> None:
    if parser.feed_plain([data for data, _ in reads], len(state.capture.reads)):
        state.plain_reads(read for _, read in reads)
    elif len(reads) <= _FEW:
        _parse_each(parser, state, reads)
    else:
        half = len(reads) // 2
        _parse_batch(parser, state, reads[:half])
        _parse_batch(parser, state, reads[half:])


def _parse_each(parser: Parser, state: ExchangeState, reads: Reads) -> None:
    for data, read in reads:
        if parser.done:
            parser.keep_alive = False  # bytes behind the end: the connection is out of step
            break
        parser.feed(data, state.read(data, read))
