"""Bodies that tell clients apart, and what becomes of them in each: the expectations of test_matrix.

Where a client is not named, it reads everything. A number is the byte that is to blame. What the real clients do was
seen by running them: the Python ones here, the npm ones and .NET's in test_oracles, the Go ones by hand.
"""

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from streamgauge.conformance.clients.running import Ending
from streamgauge.conformance.matrix import ClientVerdict
from tests.builders.vendor_streams import UI_MESSAGE, unnamed_events

READS, ADDS, LOSES, RAISES, HANGS = (
    ClientVerdict.READS,
    ClientVerdict.ADDS,
    ClientVerdict.LOSES,
    ClientVerdict.RAISES,
    ClientVerdict.HANGS,
)
NDJSON = "application/x-ndjson"
BOM = b"\xef\xbb\xbf"
OPENAI = ("openai-python raw", "openai-node raw", "openai-go", "go-openai")
PAGES = ("EventSource", "EventSource.onmessage")
PARSERS = (*PAGES, "eventsource-parser", "fetch-event-source", "httpx-sse", "System.Net.ServerSentEvents")
LINES, SPLIT = "httpx iter_lines", 'fetch split("\\n\\n")'

Expected = dict[str, tuple[ClientVerdict, int]]


@dataclass
class Body:
    """A body of one dialect, and the clients that do not read it with their verdict and byte."""

    dialect: str
    body: bytes
    breaks: Expected = field(default_factory=dict)
    ending: Ending = Ending.EOF
    media_type: str | None = "text/event-stream"


def data(*payloads: Any, end: bytes = b"\n\n") -> bytes:
    return b"".join(b"data: " + (p if isinstance(p, bytes) else json.dumps(p).encode()) + end for p in payloads)


def chunk(text: str | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


def text_chunk(text: Any, finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    return {"id": "c1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}


DONE = data(b"[DONE]")
CHUNKS = (chunk(""), chunk("Hel"), chunk("lo"), chunk(None, "stop"))
CHAT = data(*CHUNKS) + DONE
AT_DONE = CHAT.index(b"data: [DONE]")
SECOND, THIRD, LAST = (len(data(*CHUNKS[:count])) for count in (1, 2, 3))


def before_done(block: bytes) -> bytes:
    return CHAT[:AT_DONE] + block + DONE


def all_of(names: tuple[str, ...], verdict: ClientVerdict, at: int) -> Expected:
    return dict.fromkeys(names, (verdict, at))


def chat(body: bytes, breaks: Expected | None = None, **more: Any) -> Body:
    """A Chat Completions body. The tutorial's loop parses [DONE] as JSON, so it never gets past that."""
    at = body.find(b"data: [DONE]")
    return Body("openai-chat", body, ({SPLIT: (RAISES, at)} if at >= 0 else {}) | (breaks or {}), **more)


def text(body: bytes, breaks: Expected | None = None) -> Body:
    """A body of the older Completions."""
    return replace(chat(body, breaks), dialect="openai-completions")


TEXTS = data(text_chunk("Hel"), text_chunk("lo"), text_chunk("", "stop")) + DONE
ANTHROPIC = b"".join(
    f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode()
    for one in (
        {"type": "message_start", "message": {"id": "m1", "role": "assistant", "content": [], "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    )
)
GEMINI = data(
    {"candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}, "index": 0}]},
    {"candidates": [{"content": {"parts": [{"text": "!"}]}, "finishReason": "STOP", "index": 0}]},
)
OLLAMA = b"".join(
    json.dumps(one).encode() + b"\n"
    for one in (
        {"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": "!"}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
    )
)

UI = unnamed_events(UI_MESSAGE, done=True)
UNNAMED_ONLY = {"EventSource.onmessage": (LOSES, 0)}
"""A page that only sets onmessage gets none of the named events."""
RETYPED = "System.Net.ServerSentEvents"
"""It keeps the event type of a block without data for the next one."""
PINGED = {**all_of(("fetch-event-source", "httpx-sse"), ADDS, AT_DONE), "openai-python raw": (RAISES, AT_DONE)}

BODIES = {
    "clean": chat(CHAT),
    "CRLF": chat(CHAT.replace(b"\n", b"\r\n"), {SPLIT: (LOSES, 0)}),
    "CR": chat(
        CHAT.replace(b"\n", b"\r"),
        {**all_of(("openai-go", "go-openai", SPLIT), LOSES, 0), "eventsource-parser": (LOSES, AT_DONE)},
    ),
    "BOM": chat(BOM + CHAT, all_of(("openai-python raw", "openai-go", "go-openai", "httpx-sse", LINES), LOSES, 0)),
    "no space after the colon": chat(CHAT.replace(b"data: ", b"data:"), all_of((LINES, SPLIT), LOSES, 0)),
    "a comment first": chat(b": ping\n\n" + CHAT, {"fetch-event-source": (ADDS, 0)}),
    "a comment in a block": chat(b": ping\n" + CHAT),
    "a comment after an id": chat(
        b"id: 1\n" + before_done(b": ping\n\n"),
        {name: (verdict, at + len(b"id: 1\n")) for name, (verdict, at) in PINGED.items()},
    ),
    "retry alone": chat(
        b"retry: 3000\n\n" + CHAT,
        {**all_of(("fetch-event-source", "httpx-sse"), ADDS, 0), "openai-python raw": (RAISES, 0)},
    ),
    "an event without data": chat(
        before_done(b"event: ping\n\n"),
        {**PINGED, "openai-node raw": (RAISES, AT_DONE), RETYPED: (LOSES, AT_DONE + len(b"event: ping\n\n"))},
    ),
    "empty data": chat(before_done(b"data:\n\n"), all_of(OPENAI, RAISES, AT_DONE)),
    "data of several lines": chat(
        CHAT.replace(b'{"id"', b'{\ndata: "id"', 1), all_of(("go-openai", LINES, SPLIT), RAISES, 0)
    ),
    "two payloads in one event": chat(
        CHAT.replace(b"\n\n", b"\n", 1),
        {
            **all_of(("openai-python raw", "openai-node raw", "openai-go", SPLIT), RAISES, 0),
            **all_of(("go-openai", LINES), LOSES, SECOND - 2),
        },
    ),
    "data: data:": chat(CHAT.replace(b"data: {", b"data: data: {", 1), all_of((*OPENAI, LINES, SPLIT), RAISES, 0)),
    "raw text": chat(before_done(b"data: oops\n\n"), all_of((*OPENAI, LINES, SPLIT), RAISES, AT_DONE)),
    "[DONE] without its blank line": chat(CHAT[:-1], {**all_of(PARSERS, LOSES, AT_DONE), SPLIT: (READS, 0)}),
    "[DONE] without a line end": chat(CHAT[:-2], {**all_of(PARSERS, LOSES, AT_DONE), SPLIT: (READS, 0)}),
    "[DONE] and a space": chat(CHAT[:-2] + b" \n\n", all_of(("openai-node raw", LINES), RAISES, AT_DONE)),
    "no [DONE]": chat(CHAT[:AT_DONE]),
    "the last event without its blank line": chat(
        CHAT[: AT_DONE - 1], all_of(("openai-python raw", "openai-go", *PARSERS, SPLIT), LOSES, LAST)
    ),
    "cut in mid-event": chat(
        CHAT[: THIRD + 20],
        {
            **all_of(("openai-python raw", "openai-go", "go-openai", *PARSERS, SPLIT), LOSES, THIRD),
            "openai-node raw": (RAISES, THIRD),
            LINES: (RAISES, THIRD + 20),
        },
    ),
    "text after [DONE]": chat(CHAT + data(chunk("late")), all_of((*OPENAI, LINES), LOSES, len(CHAT))),
    "an error": chat(data(chunk("Hi"), {"error": {"message": "boom", "type": "server_error"}}) + DONE),
    "an error after a comment": chat(
        b": hi\n\n" + data(chunk("Hi")) + b'data: {"error":{"message":"boom"}}\n\n',
        {"fetch-event-source": (ADDS, 0), "go-openai": (RAISES, len(b": hi\n\n" + data(chunk("Hi"))))},
    ),
    "an error beside choices": chat(
        data(chunk("Hi"), {"choices": [], "error": {"message": "boom"}}), {"go-openai": (LOSES, len(data(chunk("Hi"))))}
    ),
    "error: null": chat(data(chunk("Hi", error=None), chunk(None, "stop")) + DONE, {"openai-go": (RAISES, 0)}),
    "an error: field": chat(
        data(chunk("Hi")) + b'error: {"message":"boom"}\n\n', {"fetch-event-source": (ADDS, len(data(chunk("Hi"))))}
    ),
    "U+2028": chat(
        CHAT.replace(b"Hel", b"H\xe2\x80\xa8l"), {LINES: (RAISES, CHAT.index(b"Hel") + 1)}
    ),
    "no UTF-8": chat(CHAT.replace(b"Hel", b"H\xffl"), {"openai-python raw": (RAISES, CHAT.index(b"Hel") + 1)}),
    "content as a list": chat(data(chunk(["x"]), chunk(None, "stop")) + DONE, {"go-openai": (RAISES, 0)}),
    "301 comments": chat(b":\n" * 301 + CHAT, {"go-openai": (RAISES, 600)}),
    "a line of 100 kB": chat(CHAT.replace(b"Hel", b"H" * 100_000)),
    "left open after [DONE]": chat(CHAT, ending=Ending.NOTHING),
    "left open": chat(
        CHAT[:AT_DONE], all_of((*OPENAI, *PARSERS, LINES, SPLIT), HANGS, AT_DONE), ending=Ending.NOTHING
    ),
    "broken off": chat(
        CHAT[:AT_DONE], all_of((*OPENAI, *PARSERS, LINES, SPLIT), RAISES, AT_DONE), ending=Ending.BROKEN
    ),
    "broken off after [DONE]": chat(CHAT, all_of(PARSERS, RAISES, len(CHAT)), ending=Ending.BROKEN),
    "a wrong Content-Type": chat(
        CHAT, all_of((*PAGES, "fetch-event-source", "httpx-sse"), RAISES, 0), media_type="application/json"
    ),
    "Completions": text(TEXTS),
    "Completions, BOM": text(
        BOM + TEXTS, all_of(("openai-python raw", "openai-go", "go-openai", "httpx-sse", LINES), LOSES, 0)
    ),
    "Completions, the text as a list": text(
        data(text_chunk(["x"]), text_chunk("", "stop")) + DONE, {"go-openai": (RAISES, 0)}
    ),
    "Anthropic": Body("anthropic", ANTHROPIC, UNNAMED_ONLY | {SPLIT: (LOSES, 0)}),
    "Anthropic, left open after message_stop": Body(
        "anthropic",
        ANTHROPIC,
        UNNAMED_ONLY | all_of(("anthropic-python raw", "anthropic-node raw", LINES, SPLIT), HANGS, len(ANTHROPIC)),
        ending=Ending.NOTHING,
    ),
    "Anthropic, CRLF": Body("anthropic", ANTHROPIC.replace(b"\n", b"\r\n"), UNNAMED_ONLY | {SPLIT: (LOSES, 0)}),
    "Anthropic, BOM": Body(
        "anthropic",
        BOM + ANTHROPIC,
        all_of(("anthropic-python raw", "httpx-sse", "EventSource.onmessage", SPLIT), LOSES, 0),
    ),
    "Anthropic without event names": Body(
        "anthropic",
        re.sub(rb"event: .*\n", b"", ANTHROPIC),
        all_of(("anthropic-python raw", "anthropic-node raw"), LOSES, 0),
    ),
    "Anthropic, an error": Body(
        "anthropic",
        ANTHROPIC[: ANTHROPIC.index(b"event: message_delta")]
        + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        UNNAMED_ONLY | {SPLIT: (LOSES, 0)},
    ),
    "Gemini": Body("gemini", GEMINI),
    "Gemini, CRLF": Body("gemini", GEMINI.replace(b"\n", b"\r\n"), {SPLIT: (LOSES, 0)}),
    "Gemini, a comment": Body(
        "gemini", b": ping\n\n" + GEMINI, {"genai-python raw": (RAISES, 0), "fetch-event-source": (ADDS, 0)}
    ),
    "Gemini, no space": Body(
        "gemini",
        GEMINI.replace(b"data: ", b"data:"),
        {"genai-python raw": (RAISES, 0), **all_of((LINES, SPLIT), LOSES, 0)},
    ),
    "Gemini, an error": Body(
        "gemini",
        GEMINI[: GEMINI.index(b"data: ", 5)] + data({"error": {"code": 503, "message": "no", "status": "UNAVAILABLE"}}),
    ),
    "Ollama": Body("ollama", OLLAMA, media_type=NDJSON),
    "Ollama, a blank line": Body(
        "ollama",
        OLLAMA.replace(b"\n", b"\n\n", 1),
        {"ollama-python raw": (RAISES, OLLAMA.index(b"\n") + 1)},
        media_type=NDJSON,
    ),
    "Ollama, U+2028": Body(
        "ollama",
        OLLAMA.replace(b"Hi", b"H\xe2\x80\xa8i"),
        {"ollama-python raw": (RAISES, OLLAMA.index(b"Hi") + 1)},
        media_type=NDJSON,
    ),
    "Ollama, an error": Body(
        "ollama", OLLAMA[: OLLAMA.index(b"\n") + 1] + b'{"error":"boom"}\n', media_type=NDJSON
    ),
    "AI SDK": Body("ai-sdk-ui", UI, {SPLIT: (RAISES, UI.index(b"data: [DONE]"))}),
    "AI SDK, a text that has not started": Body(
        "ai-sdk-ui",
        UI.replace(b'"text-start"', b'"data-start"'),
        {SPLIT: (RAISES, UI.replace(b'"text-start"', b'"data-start"').index(b"data: [DONE]"))},
    ),
    "JSON strings": Body("json-string", data("Hel", "lo\n") + DONE, {SPLIT: (RAISES, len(data("Hel", "lo\n")))}),
    "token and done": Body("token-done", data({"token": "Hel", "done": False}, {"token": "", "done": True})),
    "raw text, one line": Body("raw-text", b"data: Token 1\n\ndata: Token 2\n\n"),
    "named text of two lines": Body(
        "event-text",
        b"event: token\ndata: Hel\n\nevent: token\ndata: line one\ndata: line two\n\n",
        UNNAMED_ONLY | {LINES: (LOSES, 51)},
    ),
    "named JSON with a heartbeat": Body(
        "event-json",
        b'event: token\ndata: {"token":"Hel"}\n\n: \n\nevent: done\ndata: {}\n\n',
        UNNAMED_ONLY | {SPLIT: (LOSES, 0), "fetch-event-source": (ADDS, 36)},
    ),
}  # fmt: skip
