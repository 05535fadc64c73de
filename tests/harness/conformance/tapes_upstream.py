"""Examples for errors of the upstream: length, filter, retries, silence, and errors that break their event."""

from typing import Any

from harness.cancellation import Upstream
from harness.units import MS
from harness.wire import End
from tests.harness.conformance.tapes import START_NS, Examples, Tape, headers, ledger

examples = Examples()
add = examples.add

TOKEN = b'data: {"token":"a","done":false}\n\n'
LAST = b'data: {"token":"","done":true}\n\n'
ERROR = b'event: error\ndata: {"message":"the upstream model failed"}\n\n'
CHAT = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
STOP = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"%b"}]}\n\n'
DONE = b"data: [DONE]\n\n"
RAW = b"data: Hello\n\n"
SEEN = ledger()
JSON_HEADERS = headers(content_type="application/json")


def asked(scenario: str, body: bytes = b"", **more: Any) -> Tape:
    return Tape(**{"scenario": scenario, "body": body, "upstream": SEEN, **more})


def refused(scenario: str, status: int, **more: Any) -> Tape:
    return asked(scenario, b'{"error":{"message":"no"}}', status=status, headers=JSON_HEADERS, **more)


def tries(*gaps_ms: int) -> Upstream:
    """One request, and one after each gap."""
    at = [START_NS]
    for gap in gaps_ms:
        at.append(at[-1] + gap * MS)
    return SEEN._replace(requests=len(at), arrivals_ns=tuple(at))


HAPPY = Tape(body=CHAT + STOP % b"stop" + DONE)

check = "errors.context-length"
add(check, "pass", refused("too-long", 400))
add(check, "pass", asked("length", CHAT + STOP % b"length" + DONE))
add(check, "pass", asked("length", TOKEN + ERROR))
add(check, "warn", refused("too-long", 500))
add(check, "warn", asked("too-long", ERROR))
add(check, "warn", asked("length", CHAT + STOP % b"stop" + DONE))
add(check, "warn", asked("length", TOKEN + LAST))
add(check, "warn", asked("length", CHAT + STOP % b"stop" + DONE), HAPPY, endpoint_is_mock=True)
add(check, "inconclusive", refused("too-long", 400, upstream=None))
add(check, "inconclusive", asked("length", TOKEN + LAST), endpoint_is_mock=True)
add(check, "inconclusive", HAPPY)

check = "errors.content-filter"
add(check, "pass", asked("filtered", CHAT + STOP % b"content_filter" + DONE))
add(check, "pass", asked("filtered", TOKEN + ERROR))
add(check, "pass", refused("filtered", 400))
add(check, "warn", asked("filtered", CHAT + STOP % b"content_filter" + CHAT + DONE))
add(check, "warn", asked("filtered", TOKEN + ERROR + TOKEN))
add(check, "warn", asked("filtered", CHAT + STOP % b"stop" + DONE))
add(check, "warn", asked("filtered", TOKEN + LAST))
add(check, "not-applicable", asked("filtered", TOKEN + LAST), endpoint_is_mock=True)
add(check, "inconclusive", asked("filtered", TOKEN + LAST, upstream=None))

check = "errors.retry-amplification"
add(check, "pass", refused("pre-error", 500), asked("mid-cut", TOKEN * 5))
add(check, "pass", refused("pre-error", 429, upstream=tries(1000, 2000)))
add(check, "pass", asked("mid-cut", TOKEN * 5, upstream=tries(500)))
add(check, "warn", refused("pre-error", 429, upstream=tries(1000, 1000, 1000)))
add(check, "warn", refused("pre-error", 500, upstream=tries(20)))
add(check, "fail", asked("mid-cut", TOKEN * 10, upstream=tries(500)))
add(check, "inconclusive", refused("pre-error", 500, upstream=None))
add(check, "inconclusive", HAPPY)

check = "errors.message-framed"
FIRST, REST = b"the upstream model failed", b"streamgauge-second line"
ESCAPED = b'data: {"message":"%b\\nstreamgauge-second line\\r\\n\\r\\nstreamgauge-third line"}\n\n' % FIRST
LINES = b"data: %b\ndata: %b\ndata: \ndata: streamgauge-third line\n\n" % (FIRST, REST)
add(check, "pass", asked("mid-error", TOKEN + b"event: error\n" + ESCAPED))
add(check, "pass", asked("mid-error", RAW + b"event: error\n" + LINES))
add(check, "pass", asked("mid-error", TOKEN + ERROR))
add(check, "pass", refused("pre-error", 500))
add(check, "fail", asked("mid-error", RAW + b"data: Error: %b\n%b\n\nstreamgauge-third line\n\n" % (FIRST, REST)))
add(check, "fail", asked("mid-error", RAW + LINES.replace(b"data: \n", b"\n")))
add(check, "fail", asked("pre-error", b"data: Error: HTTP 429\n\nstreamgauge-third line\n\n"))
add(check, "inconclusive", asked("mid-error", TOKEN + ERROR, upstream=None))

check = "errors.partial-event-terminated-first"
HALF = b'data: {"token":"a","do'
add(check, "pass", asked("mid-cut", TOKEN + ERROR))
add(check, "pass", asked("mid-cut", TOKEN + HALF + b"\n\n" + ERROR))
add(check, "fail", asked("mid-cut", TOKEN + HALF + ERROR))
add(check, "fail", asked("mid-cut", CHAT + CHAT[:30] + b'data: {"error":{"message":"x"}}\n\n'))
add(check, "fail", asked("mid-cut", CHAT + CHAT[:30] + b'\ndata: {"error":{"message":"x"}}\n\n'))
add(check, "not-applicable", asked("mid-cut", TOKEN + HALF, end=End.CLOSED))
add(check, "not-applicable", asked("mid-cut", TOKEN + LAST))
add(check, "inconclusive", asked("mid-cut", TOKEN + ERROR, upstream=None))

check = "errors.upstream-timeout"
add(check, "pass", asked("quiet-forever", TOKEN + ERROR, end_ms=30_000))
add(check, "pass", refused("quiet-silent", 504, end_ms=30_000))
add(check, "warn", asked("quiet-forever", TOKEN, end=End.RESET, end_ms=30_000))
add(check, "fail", asked("quiet-forever", TOKEN, end=End.TIMEOUT, end_ms=200_000))
add(check, "fail", asked("quiet-silent", status=None, end=End.TIMEOUT, end_ms=200_000))
add(check, "fail", asked("quiet-forever", TOKEN + LAST, end_ms=30_000))
add(check, "not-applicable", asked("quiet-forever", TOKEN, end=End.TIMEOUT, end_ms=200_000), endpoint_is_mock=True)
add(check, "inconclusive", asked("quiet-forever", TOKEN, end=End.TIMEOUT, end_ms=60_000))
add(check, "inconclusive", asked("quiet-forever", TOKEN, upstream=None))
