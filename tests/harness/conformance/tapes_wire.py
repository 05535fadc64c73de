"""Examples for http, headers, framing and text: each check at its best and at its worst."""

import gzip
from dataclasses import replace

from streamgauge.conformance.cases import Position, Release
from streamgauge.wire import End, Framing, FramingFault
from tests.harness.conformance.tapes import Examples, Tape, headers, ledger

examples = Examples()
add, bodies = examples.add, examples.bodies

JSON = b'data: {"token":"a","done":false}\n\ndata: {"token":"b","done":false}\n\ndata: {"token":"","done":true}\n\n'
RAW = b"data: Hello\n\ndata:  world\n\n"
NAMED = b"event: token\ndata: Hello\n\nevent: token\ndata:  world\n\n"
PROBLEM = b'{"type":"about:blank","title":"bad request","status":400}'
PROBLEM_TYPE = headers(content_type="application/problem+json")
SEEN = ledger()


def answer(status: int | None, scenario: str, **more: object) -> Tape:
    """An answer that is no stream."""
    told = {"body": PROBLEM, "headers": PROBLEM_TYPE, "framing": Framing.LENGTH, **more}
    return Tape(status=status, scenario=scenario, **told)  # type: ignore[arg-type]


# http

add("http.status-200", "pass", Tape(body=JSON))
add("http.status-200", "fail", answer(202, "happy"))
add("http.status-200", "warn", Tape(body=JSON, status=201))
add("http.status-200", "fail", Tape(body=JSON, status=201, method="GET"))
add("http.status-200", "fail", answer(500, "happy"))
add("http.status-200", "fail", Tape(status=None, end=End.CLOSED, detail="closed without an answer"))
add("http.status-200", "fail", answer(302, "happy"))
add("http.status-200", "inconclusive", answer(302, "happy", headers=headers(location="/there")))
add("http.status-200", "inconclusive", answer(404, "happy"))

add("http.method-not-allowed", "pass", answer(405, "wrong-method", headers=headers(allow="POST"), method="GET"))
add("http.method-not-allowed", "warn", answer(405, "wrong-method", method="GET"))
add("http.method-not-allowed", "warn", answer(404, "wrong-method", method="GET"))
add("http.method-not-allowed", "warn", answer(500, "wrong-method", method="GET"))
add("http.method-not-allowed", "warn", answer(200, "wrong-method", method="GET"))
add("http.method-not-allowed", "not-applicable", Tape(scenario="wrong-method", method="GET", body=JSON))
add("http.method-not-allowed", "not-applicable", answer(400, "wrong-method", method="GET"))

add("http.head-no-body", "pass", Tape(scenario="head", method="HEAD", framing=Framing.NONE))
add("http.head-no-body", "fail", Tape(scenario="head", method="HEAD", framing=Framing.NONE, body=b"<p>"))
add("http.head-no-body", "warn", Tape(scenario="head", method="HEAD", status=None, end=End.TIMEOUT, detail="no answer"))
add(
    "http.head-no-body", "warn", Tape(scenario="head", method="HEAD", framing=Framing.NONE, upstream=SEEN),
    position=Position.SANDWICH,
)  # fmt: skip

add("http.bad-json-400", "pass", answer(400, "bad-json", variant="an array"), answer(415, "text-plain"))
add("http.bad-json-400", "info", answer(400, "bad-json"), Tape(scenario="text-plain", body=JSON))
add("http.bad-json-400", "fail", answer(500, "bad-json"))
HUNG_UP = {
    "status": None,
    "end": End.CLOSED,
    "detail": "the connection was closed before the response head was complete",
}
add("http.bad-json-400", "fail", Tape(scenario="bad-json", **HUNG_UP))  # type: ignore[arg-type]
add("http.bad-json-400", "inconclusive", Tape(scenario="bad-json", status=None, end=End.TIMEOUT))
add("http.validation-before-stream", "fail", Tape(scenario="invalid", **HUNG_UP))  # type: ignore[arg-type]
add("http.bad-json-400", "fail", Tape(scenario="bad-json", body=JSON))
add("http.bad-json-400", "pass", answer(400, "bad-json", headers=headers()))  # refused, whatever its media type
add("http.bad-json-400", "not-applicable", answer(400, "bad-json"), method="GET")
add("http.bad-json-400", "inconclusive", Tape(body=JSON))

for media in ("application/json", "application/problem+json", "text/plain", "text/event-stream", None):
    add("http.validation-before-stream", "pass", answer(400, "invalid", headers=headers(content_type=media)))
    add("http.bad-json-400", "pass", answer(422, "bad-json", headers=headers(content_type=media)))
add("http.validation-before-stream", "fail", Tape(scenario="invalid", body=b'event: error\ndata: {"message":"x"}\n\n'))
add("http.validation-before-stream", "fail", answer(500, "invalid"))
# Where the prompt's place is only a guess, a 200 may come of an endpoint that reads nothing from there.
BLANK = Tape(scenario="invalid", variant="a blank prompt", body=JSON)
add("http.validation-before-stream", "fail", BLANK)
add("http.validation-before-stream", "inconclusive", BLANK, place_guessed=True)
add("http.validation-before-stream", "fail", BLANK, answer(422, "invalid"), place_guessed=True)
add("http.validation-before-stream", "fail", answer(500, "invalid"), place_guessed=True)

CHALLENGE = headers(www_authenticate="Bearer")
add("http.unauthenticated-401", "pass", answer(401, "no-auth", headers=headers(www_authenticate="Bearer", content_type="application/json")), has_credential=True)  # fmt: skip  # noqa: E501
add("http.unauthenticated-401", "pass", answer(403, "no-auth"), has_credential=True)
add("http.unauthenticated-401", "warn", answer(401, "no-auth"), has_credential=True)
add("http.unauthenticated-401", "fail", Tape(scenario="no-auth", body=JSON), has_credential=True)
add("http.unauthenticated-401", "fail", answer(302, "no-auth"), has_credential=True)
# The mock's ledger decides whose key reached the upstream.
ANYBODY = Tape(scenario="no-auth", variant="no credential", body=JSON)
WRONG = Tape(scenario="no-auth", variant="a wrong credential", body=JSON, credentials=frozenset({"wrong"}))


def passing(tape: Tape, credential: str | None) -> Tape:
    """The same, with the credential that the upstream got."""
    return replace(tape, upstream=ledger()._replace(credential=credential))


for first, second, verdict in (
    (ANYBODY, WRONG, "fail"),  # open, without a mock
    (passing(ANYBODY, None), passing(WRONG, "wrong"), "inconclusive"),  # passed on: the upstream has to check it
    (passing(ANYBODY, "its own"), passing(WRONG, "its own"), "fail"),  # anybody spends the endpoint's own key
    (passing(ANYBODY, None), passing(WRONG, None), "fail"),  # no key reaches the upstream, whatever the caller sends
    (answer(403, "no-auth"), passing(WRONG, "wrong"), "inconclusive"),
    (answer(403, "no-auth"), WRONG, "fail"),  # any key will do
    (passing(ANYBODY, None), answer(403, "no-auth", credentials=frozenset({"wrong"})), "fail"),  # no key will do, too
):
    add("http.unauthenticated-401", verdict, first, second, has_credential=True)
add("http.unauthenticated-401", "not-applicable", Tape(body=JSON))
add("http.unauthenticated-401", "not-applicable", Tape(body=JSON), has_credential=True, public=True)

ANY = Tape(scenario="gzip", variant="Accept: */*", body=JSON)
NONE = Tape(scenario="http10", variant="no Accept", body=JSON)
add("http.accept-negotiation", "pass", ANY, NONE, answer(406, "accept", variant="Accept: application/json"))
add("http.accept-negotiation", "pass", ANY, answer(426, "http10", variant="no Accept"))
add("http.accept-negotiation", "warn", ANY, answer(406, "http10", variant="no Accept"))
add("http.accept-negotiation", "warn", answer(406, "gzip", variant="Accept: */*"), NONE)
add("http.accept-negotiation", "info", ANY, NONE, answer(500, "accept", variant="Accept: application/json"))

add("http.chunked-framing", "pass", Tape(body=JSON))
add("http.chunked-framing", "fail", Tape(body=JSON, end=End.CLOSED, detail="closed before the final chunk"))
add("http.chunked-framing", "fail", Tape(body=JSON, end=End.RESET))
add("http.chunked-framing", "fail", Tape(body=JSON, end=End.MALFORMED, detail="bad chunk size"))
add("http.chunked-framing", "fail", Tape(body=JSON, trailing=b"more"))
UNENDED = Tape(body=JSON + b"data: [DONE]\n\n", end=End.TIMEOUT, detail="the body did not end in 2.5 s")
add("http.chunked-framing", "inconclusive", UNENDED)  # termination.* says it
add("http.chunked-framing", "inconclusive", Tape(body=JSON, end=End.TIMEOUT, detail="no byte came for 4.0 s"))
add("http.chunked-framing", "pass", UNENDED, Tape(body=JSON + b"data: [DONE]\n\n"))
add("http.chunked-framing", "warn", Tape(body=JSON, framing=Framing.CLOSE, headers=headers(transfer_encoding=None)))

add("http.no-content-length", "pass", Tape(body=JSON))
add("http.no-content-length", "fail", Tape(body=JSON, headers=headers(content_length="99", transfer_encoding=None)))

TWICE = FramingFault("Transfer-Encoding says chunked twice, in two header lines", readable=True)
BESIDE = FramingFault("Content-Length comes beside Transfer-Encoding", readable=False)
REFUSED_HEAD = Tape(status=None, end=End.MALFORMED, fault=BESIDE, detail=BESIDE.what)
add("http.unambiguous-framing", "pass", Tape(body=JSON))
add("http.unambiguous-framing", "fail", Tape(body=JSON, fault=TWICE))
add("http.unambiguous-framing", "fail", REFUSED_HEAD)
OLD_CHUNKS = FramingFault("an HTTP/1.0 response has Transfer-Encoding", readable=True)
add("http.unambiguous-framing", "pass", Tape(body=JSON), Tape(body=JSON, scenario="http10", fault=OLD_CHUNKS))
add("http.unambiguous-framing", "fail", Tape(body=JSON), Tape(body=JSON, scenario="gzip", fault=BESIDE))
# One cause makes one finding.
for check in ("http.status-200", "http.chunked-framing", "http.no-content-length", "headers.content-type"):
    add(check, "inconclusive", REFUSED_HEAD)
    add(check, "pass", Tape(body=JSON, fault=TWICE))
add("http.http10-no-chunked", "not-applicable", Tape(body=JSON, fault=TWICE), Tape(body=JSON, scenario="http10"))

OLD = {"scenario": "http10", "http_version": "1.0", "framing": Framing.CLOSE}
add("http.http10-no-chunked", "pass", Tape(body=JSON, headers=headers(transfer_encoding=None), **OLD))  # type: ignore[arg-type]
add("http.http10-no-chunked", "warn", Tape(body=JSON, **OLD))  # type: ignore[arg-type]
add("http.http10-no-chunked", "info", answer(505, "http10"))

# headers

for value, verdict in (
    ("text/event-stream", "pass"),
    ("text/event-stream; charset=UTF-8", "pass"),
    ("text/event-stream;", "pass"),
    ("text/event-stream; charset=windows-1252", "warn"),
    ("text/plain", "fail"),
    ("application/json", "fail"),
    (None, "fail"),
):
    add("headers.content-type", verdict, Tape(body=JSON, headers=headers(content_type=value)))
add("headers.content-type", "fail", Tape(body=JSON, headers=(*headers(), ("Content-Type", "application/json"))))
add("headers.content-type", "fail", Tape(body=b"<!doctype html>", headers=headers()))
add("headers.content-type", "pass", Tape(body=b"Hi", headers=headers(content_type="text/plain; charset=utf-8")))

for value, verdict in (
    ("no-cache", "pass"),
    ("no-store, no-transform", "pass"),
    (None, "warn"),
    ("private", "warn"),
    ("public, no-cache", "warn"),
    ("max-age=60", "warn"),
    ("no-cache, max-age=0", "pass"),
):
    add("headers.cache-control", verdict, Tape(body=JSON, headers=headers(cache_control=value)))
add("headers.cache-control", "warn", Tape(body=JSON, headers=headers(age="5")))

add("headers.x-accel-buffering", "pass", Tape(body=JSON))
add("headers.x-accel-buffering", "warn", Tape(body=JSON, headers=headers(x_accel_buffering="yes")))
add("headers.x-accel-buffering", "warn", Tape(body=JSON, headers=headers(x_accel_buffering=None)))
add(
    "headers.x-accel-buffering", "not-applicable",
    Tape(body=JSON, headers=headers(x_accel_buffering=None, via="1.1 p")),
    Tape(scenario="lockstep", body=JSON, steps=(Release(1, 1, False),), upstream=SEEN),
)  # fmt: skip

NGINX = headers(x_accel_buffering=None, server="nginx/1.22.1")
add("headers.x-accel-buffering", "inconclusive", Tape(body=JSON, headers=NGINX))
add(
    "headers.x-accel-buffering", "not-applicable", Tape(body=JSON, headers=NGINX),
    Tape(scenario="lockstep", body=JSON, steps=(Release(1, 1, False),), upstream=SEEN),
)  # fmt: skip
add(
    "headers.x-accel-buffering", "warn", Tape(body=JSON, headers=NGINX),
    Tape(scenario="lockstep", body=JSON, steps=(Release(1, 0, True),), upstream=SEEN),
)  # fmt: skip

GZIPPED = gzip.compress(JSON, mtime=0)
add("headers.no-content-encoding", "pass", Tape(body=JSON, scenario="gzip", offers_gzip=True))
add("headers.no-content-encoding", "info", Tape(body=JSON, headers=headers(content_encoding="identity")))
add("headers.no-content-encoding", "warn", Tape(body=GZIPPED, headers=headers(content_encoding="gzip")))
add(
    "headers.no-content-encoding", "warn",
    Tape(body=GZIPPED, scenario="gzip", offers_gzip=True, headers=headers(content_encoding="gzip")),
)  # fmt: skip

add("headers.no-duplicates", "pass", Tape(body=JSON))
add("headers.no-duplicates", "warn", Tape(body=JSON, headers=(*headers(), ("content-type", "text/plain"))))
add("headers.no-duplicates", "warn", Tape(body=JSON, headers=(*headers(), ("cache-control", "no-store"))))

LIMITED = {"content_type": "application/json"}
add("headers.retry-after", "pass", answer(429, "burst", headers=headers(retry_after="7", **LIMITED)))
add("headers.retry-after", "warn", answer(503, "burst"))
add("headers.retry-after", "warn", answer(429, "burst", headers=headers(retry_after="soon", **LIMITED)))
add("headers.retry-after", "warn", answer(429, "burst", headers=headers(retry_after="99999999", **LIMITED)))
add(
    "headers.retry-after",
    "warn",
    answer(429, "burst", headers=headers(retry_after="Mon, 01 Jan 2001 00:00:00 GMT")),
)
add("headers.retry-after", "not-applicable", answer(503, "pre-error"))
add("headers.retry-after", "not-applicable", Tape(body=JSON))


def identified(scenario: str, value: str | None) -> Tape:
    return Tape(body=JSON, scenario=scenario, headers=headers(x_request_id=value))


add("headers.request-id", "pass", identified("happy", "a"), identified("happy-2", "b"))
add("headers.request-id", "info", identified("happy", None), identified("happy-2", None))
add("headers.request-id", "warn", identified("happy", "a"), identified("happy-2", "a"))

# framing

bodies(
    "framing.known-fields",
    {
        "pass": [JSON, RAW, b": note\n" + JSON],
        "fail": [
            b"error: x\n" + RAW,
            b"Data: x\n\n" + RAW,
            b" data: x\n\n" + RAW,
            b"lost text\n" + RAW,
            b"message:\n" + RAW,
        ],
    },
)
BARE = b'{"error": {"code": 400, "message": "too many tokens", "type": "exceed_context_size_error"}}'
PRETTY = b'{\n  "error": {\n    "message": "too many tokens"\n  }\n}\n\n'
bodies("framing.known-fields", {"fail": [BARE, JSON + BARE, JSON + b"\n" + PRETTY, BARE + b"\n\n" + JSON]})
bodies("framing.event-terminated", {"not-applicable": [BARE, JSON + BARE]})
bodies(
    "framing.event-terminated",
    {"pass": [JSON, RAW], "fail": [JSON[:-1], JSON[:-2], RAW + b"data: cut", RAW + b"event: x\n"]},
)
bodies(
    "framing.no-merged-events",
    {
        "pass": [JSON, b'data: {"token":\ndata: "a"}\n\n' + JSON],
        "fail": [
            JSON + b'data: {"token":"a"}\ndata: {"token":"b"}\n\n',
            JSON + b'data: {"token":"a"}\ndata: [DONE]\n\n',
            JSON.replace(b"\n\n", b"\n") + b"\n",  # no blank line but the last
        ],
        "not-applicable": [RAW, b"data: {\ndata: }\n\n", b"data: 1\ndata: 2\n\n"],
    },
)
add("framing.no-merged-events", "not-applicable", Tape(body=JSON.replace(b"\n\n", b"\n") + b"\n", dialect="raw-text"))
bodies(
    "framing.data-prefix-every-line",
    {
        "pass": [b"data: one\ndata: two\n\n", b'data: "one\\ntwo"\n\ndata: [DONE]\n\n'],
        "fail": [b"data: one\ntwo\n\n", b"data: a\n\ndata: one\n\ttwo\n\n"],
        "inconclusive": [RAW, JSON],
    },
)
add(
    "framing.data-prefix-every-line", "fail",
    Tape(scenario="newlines", body=b"data: one\ndata: two\n\n", said="one\ntwo\n", upstream=SEEN),
)  # fmt: skip
bodies(
    "framing.no-rewrapped-lines",
    {
        "pass": [JSON, RAW, b"data: : a colon\n\n" + RAW],
        "info": [b"data: data: x\n\n" + RAW],
        "fail": [b"data: data: x\n\ndata: event: y\n\n", JSON + b"data: : keep-alive\n\n"],
    },
)
bodies(
    "framing.single-line-json",
    {"pass": [JSON], "warn": [b'data: {"token":\ndata: "a", "done": false}\n\n' + JSON], "not-applicable": [RAW]},
)
bodies(
    "framing.line-endings",
    {
        "pass": [JSON, RAW],
        "warn": [RAW.replace(b"\n", b"\r\n"), RAW.replace(b"\n", b"\r"), RAW + b"data: x\r\n\r\n"],
    },
)
BOM = b"\xef\xbb\xbf"
bodies(
    "framing.no-bom",
    {
        "pass": [JSON],
        "warn": [BOM + JSON, BOM + BOM + RAW, RAW + BOM + RAW],
    },
)
INDENTED = b'data: {\ndata:   "token": "a",\ndata:   "done": true\ndata: }\n\n'
bodies(
    "framing.space-after-colon",
    {
        "pass": [JSON, RAW, INDENTED],
        "warn": [JSON.replace(b": {", b":{"), JSON.replace(b": {", b":  {"), b"data:Hello\n\n"],
    },
)
bodies(
    "framing.no-empty-data",
    {
        "pass": [JSON],
        "warn": [JSON + b"data: \n\n", JSON + b"data:\n\n", JSON + b"data\n\n"],
        "info": [RAW + b"data:\n\n"],
    },
)
bodies(
    "framing.no-metadata-only-blocks",
    {
        "pass": [JSON, b": ka\n\n" + JSON],
        "warn": [JSON + b"event: ping\n\n", b"retry: 3000\n\n" + JSON, RAW + b"id: 1\n\n"],
    },
)
bodies(
    "framing.id-retry-valid",
    {
        "pass": [b"id: 1\n" + RAW + b"id: 2\n" + RAW, b"retry: 3000\n" + RAW],
        "fail": [b"id: a\0b\n" + RAW, b"retry: soon\n" + RAW, b"retry:\n" + RAW, b"id: 1\n" + RAW + b"id: 1\n" + RAW],
        "warn": ["id: é\n".encode() + RAW, b"id: " + b"a" * 1100 + b"\n" + RAW, b"retry: 100\n" + RAW],
        "not-applicable": [RAW],
    },
)
BIG = b"data: " + b"x" * 70_000 + b"\n\n"
bodies(
    "framing.event-size-64k",
    {
        "inconclusive": [RAW],
        "warn": [RAW + BIG, b"data: " + b"x" * 1_100_000 + b"\n\n"],
    },
)
add("framing.event-size-64k", "pass", Tape(scenario="big", body=BIG, said="x" * 70_000, upstream=SEEN))
add("framing.event-size-64k", "warn", Tape(scenario="big", body=BIG[:-9], said="x" * 70_000, upstream=SEEN))
NO_SPACE = Tape(scenario="big", body=b"data: " + b"x" * 70_000 + b"\n\n", said=" " + "x" * 70_000, upstream=SEEN)
add("framing.event-size-64k", "pass", NO_SPACE)  # only the text's own first space is lost
OTHER_TEXT = Tape(scenario="big", body=BIG, said="y" * 70_000, upstream=SEEN)
add("framing.event-size-64k", "warn", OTHER_TEXT)
# Where plain words do not arrive either, the size of the event, the separator or the line break is not the cause.
OTHERS_WORDS = Tape(scenario="unicode", body=b"data: other\n\n", said="words", upstream=SEEN)
add("framing.event-size-64k", "inconclusive", OTHER_TEXT, OTHERS_WORDS)
add(
    "framing.data-prefix-every-line", "inconclusive",
    Tape(scenario="newlines", body=b"data: one\ndata: two\n\n", said="one\ntwo\n", upstream=SEEN), OTHERS_WORDS,
)  # fmt: skip
add("framing.data-prefix-every-line", "fail", Tape(scenario="newlines", body=b"data: one\ntwo\n\n"), OTHERS_WORDS)
add(
    "framing.data-prefix-every-line", "pass",
    Tape(scenario="newlines", body=b'data: {"token":"one\\ntwo","done":false}\n\n', said="one\n\ntwo", upstream=SEEN),
)  # fmt: skip
# An endpoint that did not ask the mock has lost nothing of what it was to say.
add("framing.event-size-64k", "inconclusive", Tape(scenario="big", body=RAW, said="x" * 70_000))

# text

bodies(
    "text.utf8-valid",
    {
        "pass": ["data: café 🌍\n\n".encode(), b'data: {"token":"\\ud83c\\udf0d","done":true}\n\n'],
        "fail": [b"data: \xff\n\n", b"data: \xc3\n\ndata: \xa9\n\n", JSON + b'data: {"token":"\\ud83c"}\n\n'],
        "warn": ["data: caf\ufffd\n\n".encode(), b'data: {"token":"caf\\ufffd","done":true}\n\n'],
        "inconclusive": [
            RAW,
            b"data: \\ufffd\n\n",
            b'data: {"token":"\\\\ud83c","done":true}\n\n',
            b'data: {"token":"\\\\ufffd","done":true}\n\n',
        ],
    },
)
add(
    "text.utf8-valid", "fail", Tape(scenario="unicode", body="data: caf\ufffd\n\n".encode(), said="café", upstream=SEEN)
)
add("text.utf8-valid", "fail", Tape(scenario="unicode", body=b"data: caf\n\n", said="café", upstream=SEEN))
add("text.utf8-valid", "inconclusive", Tape(scenario="unicode", body=b"data: caf\n\n", said="café"))
for verdict, wire in (
    ("pass", "data: café\n\ndata: café\n\n"),  # twice: no fault of the encoding
    ("pass", "data: thé\n\ndata: café\n\n"),  # begins with text of another answer
    ("fail", "data: cafÃ©\n\n"),
    ("fail", "data: caf?\n\n"),
    ("fail", "data: caf&#233;\n\n"),
    ("fail", "data: café noel\n\n"),
):
    said = "café noël" if "noel" in wire else "café"
    add("text.utf8-valid", verdict, Tape(scenario="unicode", body=wire.encode(), said=said, upstream=SEEN))
add("text.utf8-valid", "fail", Tape(scenario="characters", body="data: \ufffd\n\n".encode(), said="é", upstream=SEEN))
RETURNED = b'data: {"token":"one\\r\\ntwo\\rthree","done":true}\n\n'
LF_ONLY = RETURNED.replace(b"\\r\\n", b"\\n").replace(b"\\r", b"\\n")
for verdict, wire in (
    ("pass", RETURNED), ("warn", LF_ONLY), ("fail", RETURNED.replace(b"\\r", b"")),
    ("info", b"data: one\ndata: two\ndata: three\n\n"),  # a data line cannot hold a CR
):  # fmt: skip
    said = "one\r\ntwo\rthree"
    add("text.newline-roundtrip", verdict, Tape(scenario="returns", body=wire, said=said, upstream=SEEN))
# "data:" without its space takes the first space of a raw text: that is a defect of white space, and of no other kind.
for check, scenario, said, wire in (
    ("text.utf8-valid", "unicode", " café naïve", "data: café\n\ndata: naïve\n\n"),
    ("text.newline-roundtrip", "newlines", " one\n two", "data: one\ndata: two\n\n"),
    ("framing.data-prefix-every-line", "newlines", " one\n two", "data: one\ndata: two\n\n"),
    ("security.sse-injection", "injection", " x\ny", "data: x\ndata: y\n\n"),
):
    add(check, "pass", Tape(scenario=scenario, body=wire.encode(), said=said, upstream=SEEN))
    lost = wire.replace("naïve", "").replace("two", "").replace("y", "")
    add(check, "fail", Tape(scenario=scenario, body=lost.encode(), said=said, upstream=SEEN))
for check, said, wire, broken in (
    ("text.newline-roundtrip", "a\nb", b"data: a\ndata: b\n\n", b"data: a\nb\n\n"),
    ("text.whitespace-roundtrip", " a", b"data:  a\n\n", b"data: a\n\n"),
):
    scenario = "newlines" if "newline" in check else "whitespace"
    add(check, "pass", Tape(scenario=scenario, body=wire, said=said, upstream=SEEN))
    add(check, "fail", Tape(scenario=scenario, body=broken, said=said, upstream=SEEN))
    add(check, "inconclusive", Tape(scenario=scenario, body=wire, said=said, upstream=None))
    add(check, "inconclusive", Tape(body=RAW))
bodies(
    "text.unicode-line-separators-escaped",
    {
        "pass": [b'data: {"token":"\\u2028","done":false}\n\n' + JSON],
        "warn": ['data: {"token":"a\u2028b","done":false}\n\n'.encode() + JSON],
        "inconclusive": [JSON],
        "not-applicable": ["data: a\u2028\n\n".encode()],
    },
)
add(
    "text.unicode-line-separators-escaped", "warn",
    Tape(scenario="separators", body=b'data: {"token":"ab","done":false}\n\n', said="a\u2028b", upstream=SEEN),
)  # fmt: skip
add("text.unicode-line-separators-escaped", "inconclusive", Tape(scenario="separators", body=JSON, said="a\u2028b"))
add(
    "text.unicode-line-separators-escaped", "inconclusive",
    Tape(scenario="separators", body=b'data: {"token":"ab","done":false}\n\n', said="a\u2028b", upstream=SEEN),
    Tape(scenario="unicode", body=JSON, said="words", upstream=SEEN),
)  # fmt: skip
bodies(
    "text.json-valid",
    {
        "pass": [JSON, JSON + b"data: [DONE]\n\n"],
        "fail": [
            JSON + b"data: {'token': 'a'}\n\n",
            JSON + b'data: {"token": NaN}\n\n',
            JSON + b'data: {"token":"a",}\n\n',
            JSON + b"data: " + b"[" * 100_000 + b"\n\n",
        ],
        "not-applicable": [RAW],
    },
)
bodies(
    "text.delta-not-cumulative",
    {
        "pass": [b"".join(b"data: w%d\n\n" % n for n in range(10))],
        "warn": [b"".join(b"data: " + b"ab" * n + b"\n\n" for n in range(1, 11))],
        "inconclusive": [RAW],
    },
)
DELTAS = b'event: token\ndata: {"token":"He"}\n\nevent: token\ndata: {"token":"llo"}\n\n'
bodies(
    "text.concat-equals-final",
    {
        "pass": [DELTAS + b'event: done\ndata: {"text":"Hello"}\n\n'],
        "fail": [DELTAS + b'event: done\ndata: {"text":"Help"}\n\n'],
        "not-applicable": [DELTAS + b"event: done\ndata: {}\n\n", RAW],
    },
)


def responses(final: bytes) -> bytes:
    """Two deltas of OpenAI Responses, and the whole answer."""
    deltas = b"".join(
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"%s"}\n\n' % text
        for text in (b"He", b"llo")
    )
    ended = (
        b'event: response.completed\ndata: {"type":"response.completed","response":{"status":"completed","output":%s}}'
    )
    return deltas + ended % final + b"\n\n"


bodies(
    "text.concat-equals-final",
    {
        "pass": [
            responses(b'[{"content":[{"type":"output_text","text":"Hello"}]}]'),
            responses(b'[{"content":[{"type":"output_text","text":"He"},{"type":"output_text","text":"llo"}]}]'),
        ],
        "fail": [responses(b'[{"content":[{"type":"output_text","text":"Hell"}]}]')],
        "not-applicable": [
            responses(json) for json in (b"[]", b"7", b'[{"content":8}]', b'[{"content":[{"text":1}]}]')
        ],
    },
    dialect="openai-responses",
)
