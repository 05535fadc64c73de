"""Examples for termination, errors, cancel, flush, liveness and security."""

import gzip
import zlib
from dataclasses import replace
from typing import Any

import brotli
import zstandard

from streamgauge.conformance.cases import Position, Release
from streamgauge.diagnosis.cancellation import Upstream
from streamgauge.protocol.outcome import Ends
from streamgauge.units import MS, SECOND
from streamgauge.wire import End
from tests.harness.conformance.tapes import START_NS, Examples, Tape, headers, ledger

examples = Examples()
add, bodies = examples.add, examples.bodies

TOKEN = b'data: {"token":"a","done":false}\n\n'
LAST = b'data: {"token":"","done":true}\n\n'
ERROR = b'event: error\ndata: {"message":"the model failed"}\n\n'
RAW = b"data: Hello\n\ndata:  world\n\n"
CHAT_ERROR = b'data: {"error":{"message":"x","type":"y","param":null,"code":null}}\n\n'
TEXT = b'data: {"object":"text_completion","choices":[{"index":0,"text":"Hi","finish_reason":null}]}\n\n'
CHAT = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
SEEN = ledger()

# termination

bodies(
    "termination.explicit-end",
    {"pass": [TOKEN + LAST], "fail": [TOKEN, TOKEN + ERROR, b""], "not-applicable": [RAW]},
)
add("termination.explicit-end", "fail", Tape(body=TOKEN, end=End.TIMEOUT, detail="no byte came for 30 s"))
add("termination.explicit-end", "fail", Tape(body=RAW, end=End.TIMEOUT, detail="no byte came for 30 s"))
# A marker that a shape was only guessed to have is not owed, until some stream of the endpoint shows it.
STRINGS = b'data: "a"\n\ndata: "b"\n\n'
BARE = b'data: {"token":"a"}\n\n'
bodies("termination.explicit-end", {"not-applicable": [STRINGS, BARE, b"event: token\n" + BARE]})
AGAIN = Tape(body=STRINGS, scenario="happy-2", dialect="json-string")  # it is told what the first was taken for
add("termination.explicit-end", "not-applicable", Tape(body=STRINGS), AGAIN)
add("termination.explicit-end", "fail", Tape(body=STRINGS, dialect="json-string"))
add("termination.explicit-end", "fail", Tape(body=BARE, dialect="token-done"))
add("termination.explicit-end", "fail", Tape(body=STRINGS), Tape(body=STRINGS + b"data: [DONE]\n\n", scenario="gzip"))
add("termination.explicit-end", "fail", Tape(body=CHAT))
add("termination.explicit-end", "not-applicable", Tape(body=CHAT), ends=Ends.CLOSE)
add("termination.explicit-end", "fail", Tape(body=CHAT, end=End.CLOSED), ends=Ends.CLOSE)
add("termination.explicit-end", "fail", Tape(body=b'{"error":{"message":"x"}}'), ends=Ends.CLOSE)
bodies(
    "termination.single-terminal",
    {
        "pass": [TOKEN + LAST, TOKEN + LAST + b": bye\n\n"],
        "fail": [TOKEN + LAST + LAST, TOKEN + LAST + TOKEN, TOKEN + ERROR + LAST],
        "not-applicable": [RAW, TOKEN],
    },
)
ENDED = ((10.0, TOKEN), (20.0, LAST))
add("termination.closes-after-terminal", "pass", Tape(timed=ENDED))
add("termination.closes-after-terminal", "warn", Tape(timed=ENDED, end_ms=2500))
add("termination.closes-after-terminal", "warn", Tape(timed=ENDED, end_ms=6000))
add("termination.closes-after-terminal", "warn", Tape(timed=ENDED, end_ms=900, end=End.TIMEOUT))
add("termination.closes-after-terminal", "not-applicable", Tape(body=RAW))
DIED = {"scenario": "mid-cut", "upstream": SEEN}
check = "termination.truncation-distinguishable"
add(check, "pass", Tape(body=TOKEN + ERROR, **DIED))  # type: ignore[arg-type]
add(check, "warn", Tape(body=TOKEN, end=End.CLOSED, **DIED))  # type: ignore[arg-type]
add(check, "fail", Tape(body=TOKEN, **DIED))  # type: ignore[arg-type]
add(check, "fail", Tape(body=TOKEN + LAST, **DIED))  # type: ignore[arg-type]
add(check, "inconclusive", Tape(body=TOKEN, scenario="mid-cut", upstream=None))
add(check, "fail", Tape(timed=((10.0, TOKEN),), end=End.TIMEOUT, end_ms=60_010, **DIED))  # type: ignore[arg-type]
ENDED_EARLY = {"scenario": "mid-end", "upstream": SEEN}
WHOLE = Tape(body=TOKEN + LAST)
add(check, "pass", WHOLE, Tape(body=TOKEN + ERROR, **ENDED_EARLY))  # type: ignore[arg-type]
add(check, "pass", WHOLE, Tape(body=TOKEN + b"data: {", **ENDED_EARLY))  # type: ignore[arg-type]
add(check, "fail", WHOLE, Tape(body=TOKEN + LAST, **ENDED_EARLY))  # type: ignore[arg-type]
add(check, "fail", Tape(body=RAW), Tape(body=RAW, **ENDED_EARLY))  # type: ignore[arg-type]
# A hop in front of an application's own shape that has no marker can't know; one in front of a vendor's API can.
for path, verdict in (("/stream", "not-applicable"), ("/v1/chat/completions", "fail")):
    early = Tape(body=RAW, scenario="mid-end", upstream=SEEN._replace(path=path))
    add(check, verdict, Tape(body=RAW), early)
add(check, "inconclusive", Tape(body=TOKEN))

# errors


def refusal(body: bytes, media: str = "application/json", *, status: int = 400, scenario: str = "bad-json") -> Tape:
    return Tape(scenario=scenario, status=status, body=body, headers=headers(content_type=media), upstream=SEEN)


add("errors.machine-readable", "pass", refusal(b'{"error":{"message":"x","type":"y"}}'))
add("errors.machine-readable", "pass", refusal(b'{"type":"about:blank","title":"x"}'), Tape(body=TOKEN + ERROR))
add("errors.machine-readable", "warn", refusal(b"bad request", "text/plain"))
add("errors.machine-readable", "warn", refusal(b"", "text/plain"))
add("errors.machine-readable", "warn", Tape(body=TOKEN + b"event: error\ndata: oops\n\n"))
add("errors.machine-readable", "warn", refusal(b"<html>", "text/html"))
add("errors.machine-readable", "inconclusive", Tape(body=TOKEN + LAST))
bodies(
    "errors.no-success-after-error",
    {
        "pass": [TOKEN + ERROR, CHAT + CHAT_ERROR],
        "warn": [CHAT + CHAT_ERROR + b"data: [DONE]\n\n", TEXT + CHAT_ERROR + b"data: [DONE]\n\n"],
        "fail": [TOKEN + ERROR + LAST],
        "inconclusive": [TOKEN + LAST],
    },
)
for check in ("errors.no-success-after-error", "errors.distinguishable-from-content"):
    silent = Tape(body=TOKEN, scenario="mid-error", upstream=SEEN)
    add(check, "not-applicable", silent, Tape(body=TOKEN + LAST))
    add(check, "inconclusive", Tape(body=TOKEN, scenario="mid-error"), Tape(body=TOKEN + LAST))
bodies(
    "errors.distinguishable-from-content",
    {
        "pass": [TOKEN + ERROR],
        "fail": [RAW + b"data: Error: the model failed\n\n", RAW + b"data: [ERROR] timeout\n\n"],
        "inconclusive": [TOKEN + LAST, RAW + b"data: Errors are human\n\n"],
    },
)
FAILED = {"scenario": "mid-error", "upstream": SEEN}
check = "errors.mid-stream-event"
add(check, "pass", Tape(body=TOKEN + ERROR, **FAILED))  # type: ignore[arg-type]
add(check, "warn", Tape(body=TOKEN, end=End.RESET, **FAILED))  # type: ignore[arg-type]
add(check, "warn", Tape(body=TOKEN + ERROR + TOKEN, **FAILED))  # type: ignore[arg-type]
add(check, "fail", Tape(body=TOKEN, **FAILED))  # type: ignore[arg-type]
add(check, "fail", Tape(timed=((10.0, TOKEN),), end=End.TIMEOUT, end_ms=60_010, **FAILED))  # type: ignore[arg-type]
add(check, "fail", Tape(body=TOKEN + LAST, **FAILED))  # type: ignore[arg-type]
add(check, "inconclusive", Tape(body=TOKEN + ERROR, scenario="mid-error", upstream=None))
PRE = {"scenario": "pre-error", "variant": "upstream status 500", "upstream": SEEN}
check = "errors.pre-stream-status"
add(check, "pass", refusal(b"{}", status=502, scenario="pre-error"))
add(check, "pass", refusal(b"{}", status=429, scenario="pre-error"))  # its Retry-After is for errors.rate-limit-kept
add(check, "pass", refusal(b"<p>", "text/html", status=500, scenario="pre-error"))  # for errors.machine-readable
add(check, "warn", Tape(body=ERROR, **PRE))  # type: ignore[arg-type]
add(check, "fail", Tape(body=b"", **PRE))  # type: ignore[arg-type]
add(check, "fail", Tape(body=LAST, **PRE))  # type: ignore[arg-type]

# cancel


def left(scenario: str, upstream: Upstream | None = None, end: End = End.CANCELLED) -> Tape:
    return Tape(scenario=scenario, body=TOKEN * 5, end=end, end_ms=100, upstream=upstream)


def seen_after(ms: int) -> Upstream:
    wrote = [START_NS + at * MS for at in range(100, 100 + min(ms, 6_000), 20)]  # 300 tokens take 6 s
    return ledger(end="disconnected", disconnect_ns=START_NS + (100 + ms) * MS, token_ns=wrote)


TO_THE_END = ledger(end="complete", token_ns=[START_NS + n * SECOND for n in range(9)])
for check, scenario, quick, slow in (
    ("cancel.upstream-aborted", "cancel-mid", 5, 11_000),
    ("cancel.before-first-token", "cancel-early", 900, 3_500),
):
    add(check, "pass", left(scenario, seen_after(quick)))
    add(check, "fail", left(scenario, seen_after(slow)))
    add(check, "fail", left(scenario, TO_THE_END))
    add(check, "fail", left(scenario, ledger(token_ns=[START_NS + SECOND])))
    add(check, "inconclusive", left(scenario))
    add(check, "inconclusive", left(scenario, ledger(end="complete", token_ns=[START_NS + 50 * MS])))
    add(check, "inconclusive", left(scenario, seen_after(5), end=End.COMPLETE))
    add(check, "inconclusive", Tape(body=TOKEN))
for check, scenario in (("cancel.upstream-aborted", "cancel-mid"), ("cancel.before-first-token", "cancel-early")):
    add(check, "warn", left(scenario, seen_after(2_000)))
    often = [left(scenario, seen_after(ms)) for ms in (5, 778, 900)]
    add(check, "pass", *often)
    add(check, "fail", *([left(scenario, TO_THE_END)] * 4), *often[:1])
    add(check, "inconclusive", *([left(scenario, TO_THE_END)] * 2), *often)

HEADLESS = left("cancel-headless", TO_THE_END)
check, noticed = "cancel.before-first-token", left("cancel-early", seen_after(5))
add(check, "fail", noticed, HEADLESS, HEADLESS, HEADLESS)
add(check, "fail", HEADLESS, HEADLESS, HEADLESS)
add(check, "pass", noticed, left("cancel-headless", seen_after(5)))
add(check, "pass", noticed, left("cancel-headless"))  # the mock has no late head in this dialect
add(check, "fail", left("cancel-early", TO_THE_END), left("cancel-headless", seen_after(5)))

# flush


def stepped(*steps: tuple[int, int, bool]) -> Tape:
    return Tape(scenario="lockstep", body=TOKEN, upstream=SEEN, steps=tuple(Release(*step) for step in steps))


IN_STEP = stepped((1, 1, False), (2, 2, False), (3, 3, False))
BEHIND = stepped((1, 0, True), (2, 1, True))
HELD = stepped((1, 0, True), (2, 0, True))
LOST = stepped((1, 1, False), (2, 2, False), (3, 2, True), (4, 3, True))  # the third token never comes
add("flush.no-one-behind", "pass", LOST)
add("flush.lockstep", "fail", LOST)
for check, one_behind, held in (("flush.lockstep", "fail", "fail"), ("flush.no-one-behind", "fail", "pass")):
    add(check, "pass", IN_STEP)
    add(check, one_behind, BEHIND)
    add(check, held, HELD)
    add(check, "inconclusive", Tape(body=TOKEN))
add("flush.lockstep", "inconclusive", Tape(scenario="lockstep", body=TOKEN, upstream=None))
add("flush.lockstep", "inconclusive", stepped())


def paced(count: int, gap_ms: float, first_ms: float = 20, **more: object) -> Tape:
    return Tape(timed=tuple((first_ms + gap_ms * n, TOKEN) for n in range(count)), **more)  # type: ignore[arg-type]


add("flush.incremental", "pass", paced(40, 30))
add("flush.incremental", "fail", paced(40, 0, first_ms=1300))
add("flush.incremental", "fail", Tape(timed=((20.0, TOKEN * 20), (1500.0, TOKEN * 20))))
add("flush.incremental", "info", paced(40, 20, first_ms=1000))
add("flush.incremental", "inconclusive", paced(40, 1))
add("flush.incremental", "inconclusive", paced(5, 500))
# A short answer, by lockstep and by a longer one.
add("flush.incremental", "pass", paced(40, 1), IN_STEP, position=Position.SANDWICH)
add("flush.incremental", "pass", paced(5, 500), BEHIND, position=Position.SANDWICH)
add("flush.incremental", "fail", paced(40, 1), HELD, position=Position.SANDWICH)
add("flush.incremental", "fail", paced(40, 0, first_ms=1300), IN_STEP, position=Position.SANDWICH)
add("flush.incremental", "pass", paced(5, 20), paced(300, 5, scenario="longer"))
add("flush.incremental", "pass", paced(40, 0, first_ms=1300), paced(300, 5, scenario="longer"))
add("flush.incremental", "fail", paced(40, 1), paced(300, 0, first_ms=1300, scenario="longer"))
add("flush.incremental", "inconclusive", paced(40, 1), paced(40, 1, scenario="longer"))
add("flush.burstiness", "info", paced(10, 30), position=Position.SANDWICH)
WRITTEN = ledger(token_ns=[START_NS + n * 40 * MS for n in range(31)])
AT_ONCE = ledger(token_ns=[START_NS + 1400 * MS] * 31)
BUNCHED = Tape(timed=((20.0, TOKEN), (1500.0, TOKEN * 30)), upstream=WRITTEN)
add("flush.burstiness", "warn", BUNCHED, position=Position.SANDWICH)
add("flush.burstiness", "info", replace(BUNCHED, upstream=AT_ONCE), position=Position.SANDWICH)  # the mock's own burst
add("flush.incremental", "fail", BUNCHED, position=Position.SANDWICH)
add("flush.incremental", "inconclusive", replace(BUNCHED, upstream=AT_ONCE), position=Position.SANDWICH)
add("flush.burstiness", "info", Tape(timed=((20.0, TOKEN), (1500.0, TOKEN * 30))))
add("flush.burstiness", "inconclusive", paced(1, 30))


GZIPPED = headers(content_encoding="gzip")


def zipped(count: int, *, flush: bool = False, every: int = 1) -> Tape:
    """The same stream through a compressor that is flushed after each event, after some, or only at the end."""
    compressor = zlib.compressobj(wbits=31)
    timed = []
    for n in range(count):
        data = compressor.compress(TOKEN) + (compressor.flush(zlib.Z_SYNC_FLUSH) if flush and n % every == 0 else b"")
        timed.append((20.0 + 30 * n, data))
    timed.append((20.0 + 30 * count, compressor.flush()))
    return Tape(scenario="gzip", timed=tuple(pair for pair in timed if pair[1]), headers=GZIPPED, offers_gzip=True)


add("flush.compression-flushes", "pass", paced(10, 30), zipped(10, flush=True))
# Held, yet not in a fifth of the arrivals: only lockstep can tell.
add("flush.compression-flushes", "inconclusive", paced(40, 30), zipped(40, flush=True, every=2))
CODED = {
    "gzip": gzip.compress(TOKEN), "br": brotli.compress(TOKEN), "zstd": zstandard.ZstdCompressor().compress(TOKEN),
}  # fmt: skip


def coded(coding: str, *steps: tuple[int, int, bool]) -> Tape:
    fields = headers(content_encoding=coding)
    return replace(stepped(*steps), scenario="compressed", variant=coding, headers=fields, body=CODED[coding])


IN_STEP_CODED = coded("gzip", (1, 1, False), (2, 2, False))
for coding in ("gzip", "br", "zstd"):
    held_there = coded(coding, (1, 0, True), (2, 0, True))
    add("flush.compression-flushes", "fail", IN_STEP, IN_STEP_CODED, held_there, position=Position.SANDWICH)
    add("flush.compression-flushes", "inconclusive", HELD, held_there, position=Position.SANDWICH)
BEHIND_CODED = coded("br", (1, 0, True), (2, 1, True))
add("flush.compression-flushes", "fail", IN_STEP, BEHIND_CODED, position=Position.SANDWICH)
add("flush.compression-flushes", "pass", IN_STEP, IN_STEP_CODED, position=Position.SANDWICH)
UNCODED = replace(IN_STEP_CODED, headers=headers(), body=TOKEN)
add("flush.compression-flushes", "not-applicable", IN_STEP, UNCODED, position=Position.SANDWICH)
SAME = replace(UNCODED, headers=headers(content_encoding="identity"))
add("flush.compression-flushes", "not-applicable", IN_STEP, SAME, position=Position.SANDWICH)
add("flush.compression-flushes", "fail", paced(10, 30), zipped(10, flush=False))
add("flush.compression-flushes", "inconclusive", paced(1, 30), zipped(10, flush=False))
add("flush.compression-flushes", "not-applicable", paced(10, 30), Tape(scenario="gzip", body=TOKEN))

# upstream-forms


def form(name: str, text: str = "ab", *steps: tuple[int, int, bool], **more: Any) -> Tape:
    """A stream of one form, of which the mock sent `ab`."""
    body = b"".join(b'data: {"token":"%b","done":false}\n\n' % letter.encode() for letter in text)
    tape = Tape(scenario="forms", variant=name, body=body + LAST, said="ab", upstream=SEEN)
    return replace(tape, steps=tuple(Release(*step) for step in steps), **more)


STEPS = ((1, 1, False), (2, 2, False))
IN_LF, IN_CRLF, IN_CR = (form(name, "ab", *STEPS) for name in ("LF", "CRLF", "CR alone"))
LATE_CRLF, LATE_CR = (form(name, "ab", (1, 0, True)) for name in ("CRLF", "CR alone"))
LOST_CRLF, LOST_CR = (form(name, "a", (1, 0, True)) for name in ("CRLF", "CR alone"))
REFUSED = form("CRLF", "", status=502, headers=headers(content_type="application/json"))
TORN = form("CRLF", "a\ufffd", *STEPS)
UNASKED = form("CRLF", "", upstream=None)
COMMENT_AS_DATA = replace(form("CRLF"), body=b"data: : ka\n\n" + form("CRLF").body)
for check, late, lost in (("flush.upstream-forms", "fail", "pass"), ("text.upstream-forms", "pass", "fail")):
    facts = {"position": Position.SANDWICH}
    add(check, "pass", IN_LF, IN_CRLF, IN_CR, **facts)
    add(check, late, IN_LF, LATE_CRLF, IN_CR, **facts)
    add(check, "warn" if late == "fail" else late, IN_LF, IN_CRLF, LATE_CR, **facts)
    add(check, lost, IN_LF, LOST_CRLF, IN_CR, **facts)
    add(check, "warn" if lost == "fail" else lost, IN_LF, IN_CRLF, LOST_CR, **facts)
    add(check, lost, IN_LF, REFUSED, **facts)
    add(check, lost, IN_LF, COMMENT_AS_DATA, **facts, dialect="token-done")
    add(check, "pass", IN_LF, TORN, **facts)  # for text.utf8-valid
    add(check, "pass", IN_LF, UNASKED, **facts)  # a form that the upstream's dialect cannot have
    add(check, "inconclusive", form("LF", upstream=None), **facts)
add("flush.upstream-forms", "inconclusive", form("LF", "ab", (1, 0, True)), LATE_CRLF, position=Position.SANDWICH)
add("text.upstream-forms", "inconclusive", form("LF", "a", *STEPS), LOST_CRLF, position=Position.SANDWICH)

# liveness

bodies(
    "liveness.heartbeat-is-comment",
    {
        "pass": [b": ka\n\n" + TOKEN, b'event: token\ndata: {"token":"a"}\n\nevent: ping\ndata: {}\n\n'],
        "warn": [TOKEN + b"data: \n\n" + TOKEN],
        "not-applicable": [TOKEN, RAW + b"data: \n\n" + RAW, b"data:\n\n" + RAW],
    },
)
add("liveness.heartbeat-is-comment", "warn", Tape(timed=((10, RAW), (15_010, b"data:\n\n"), (15_500, RAW))))
bodies(
    "liveness.heartbeat-shape-safe",
    {
        "pass": [b": ka\n\n" + TOKEN, b"id: 1\n: ka\n" + TOKEN],
        "warn": [b"id: 1\n" + TOKEN + b": ka\n\n" + TOKEN, b": ka\n\n" * 301 + TOKEN],
        "not-applicable": [TOKEN],
    },
)

# security

KEY = b"sk-canary-5f3a9c1e7b2d4860"
add("security.no-secret-leak", "pass", Tape(body=TOKEN + b'data: {"token":"write sk-... here","done":true}\n\n'))
add("security.no-secret-leak", "fail", Tape(body=TOKEN + b'event: error\ndata: {"message":"bad key ' + KEY + b'"}\n\n'))
add("security.no-secret-leak", "fail", Tape(body=b"data: sk-canary-5f3\n\ndata: a9c1e7b2d4860\n\n"))
add("security.no-secret-leak", "fail", refusal(b'{"error":"postgres://app:hunter2@db.internal/x"}'))
add("security.no-secret-leak", "fail", Tape(body=TOKEN, headers=headers(x_debug="Bearer abcdefghijklmnop0123")))
add("security.no-stack-trace", "pass", refusal(b'{"title":"bad request"}'))
for trace in (
    b'{"detail":"System.InvalidOperationException: x\\n   at App.Chat.Run(String s)"}',
    b"Traceback (most recent call last):\n",
    b'{"detail":"/src/Relay/ChatService.cs:line 42"}',
    b"at com.acme.Chat.run(Chat.java:17)",
):
    add("security.no-stack-trace", "fail", refusal(trace))
add("security.prompt-not-in-url", "pass", Tape(body=TOKEN, prompt="hello there"))
add("security.prompt-not-in-url", "warn", Tape(body=TOKEN, prompt="hello there", url="http://x/?message=hello%20there"))
add(
    "security.prompt-not-in-url", "inconclusive",
    Tape(body=TOKEN, prompt="hello", url="http://x/?message=hello"), place_guessed=True,
)  # fmt: skip
add("security.prompt-not-in-url", "warn", Tape(body=TOKEN, prompt="hello", url="http://x/?api_key=***"))
EVIL = "https://evil.example"


def cors(origin: str | None, credentials: str | None = None) -> Tape:
    told = headers(access_control_allow_origin=origin, access_control_allow_credentials=credentials)
    return Tape(scenario="cors", body=TOKEN, origin=EVIL, headers=told)


check = "security.cors-no-wildcard-credentials"
add(check, "pass", cors("https://mine.example", "true"))
add(check, "fail", cors(EVIL, "true"))
add(check, "fail", cors("*", "true"))
add(check, "info", cors("*"))
add(check, "not-applicable", cors(None))
FORGING = {"scenario": "injection", "said": " x\n\ndata: [DONE]\n\n", "upstream": SEEN}
SAFE = b'data: {"token":" x\\n\\ndata: [DONE]\\n\\n","done":false}\n\n'
add("security.sse-injection", "pass", Tape(body=SAFE, **FORGING))  # type: ignore[arg-type]
add("security.sse-injection", "pass", Tape(body=b"data:  x\ndata: \ndata: data: [DONE]\ndata: \ndata: \n\n", **FORGING))  # type: ignore[arg-type]
add("security.sse-injection", "fail", Tape(body=b"data:  x\n\ndata: [DONE]\n\n\n", **FORGING))  # type: ignore[arg-type]
add("security.sse-injection", "fail", Tape(body=SAFE + b"id: 7\nretry: 1\n\n", **FORGING))  # type: ignore[arg-type]
# A line break that JSON text has lost is no structure.
add("security.sse-injection", "pass", Tape(body=SAFE.replace(rb"x\n\n", b"x"), **FORGING))  # type: ignore[arg-type]
SHORT = Tape(body=b'data: {"token":" x","done":false}\n\n', **FORGING)  # type: ignore[arg-type]
add("security.sse-injection", "fail", SHORT)
OTHERS_WORDS = Tape(body=b'data: {"token":"other","done":false}\n\n', scenario="unicode", said="words", upstream=SEEN)
add("security.sse-injection", "inconclusive", SHORT, OTHERS_WORDS)
FORGED = Tape(body=SAFE + b"id: 7\nretry: 1\n\n", **FORGING)  # type: ignore[arg-type]
add("security.sse-injection", "fail", FORGED, OTHERS_WORDS)
add("security.sse-injection", "inconclusive", Tape(body=SAFE, scenario="injection", said="x", upstream=None))
