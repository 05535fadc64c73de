"""Bodies for the client tests: random ones made of what decoders trip over, and how to cut them."""

import copy
import json
import random
from collections.abc import Iterator
from itertools import pairwise

from tests.builders.vendor_streams import CALLS, CHAT, STREAMS, mutate, unnamed_events

BOM = b"\xef\xbb\xbf"
_PARTS = (
    *(b"data: ", b"data:", b"data", b"data: ", b"event: x", b"event:", b"event: error", b"event: thread.x", b"id: 1"),
    *(b"retry: 5", b": c", b":", b"\n", b"\n", b"\n\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b"\r\r", BOM, b" ", b"x"),
    *(b'{"a":1}', b'{"a":1}', b'"s"', b"null", b"NaN", b"[DONE]", b"[DONE] ", b'{"done":true}', b'{"done":0}'),
    *(b'{"error":{"message":"m"}}', b'{"error":null}', b"\xff", b"\xe2\x82", "é".encode(), "\u2028".encode(), b"\0"),
    *(b'data: {"a":1}\n\n', b'data: {"a":2}\n\n', b"data: [DONE]\n\n", b"event: ping\n\n", b"data:\n\n", b": ping\n\n"),
)


def random_bodies(count: int, seed: int = 7) -> Iterator[tuple[bytes, list[bytes]]]:
    """Bodies, and each in pieces; the same ones every time."""
    chance = random.Random(seed)
    for _ in range(count):
        body = b"".join(chance.choices(_PARTS, k=chance.randint(1, 14)))
        points = sorted(chance.sample(range(1, len(body) + 1), k=min(len(body), chance.randint(0, 6))))
        bounds = [0, *points, len(body)]
        pieces = [body[a:b] for a, b in pairwise(bounds) if a < b]
        yield body, chance.choice((pieces, [body], [body[n : n + 1] for n in range(len(body))]))


def changed_streams(dialect: str, count: int, seed: int = 7) -> Iterator[bytes]:
    """Streams of the dialect with up to two members changed or left out, or a payload twice, left out, or moved."""
    chance = random.Random(seed)
    for _ in range(count):
        source = chance.choice((CHAT, CALLS)) if dialect == "openai-chat" else STREAMS[dialect]
        payloads = copy.deepcopy(list(source))
        for _ in range(chance.randint(0, 2)):
            mutate(chance.choice(payloads), chance)
        if chance.random() < 0.3:
            moved = payloads.pop(chance.randrange(len(payloads)))
            for _ in range(chance.choice((0, 1, 1, 2))):
                payloads.insert(chance.randint(0, len(payloads)), moved)
        if dialect == "openai-chat":
            yield unnamed_events(payloads, done=True)
        else:
            yield b"".join(f"event: {one.get('type', 'x')}\ndata: {json.dumps(one)}\n\n".encode() for one in payloads)
