"""A secret in pieces that are too short to be found by themselves is masked piece by piece, and nothing else is."""

import json
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streamgauge.protocol.scattered import hidden_texts, scattered_bytes
from streamgauge.secrets import forget, hidden_piece, learn
from streamgauge.spellings import Span

Way = Callable[[Sequence[str]], bytes]


def _event(payload: Any, *, ascii_only: bool = True) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=ascii_only).encode() + b"\n\n"


def _choice(text: str, index: int = 0) -> dict[str, Any]:
    return {"id": "c1", "choices": [{"delta": {"content": text}, "index": index}]}


def _alternating(pieces: Sequence[str]) -> bytes:
    others = zip(pieces, cycle(["The ", "sky", " is", " blue"]), strict=False)
    return b"".join(_event(_choice(piece)) + _event(_choice(other, 1)) for piece, other in others)


def _both_in_one(pieces: Sequence[str]) -> bytes:
    return b"".join(_event({"choices": [*_choice("x", 1)["choices"], *_choice(p)["choices"]]}) for p in pieces)


def _tool(piece: str) -> dict[str, Any]:
    call = {"index": 0, "function": {"arguments": piece}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


WAYS: dict[str, Way] = {
    "content": lambda pieces: b"".join(_event(_choice(piece)) for piece in pieces),
    "content as UTF-8": lambda pieces: b"".join(_event(_choice(piece), ascii_only=False) for piece in pieces),
    "two choices": _alternating,
    "two choices in one event": _both_in_one,
    "tool arguments": lambda pieces: b"".join(_event(_tool(piece)) for piece in pieces),
    "an unknown member": lambda pieces: b"".join(_event({"a": {"b": [1, {"c": piece}]}}) for piece in pieces),
    "strings": lambda pieces: b"".join(_event(piece) for piece in pieces),
    "items of a list": lambda pieces: _event({"parts": list(pieces), "n": 1}),
    "members of an object": lambda pieces: _event({str(at): piece for at, piece in enumerate(pieces)}),
    "data lines of one event": lambda pieces: b"".join(b"data: " + piece.encode() + b"\n" for piece in pieces),
    "data lines of many": lambda pieces: b"".join(b"data:" + piece.encode() + b"\r\n\r\n" for piece in pieces),
    "comments": lambda pieces: b"".join(b": " + p.encode() + b"\n\n" + _event(_choice("x")) for p in pieces),
    "ids": lambda pieces: b"".join(b"id: " + p.encode() + b"\n" + _event(_choice("x")) for p in pieces),
    "lines": lambda pieces: b"".join(piece.encode() + b"\n" for piece in pieces),
    "NDJSON": lambda pieces: b"".join(json.dumps({"text": piece}).encode() + b"\n" for piece in pieces),
    "an array that grows": lambda pieces: b"[" + b",".join(json.dumps({"t": p}).encode() for p in pieces) + b"]",
    "pretty JSON": lambda pieces: json.dumps([{"t": piece} for piece in pieces], indent=1).encode(),
}  # fmt: skip

KEYS = (
    st.permutations('abcXYZ0123456789-_/+=."\\é€😀')
    .map("".join)
    .flatmap(lambda text: st.integers(12, len(text)).map(lambda size: text[:size]))
)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=20)
@given(data=st.data(), key=KEYS)
def test_each_piece_is_masked_and_nothing_else(way: str, data: st.DataObject, key: str) -> None:
    if way == "strings":  # as lines too they are joined, and then the quotation marks around them are part of the key
        key = key.replace('"', "'")
    pieces = []
    at = 0
    while at < len(key):
        size = data.draw(st.integers(1, 7))
        pieces.append(key[at : at + size])
        at += size
    assume(len(pieces) > 1 and not any(piece.startswith(":") for piece in pieces))

    assert _masked(key, WAYS[way](pieces)) == WAYS[way](["***"] * len(pieces))


def test_a_piece_is_masked_only_where_it_is_part_of_the_secret() -> None:
    pieces = ["The key is sk-", "abc", "def0", "123 and", " abc", " stays"]

    masked = _masked("sk-abcdef0123", WAYS["content"](pieces))

    assert masked == WAYS["content"](["The key is ***", "***", "***", "*** and", " abc", " stays"])


def test_the_texts_of_tokens_are_masked_where_a_secret_runs_over_them() -> None:
    forget()
    learn(["sk-abcdef0123"])

    assert hidden_texts(["Hi sk-a", "bcdef", "0123!", "sk-"]) == ["Hi ***", "***", "***!", "sk-"]


@pytest.mark.parametrize("unit", [b'["', b'{"a":', b"\n\n", b": \n", b'"\\u0041"', b"data: [1]\n\n", b"}", b"%41\\\\"])
def test_a_hostile_body_costs_in_proportion_to_what_is_shown(unit: bytes) -> None:
    forget()
    learn(["sk-abcdef0123"])
    body = unit * (4_000_000 // len(unit))
    began = time.process_time()

    scattered_bytes(body, [Span(0, 240), Span(2_000_000, 2_000_240)])

    assert time.process_time() - began < 2


def _masked(key: str, body: bytes) -> bytes:
    forget()
    learn([key])
    whole = Span(0, len(body))
    return hidden_piece(body, 0, whole.end, scattered_bytes(body, [whole]))
