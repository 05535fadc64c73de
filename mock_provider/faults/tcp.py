"""Bodies and connections that break."""

from collections.abc import Iterator

from mock_provider.faults.base import Arg, Facts, Fault, middle, strike
from mock_provider.stream import Action, Close, Kind, Write

CHUNKED = frozenset({"stream", "http/1.1"})


def _closed_after(source: Iterator[Action], arg: Arg, facts: Facts, *, reset: bool) -> Iterator[Action]:
    struck = strike(arg, facts)
    for action in source:
        if isinstance(action, Write) and action.step >= struck:
            # Instead of this write, and when it would have been due.
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


def _no_final_chunk(source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
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


def _accept_close(_source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
    yield Close(reset=False)


FAULTS = (
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
        wire=_no_final_chunk,
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
        name="accept-close",
        sentence="the connection is closed in answer to the request",
        level="tcp",
        trips=("http.status-200",),
        needs=frozenset(),
        wire=_accept_close,
    ),
)
