"""Connections that break, chunks that are malformed, and writes cut at unusual places."""

from collections.abc import Iterator

from streamgauge.mock_provider.faults.base import Actions, Arg, Facts, Fault, middle, strike
from streamgauge.mock_provider.faults.http import close_delimited
from streamgauge.mock_provider.stream import BEFORE_FIRST, Action, Close, Kind, Pause, Write

CHUNKED = frozenset({"stream", "http/1.1"})
DRIP_NS = 1_000_000


def _closed_after(source: Iterator[Action], arg: Arg, facts: Facts, *, reset: bool) -> Iterator[Action]:
    struck = strike(arg, facts)
    for action in source:
        if isinstance(action, Write) and action.step >= struck:
            # An empty write waits until this one would have been due.
            yield Write(Kind.END, action.step, b"")
            yield Close(reset)
            return
        yield action


def _rst(source: Iterator[Action], arg: Arg, facts: Facts) -> Iterator[Action]:
    return _closed_after(source, arg, facts, reset=True)


def _fin(source: Iterator[Action], arg: Arg, facts: Facts) -> Iterator[Action]:
    return _closed_after(source, arg, facts, reset=False)


def _truncated(source: Iterator[Action], arg: Arg, facts: Facts) -> Iterator[Action]:
    struck = strike(arg, facts)
    for action in source:
        if isinstance(action, Write) and action.step >= struck:
            yield action._replace(data=action.data[: len(action.data) // 2], token=None)
            yield Close(reset=False)
            return
        yield action


def no_final_chunk(source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
    """A FIN in place of the last chunk."""
    for action in source:
        if isinstance(action, Write) and action.kind is Kind.END:
            yield Close(reset=False)
            return
        yield action


def _bad_size(source: Iterator[Action], _arg: Arg, facts: Facts) -> Iterator[Action]:
    struck, done = middle(facts.tokens), False
    for action in source:
        if not done and isinstance(action, Write) and action.step >= struck:
            _, line_end, rest = action.data.partition(b"\r\n")
            yield action._replace(data=b"zz" + line_end + rest)
            done = True
        else:
            yield action


def _with_extensions(source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
    for action in source:
        if isinstance(action, Write) and action.kind is not Kind.HEAD:
            size, line_end, rest = action.data.partition(b"\r\n")
            yield action._replace(data=size + b";note=1" + line_end + rest)
        else:
            yield action


def _rst_at(source: Iterator[Action], arg: Arg, _facts: Facts) -> Iterator[Action]:
    left = arg.count if arg.count is not None else 1
    for action in source:
        if isinstance(action, Write) and len(action.data) >= left:
            yield action._replace(data=action.data[:left], token=action.token if len(action.data) == left else None)
            yield Close(reset=True)
            return
        if isinstance(action, Write):
            left -= len(action.data)
        yield action


def _pieces(write: Write, size: int) -> Iterator[Write]:
    """Cuts a write into pieces of at most `size` bytes; the last piece completes the token."""
    data = write.data
    last = max(0, (len(data) - 1) // size * size)
    for start in range(0, last, size):
        yield write._replace(data=data[start : start + size], token=None)
    yield write._replace(data=data[last:])


def _small_writes(source: Iterator[Action], arg: Arg, _facts: Facts) -> Iterator[Action]:
    size = arg.count if arg.count is not None else 1
    for action in source:
        if isinstance(action, Write):
            yield from _pieces(action, size)
        else:
            yield action


def _drip(source: Iterator[Action], arg: Arg, facts: Facts) -> Iterator[Action]:
    struck = strike(arg, facts)
    # Quiet: a heartbeat between two bytes of an event would be a second fault.
    apart = Pause(arg.duration_ns if arg.duration_ns is not None else DRIP_NS, quiet=True)
    for action in source:
        if not isinstance(action, Write) or action.step < struck:
            yield action
            continue
        for piece in _pieces(action, 1):
            yield piece
            yield apart


def _interim(head: bytes) -> Actions:
    """Puts an interim response before the first write."""

    def actions(source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
        # Not Kind.HEAD: in the ledger, the status and its time are those of the final head.
        yield Write(Kind.COMMENT, BEFORE_FIRST, head)
        yield from source

    return actions


def _http10(source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
    for action in source:
        if isinstance(action, Write) and action.kind is Kind.HEAD:
            yield action._replace(data=action.data.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        else:
            yield action


def _unannounced_close(source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
    yield from source
    yield Close(reset=False, kind="complete")


def _accept_close(_source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
    yield Close(reset=False)


FAULTS = (
    Fault(
        name="close-unannounced",
        sentence="a FIN after the last chunk, and no Connection: close in the head, as llama.cpp's server does",
        level="tcp",
        trips=("http.announces-close",),
        needs=CHUNKED,
        wire=_unannounced_close,
    ),
    Fault(
        name="truncated-chunk",
        sentence="after COUNT tokens (default half) a FIN in the middle of a chunk",
        level="tcp",
        trips=("http.chunked-framing", "framing.event-terminated", "termination.explicit-end"),
        needs=CHUNKED,
        takes="count",
        wire=_truncated,
    ),
    Fault(
        name="no-final-chunk",
        sentence="a FIN in place of the last, empty chunk",
        level="tcp",
        trips=("http.chunked-framing",),
        needs=CHUNKED,
        wire=no_final_chunk,
    ),
    Fault(
        name="bad-chunk-size",
        sentence="the size of the middle token's chunk is not a number",
        level="tcp",
        trips=("http.chunked-framing",),
        needs=CHUNKED,
        wire=_bad_size,
    ),
    Fault(
        name="chunk-extensions",
        sentence="each chunk has an extension, which a client ignores (RFC 9112 section 7.1.1, legal)",
        level="tcp",
        needs=CHUNKED,
        wire=_with_extensions,
    ),
    Fault(
        name="rst",
        sentence="an RST after COUNT tokens (default half)",
        level="tcp",
        trips=("http.chunked-framing", "termination.explicit-end"),
        takes="count",
        wire=_rst,
    ),
    Fault(
        name="fin",
        sentence="a FIN after COUNT tokens (default half), between two chunks",
        level="tcp",
        trips=("http.chunked-framing", "termination.explicit-end"),
        takes="count",
        wire=_fin,
    ),
    Fault(
        name="rst-at",
        sentence="an RST after BYTES of the response (default 1), counted from the status line on",
        level="tcp",
        trips=("http.chunked-framing", "termination.explicit-end"),
        takes="bytes",
        wire=_rst_at,
    ),
    Fault(
        name="write-every",
        sentence="no write has more than BYTES (default 1), so events are cut anywhere (legal)",
        level="tcp",
        takes="bytes",
        wire=_small_writes,
    ),
    Fault(
        name="drip",
        sentence="after COUNT tokens (default half) the bytes come one by one, DURATION (default 1ms) apart (legal)",
        level="timing",
        takes="duration@count",
        wire=_drip,
    ),
    Fault(
        name="100-first",
        sentence="a 100 Continue that the client did not ask for precedes the head (legal)",
        level="http",
        needs=CHUNKED,
        wire=_interim(b"HTTP/1.1 100 Continue\r\n\r\n"),
    ),
    Fault(
        name="103-first",
        sentence="a 103 Early Hints precedes the head (legal)",
        level="http",
        needs=CHUNKED,
        wire=_interim(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"),
    ),
    Fault(
        name="http10",
        sentence="the answer to an HTTP/1.1 request is HTTP/1.0: the body ends with the connection (legal)",
        level="http",
        needs=CHUNKED,
        head=close_delimited,
        wire=_http10,
    ),
    Fault(
        name="accept-close",
        sentence="the server closes the connection in place of an answer",
        level="tcp",
        streams=False,
        trips=("http.status-200",),
        needs=frozenset(),
        wire=_accept_close,
    ),
)
