"""Examples for errors of the upstream, for clients that leave or stop reading, and for streams that never end."""

from typing import Any

from streamgauge.conformance.cases import Case, Release
from streamgauge.diagnosis.cancellation import Upstream
from streamgauge.units import MS
from streamgauge.wire import End
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
HANGS: dict[str, Any] = {"timed": ((10.0, TOKEN),), "end": End.TIMEOUT, "end_ms": 60_010}

check = "errors.context-length"
add(check, "pass", refused("too-long", 400))
add(check, "pass", asked("length", CHAT + STOP % b"length" + DONE))
add(check, "pass", asked("length", TOKEN + ERROR))
add(check, "warn", refused("too-long", 500))
add(check, "warn", asked("too-long", ERROR))
add(check, "warn", asked("length", CHAT + STOP % b"stop" + DONE))
add(check, "warn", asked("length", TOKEN + LAST))
add(check, "warn", asked("length", **HANGS))
add(check, "warn", asked("length", CHAT + STOP % b"stop" + DONE), HAPPY, endpoint_is_mock=True)
add(check, "inconclusive", refused("too-long", 400, upstream=None))
add(check, "inconclusive", asked("length", TOKEN + LAST), endpoint_is_mock=True)
add(check, "inconclusive", HAPPY)

check = "errors.content-filter"
add(check, "warn", asked("filtered", **HANGS))
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
add(check, "info", refused("pre-error", 429, upstream=tries(1000, 1000, 1000)))
add(check, "info", refused("pre-error", 500, upstream=tries(20)))
add(check, "warn", asked("mid-cut", TOKEN * 10, upstream=tries(500)))
add(check, "inconclusive", refused("pre-error", 500, upstream=None))
add(check, "inconclusive", HAPPY)

# what becomes of the status of a failing upstream


def becomes(status: int, of: int | None, *, waits: bool = False, **more: Any) -> Tape:
    """The client's answer to an error status of the upstream, with or without Retry-After."""
    given = headers(content_type="application/json", retry_after="1") if waits else JSON_HEADERS
    variant = f"upstream {of}" if of else "cut before the head"
    body = b'{"error":{"message":"no"}}'
    return asked(
        "upstream-errors", body, **{"status": status, "headers": given, "size": of, "variant": variant, **more}
    )


check = "errors.rate-limit-kept"
add(check, "pass", becomes(429, 429, waits=True))
add(check, "pass", becomes(503, 429, waits=True))
add(check, "pass", becomes(429, 429, waits=True), becomes(500, 500), becomes(503, 503, waits=True))
add(check, "warn", becomes(429, 429))
add(check, "warn", becomes(429, 429, waits=True), becomes(503, 503))
add(check, "fail", becomes(500, 429))
add(check, "fail", becomes(503, 429))
add(check, "fail", becomes(502, 429, waits=True))
add(check, "not-applicable", becomes(200, 429))
add(check, "inconclusive", becomes(429, 429, upstream=None))

check = "errors.caller-fault-kept"
add(check, "pass", becomes(400, 400), becomes(422, 404))
add(check, "fail", becomes(500, 400), becomes(404, 404))
add(check, "fail", becomes(502, 404))
add(check, "not-applicable", becomes(200, 400))
add(check, "inconclusive", becomes(400, 400, upstream=None))

check = "errors.gateway-key-hidden"
OWN_KEY = SEEN._replace(credential="0123")
add(check, "pass", becomes(502, 401, upstream=OWN_KEY), becomes(500, 403, upstream=OWN_KEY))
add(check, "warn", becomes(401, 401, upstream=OWN_KEY))
add(check, "info", becomes(403, 403, upstream=OWN_KEY))
add(check, "not-applicable", becomes(401, 401, upstream=OWN_KEY), credentials=frozenset({"0123"}))
add(check, "not-applicable", becomes(401, 401))
add(check, "inconclusive", becomes(401, 401, upstream=None))

check = "errors.pre-stream-status"
add(check, "pass", *(becomes(status, status) for status in (400, 401, 403, 404, 408, 429, 500, 502, 503, 529)))
add(check, "pass", becomes(502, None), becomes(502, None, variant="connection refused", upstream=None))
add(check, "fail", becomes(500, 500), becomes(200, 429))
add(check, "fail", asked("upstream-errors", CHAT + STOP % b"stop" + DONE, size=500, variant="upstream 500"))
add(check, "fail", asked("upstream-errors", b'{"error":{"message":"no"}}', size=500, variant="upstream 500"))
add(check, "warn", asked("upstream-errors", ERROR, size=500, variant="upstream 500"))
add(check, "warn", asked("upstream-errors", status=None, end=End.CLOSED, variant="cut before the head"))
add(check, "inconclusive", asked("upstream-errors", status=None, end=End.CLOSED, variant="upstream 500", reused=True))
add(check, "inconclusive", asked("upstream-errors", status=None, end=End.TIMEOUT, end_ms=30_000, size=500))
add(check, "fail", asked("upstream-errors", end=End.TIMEOUT, end_ms=30_000, size=500))
add(check, "warn", asked("upstream-errors", end=End.TIMEOUT, end_ms=30_000, size=500, upstream=tries(9_000, 18_000)))
add(check, "inconclusive", becomes(502, None, variant="connection refused", upstream=None))

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
BARE = b'{"error": {"message": "%b\\nstreamgauge-second line\\r\\n\\r\\nstreamgauge-third line"}}' % FIRST
add(check, "not-applicable", asked("pre-error", BARE))
add(check, "not-applicable", asked("mid-error", TOKEN + BARE + b"\n"))
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
IMPATIENT = {"status": None, "end": End.TIMEOUT, "end_ms": 200_000, "upstream": tries(100_000, 100_000)}
add(check, "warn", asked("quiet-silent", **IMPATIENT))
add(check, "fail", asked("quiet-silent", **{**IMPATIENT, "upstream": tries(150_000)}))
add(check, "pass", refused("quiet-silent", 504, end_ms=300_000, upstream=tries(100_000, 100_000)))
add(check, "fail", asked("quiet-forever", TOKEN, end=End.TIMEOUT, end_ms=200_000))
add(check, "fail", asked("quiet-silent", status=None, end=End.TIMEOUT, end_ms=200_000))
add(check, "fail", asked("quiet-forever", TOKEN + LAST, end_ms=30_000))
add(check, "not-applicable", asked("quiet-forever", TOKEN, end=End.TIMEOUT, end_ms=200_000), endpoint_is_mock=True)
add(check, "inconclusive", asked("quiet-forever", TOKEN, end=End.TIMEOUT, end_ms=60_000))
add(check, "inconclusive", asked("quiet-forever", TOKEN, upstream=None))

# cancel


def left(scenario: str, variant: str | None = None, *, seen_ms: int | None = None, **more: Any) -> Tape:
    """A client that left after 100 ms; the upstream noticed it so much later."""
    at = None if seen_ms is None else START_NS + (100 + seen_ms) * MS
    upstream = ledger(end="disconnected" if at else None, disconnect_ns=at, token_ns=[START_NS + 9000 * MS])
    given = {"end": End.CANCELLED, "end_ms": 100, "variant": variant, "upstream": upstream, **more}
    return asked(scenario, TOKEN * 5, **given)


check = "cancel.abort-variants"
MID, EARLY = left("cancel-mid", seen_ms=3), left("cancel-early", "RST", seen_ms=3)
DEAF_MID, DEAF_EARLY = left("cancel-mid"), left("cancel-early", "RST")
add(check, "pass", MID, EARLY)
add(check, "warn", DEAF_MID, DEAF_EARLY)
add(check, "warn", MID, DEAF_EARLY, left("cancel-early", "FIN", seen_ms=3))
add(check, "inconclusive", MID, DEAF_EARLY, left("cancel-early", "FIN"))
add(check, "inconclusive", MID)
add(check, "inconclusive", left("cancel-mid", end=End.TIMEOUT), EARLY)
add(check, "inconclusive", MID, left("cancel-early", "RST", end=End.TIMEOUT))
add(check, "inconclusive", MID, left("cancel-early", "RST", upstream=None))

check = "cancel.half-close"
FIVE = tuple((10.0 * n, TOKEN) for n in range(1, 6))
GOES_ON = (*FIVE, (1000.0, TOKEN))
add(check, "pass", asked("half-close", timed=GOES_ON, end=End.CANCELLED))
add(check, "info", asked("half-close", timed=FIVE, end=End.CLOSED, end_ms=60))
add(check, "warn", asked("half-close", timed=FIVE, end=End.TIMEOUT, end_ms=8000))
add(check, "not-applicable", Tape(body=TOKEN, url="https://x/chat"))
add(check, "inconclusive", asked("half-close", TOKEN))
add(check, "inconclusive", asked("half-close", timed=GOES_ON, upstream=None))

check = "cancel.server-survives"
FIRST_ONE, NEXT = Tape(body=TOKEN + LAST), Tape(body=TOKEN + LAST, scenario="happy-2")
add(check, "pass", FIRST_ONE, MID, NEXT)
add(check, "fail", FIRST_ONE, MID, refused("happy-2", 500))
add(check, "fail", FIRST_ONE, MID, asked("happy-2", status=None, end=End.RESET))
add(check, "fail", FIRST_ONE, MID, asked("happy-2", timed=((9000.0, TOKEN), (9001.0, LAST))))
add(check, "inconclusive", FIRST_ONE, NEXT)

check = "cancel.slot-released"


def rounds(*counts: int, of: int = 4) -> list[Tape]:
    """In each round some of the streams are accepted."""
    return [
        left("slots", size=turn) if stream < count else refused("slots", 429, size=turn)
        for turn, count in enumerate(counts, 1)
        for stream in range(of)
    ]


add(check, "pass", *rounds(3, 3, 3))
add(check, "fail", *rounds(3, 2, 1))
add(check, "fail", *rounds(3, 0))
add(check, "not-applicable", *rounds(4, 4, 4))
add(check, "inconclusive", *rounds(0, 0))
add(check, "inconclusive", *rounds(4, 3), left("slots", size=1, sent_ms=101, end_ms=200))
add(check, "inconclusive", HAPPY)

check = "cancel.slow-reader-bounded"
MB = 1024 * 1024
add(check, "pass", left("stalled-reader", upstream=SEEN._replace(written_bytes=3 * MB)))
add(check, "pass", left("stalled-reader", upstream=SEEN._replace(written_bytes=25 * MB, disconnect_ns=START_NS)))
add(check, "warn", left("stalled-reader", upstream=SEEN._replace(written_bytes=25 * MB)))
add(check, "warn", left("stalled-reader", upstream=SEEN._replace(written_bytes=50 * MB, end="complete")))
add(check, "inconclusive", left("stalled-reader", upstream=None))

# termination

check = "termination.max-duration"
add(check, "pass", asked("trickle", TOKEN + ERROR, end_ms=60_000))
add(check, "pass", asked("trickle", CHAT + STOP % b"length" + DONE, end_ms=60_000))
add(check, "warn", asked("trickle", TOKEN, end=End.TIMEOUT, end_ms=200_000))
add(check, "warn", asked("trickle", TOKEN, end=End.RESET, end_ms=60_000))
add(check, "warn", asked("trickle", TOKEN + LAST, end_ms=60_000))
add(check, "not-applicable", asked("trickle", TOKEN, end=End.TIMEOUT, end_ms=200_000), endpoint_is_mock=True)
add(check, "inconclusive", asked("trickle", TOKEN, end=End.TIMEOUT, end_ms=60_000))

check = "termination.no-eventsource-loop"
AGAIN = asked("reconnect", RAW, variant="the reconnect")
add(check, "pass", asked("reconnect", TOKEN + LAST), method="GET")
add(check, "pass", asked("reconnect", RAW), asked("reconnect", status=204, variant="the reconnect"), method="GET")
add(check, "pass", asked("reconnect", RAW), AGAIN, method="GET")  # taken up again without the upstream
add(check, "warn", asked("reconnect", RAW), asked("reconnect", RAW, upstream=tries(500)), method="GET")
add(check, "warn", asked("reconnect", RAW, upstream=None), asked("reconnect", RAW, upstream=None), method="GET")
add(check, "not-applicable", asked("reconnect", RAW), method="POST")
add(check, "inconclusive", asked("reconnect", RAW, end=End.RESET), method="GET")

# flush, http

check = "flush.headers-early"
add(check, "pass", asked("quiet-start", timed=((40_000.0, TOKEN + LAST),)))
add(check, "warn", asked("quiet-start", timed=((40_000.0, TOKEN + LAST),), head_ms=40_000))
add(check, "warn", asked("quiet-start", status=None, end=End.TIMEOUT, end_ms=50_000))
add(check, "pass", asked("late-head", timed=((40_000.0, TOKEN + LAST),), head_ms=10_000))
add(check, "warn", asked("late-head", timed=((40_000.0, TOKEN + LAST),), head_ms=40_000))
add(check, "inconclusive", asked("quiet-start", TOKEN + LAST, upstream=None))

check = "http.h2-no-connection-headers"
OVER_2 = {"http_version": "2", "headers": headers(transfer_encoding=None)}
add(check, "pass", Tape(body=TOKEN + LAST, **OVER_2))  # type: ignore[arg-type]
add(check, "fail", Tape(body=TOKEN, http_version="2", headers=headers(transfer_encoding=None, connection="keep-alive")))
BROKEN = "the answer is not valid HTTP/2: Connection-specific header field present: b'connection'"
add(check, "fail", asked("http2", status=None, end=End.MALFORMED, detail=BROKEN))
add(check, "not-applicable", asked("http2", status=None, end=End.RESET, detail="it does not offer HTTP/2"))
add(check, "inconclusive", Tape(body=TOKEN + LAST))

check = "flush.proxy-delta"


def path(*pairs: tuple[int, bytes], steps: tuple[Release, ...] = (), **more: Any) -> Case:
    """One path to an endpoint: its stream, and its lockstep."""
    happy = Tape(timed=tuple((float(at), data) for at, data in pairs), **more)
    return Case(observed=[happy.play(), asked("lockstep", TOKEN, steps=steps).play()], method="POST")


PACED = tuple((100 + 20 * n, TOKEN) for n in range(12))
BURSTS = ((220, TOKEN * 6), (330, TOKEN * 6))
IN_STEP, HELD = (Release(1, 1, False),), (Release(1, 0, True), Release(2, 0, True))
through = [Tape(timed=tuple((float(at), data) for at, data in PACED)), asked("lockstep", TOKEN, steps=IN_STEP)]
bunched = [Tape(timed=tuple((float(at), data) for at, data in BURSTS)), asked("lockstep", TOKEN, steps=IN_STEP)]
held = [Tape(timed=tuple((float(at), data) for at, data in PACED)), asked("lockstep", TOKEN, steps=HELD)]
add(check, "pass", *through, reference=path(*PACED, steps=IN_STEP))
add(check, "pass", *held, reference=path(*PACED, steps=HELD))  # the endpoint's own doing
add(check, "warn", *held, reference=path(*PACED, steps=IN_STEP))
add(check, "warn", *bunched, reference=path(*PACED, steps=IN_STEP))
add(check, "not-applicable", *through)
add(check, "inconclusive", Tape(timed=((1.0, TOKEN),)), reference=path(*PACED, steps=IN_STEP))
