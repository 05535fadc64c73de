"""Records of streams: one from a tape, and any made of its token times."""

import json

from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord, record_of
from tests.builders.tapes import MS, SSE_HEAD, START_NS, play


def chunk(**delta: str) -> bytes:
    payload = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
TAPE = [
    (10 * MS, SSE_HEAD),
    (20 * MS, chunk(role="assistant", content="")),
    (200 * MS, chunk(reasoning="hm")),
    (220 * MS, chunk(content="a") + chunk(content="b")),
    (260 * MS, chunk(content="c")),
    (300 * MS, b'data: {"choices":[],"usage":{"completion_tokens":13}}\n\n' + DONE),
]


def of_tape() -> StreamRecord:
    return record_of(interpret(play(TAPE)), "s1", url="http://test/")


def made(
    *token_ms: float,
    start_ms: float = 0,
    outcome: Outcome = Outcome.OK,
    tokens: int | None = None,
    lag_ns: int = 0,
    stamps: str = "kernel",
    closed_ms: float | None = None,
) -> StreamRecord:
    """A record with one read a token at these times."""
    at = [round(ms * MS) for ms in token_ms]
    closed = at[-1] if at else 0
    return StreamRecord(
        schema=SCHEMA,
        id="s", outcome=outcome, method="GET", url="u", start_ns=START_NS + round(start_ms * MS),
        reads=Reads(at, [lag_ns] * len(at), [1] * len(at)), token_reads=list(range(len(at))),
        output_tokens=tokens or len(at) or None, tokens_source="token events" if at else None,
        first_byte_ns=at[0] if at else None, end_ns=at[-1] if at else None, stamp_source=stamps if at else None,
        unstamped_reads=0 if stamps == "kernel" else len(at), events=len(at),
        closed_ns=closed if closed_ms is None else round(closed_ms * MS),
    )  # fmt: skip
