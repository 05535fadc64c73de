"""What a finished stream costs between its last read and its record, and behind it: `make bench-decode`.

The ordinary path (ResponseParser, StreamReader, record_of) and the fast path (plain_response, plain_record) decode the
same packed reads of the mock's own streams, in turns. Of each step the fastest round counts, in CPU time of the thread:
other processes only add to it. Behind the record both paths go on alike: its JSON, and in the parent process the
decoding and `Totals`.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import gc
import random
import time
from array import array
from collections.abc import Callable
from itertools import accumulate, count
from typing import NamedTuple

import msgspec

from streamgauge.metrics.summary import Totals
from streamgauge.metrics.validity import doubtful
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Dialect
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import StreamRecord, record_of
from streamgauge.protocol.record_fast import plain_record
from streamgauge.transport.exchange_state import ExchangeState
from streamgauge.transport.http1_fast import plain_response
from streamgauge.transport.http1_parser import ResponseParser
from streamgauge.units import MS
from streamgauge.wire import Arrivals, Capture
from tests.builders.arrivals import taken
from tests.builders.mock_streams import BY_NAME, writes

START_NS = 1_763_700_000 * 1_000_000_000
_BATCH = 64  # reads that the ordinary path parses at once, as the transport does
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StreamRecord)


class Stream(NamedTuple):
    """One stream as the transport leaves it, and its record."""

    arrivals: Arrivals
    record: StreamRecord
    encoded: bytes


def begun() -> Capture:
    return Capture(START_NS, method="POST", reused=True, sent_ns=START_NS + 100_000)


def arrivals(pieces: list[bytes], seed: int) -> Arrivals:
    """A read for each piece, 20 ms apart with some jitter."""
    draw = random.Random(seed)
    t_ns = list(accumulate((int(draw.gauss(20, 0.5) * MS) for _ in pieces), initial=START_NS + 200 * MS))[1:]
    user_ns = [at + int(draw.lognormvariate(10.6, 0.6)) for at in t_ns]
    return Arrivals(
        b"".join(pieces),
        memoryview(array("q", t_ns)),
        memoryview(array("q", user_ns)),
        memoryview(array("I", map(len, pieces))),
    )


def slow(found: Arrivals) -> StreamRecord:
    """The ordinary path, with its own batches."""
    capture = begun()
    parser = ResponseParser(ExchangeState(capture))
    pieces = found.pieces()
    capture.reads = found.reads()
    for first in range(0, len(pieces) - 1, _BATCH):
        batch = pieces[first : min(first + _BATCH, len(pieces) - 1)]
        if not parser.feed_plain(batch, first):
            for number, piece in enumerate(batch, first):
                parser.feed(piece, number)
    parser.feed(pieces[-1], len(pieces) - 1)
    parser.release()
    capture.end_ns = found.t_ns[-1]
    return record_of(interpret(capture), "id", url="http://127.0.0.1/", scenario="ChatUser", worker=1)


def fast(stream: Stream) -> StreamRecord | None:
    """The fast path, in the dialect that a run has settled; None where it declines."""
    response = plain_response(stream.arrivals)
    if response is None:
        return None
    capture = taken(begun(), response, stream.arrivals)
    return plain_record(
        capture, stream.arrivals, response, "id", _dialect_of(stream),
        url="http://127.0.0.1/", scenario="ChatUser", worker=1,
    )  # fmt: skip


def _dialect_of(stream: Stream) -> Dialect:
    name = stream.record.dialect
    assert name is not None
    return dialects.by_name(name)


def cost_us(step: Callable[[Stream], object], streams: list[Stream]) -> float:
    """Time for one stream in µs."""
    began = time.thread_time_ns()
    for stream in streams:
        step(stream)
    return (time.thread_time_ns() - began) / len(streams) / 1000


def measure(steps: dict[str, Callable[[Stream], object]], streams: list[Stream], rounds: int) -> dict[str, float]:
    """The cost of each step for one stream in µs in its fastest round; all steps take turns."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            found[name].append(cost_us(step, streams))
    return {name: min(costs) for name, costs in found.items()}


def made(dialect: str, tokens: int, streams: int) -> list[Stream]:
    """Distinct streams of one dialect."""
    found = [arrivals(writes(dialect, f"tokens={tokens} seed={seed}"), seed) for seed in range(streams)]
    records = [slow(one) for one in found]
    return [Stream(one, record, _encoder.encode(record)) for one, record in zip(found, records, strict=True)]


def paths(rounds: int, tokens: int) -> None:
    """Both paths for every dialect; streams of 10 tokens tell the fixed cost from that of a token."""
    print(f"µs a stream of {tokens} tokens, one chunk a token, one read a chunk\n")
    print(f"{'':<18}{'ordinary':>10}{'fast':>10}{'ratio':>8}{'µs a token':>20}{'fixed µs':>18}")
    for dialect in BY_NAME:
        short, long = made(dialect, 10, 20), made(dialect, tokens, 20)
        takes = fast(long[0]) is not None
        steps: dict[str, Callable[[Stream], object]] = {"slow": lambda stream: slow(stream.arrivals)}
        if takes:
            assert all(fast(stream) == stream.record for stream in long)
            steps["fast"] = fast
        few, many = measure(steps, short, rounds), measure(steps, long, rounds)
        each = {name: (many[name] - few[name]) / (tokens - 10) for name in steps}
        fixed = {name: few[name] - 10 * each[name] for name in steps}
        if takes:
            print(
                f"{dialect:<18}{many['slow']:>10.0f}{many['fast']:>10.0f}{many['fast'] / many['slow']:>8.2f}"
                f"{each['slow']:>12.2f} → {each['fast']:.2f}{fixed['slow']:>12.0f} → {fixed['fast']:.0f}"
            )
        else:
            print(
                f"{dialect:<18}{many['slow']:>10.0f}{'declines':>10}{'':>8}{each['slow']:>12.2f}{fixed['slow']:>18.0f}"
            )


def behind(rounds: int, tokens: int) -> None:
    """The steps around the record of an OpenAI chat."""
    streams = made("openai-chat", tokens, 50)
    responses = {id(stream): plain_response(stream.arrivals) for stream in streams}
    totals, numbers = Totals(), count()

    def record(stream: Stream) -> object:
        response = responses[id(stream)]
        assert response is not None
        capture = taken(begun(), response, stream.arrivals)
        number = f"{next(numbers)}"
        return plain_record(capture, stream.arrivals, response, number, _dialect_of(stream), url="http://127.0.0.1/")

    steps: dict[str, Callable[[Stream], object]] = {
        "plain_response": lambda stream: plain_response(stream.arrivals),
        "plain_record": record,
        "doubtful": lambda stream: doubtful(stream.record),
        "record to JSON": lambda stream: _encoder.encode(stream.record),
        "JSON to record (parent)": lambda stream: _decoder.decode(stream.encoded),
        "Totals.add (parent)": lambda stream: totals.add(stream.record),
    }
    costs = measure(steps, streams, rounds)
    print(f"\nsteps of the fast path, OpenAI chat, {tokens} tokens\n")
    for name, cost in costs.items():
        print(f"  {name:<26}{cost:>8.1f} µs{cost / tokens:>8.2f} µs a token")
    print(f"  {'together':<26}{sum(costs.values()):>8.1f} µs{sum(costs.values()) / tokens:>8.2f} µs a token")


def main() -> None:
    """Two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tokens", type=int, default=100)
    options = parser.parse_args()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)  # as under load: scenarios/streaming.py
    paths(options.rounds, options.tokens)
    behind(options.rounds, options.tokens)


if __name__ == "__main__":
    main()
