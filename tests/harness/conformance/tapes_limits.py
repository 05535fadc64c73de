"""Examples for what takes waiting, load, a second user or a file: liveness, resume, limits, and some of security."""

import json
from dataclasses import replace

from streamgauge.conformance.cases import Position
from streamgauge.conformance.permissions import OptIn
from streamgauge.conformance.schema import PayloadSchema
from streamgauge.units import SECOND
from streamgauge.wire import End
from tests.harness.conformance.tapes import START_NS, Examples, Tape, headers, ledger

examples = Examples()
add = examples.add

TOKEN = b'data: {"token":"a","done":false}\n\n'
LAST = b'data: {"token":"","done":true}\n\n'
ERROR = b'event: error\ndata: {"message":"the model failed"}\n\n'
BEAT = b": keep-alive\n\n"
SEEN = ledger()

# liveness: times in ms


def silent(*timed: tuple[float, bytes], scenario: str = "quiet-middle", silence_s: int = 50, **more: object) -> Tape:
    return Tape(  # type: ignore[arg-type]
        timed=timed, scenario=scenario, silence_ns=silence_s * SECOND, **{"upstream": SEEN, **more}
    )


def beats(every_s: int, until_s: int) -> list[tuple[float, bytes]]:
    return [(at * 1000.0, BEAT) for at in range(every_s, until_s, every_s)]


END = (50_000.0, TOKEN + LAST)
check = "liveness.heartbeat-idle-15s"
add(check, "pass", silent((10, TOKEN), *beats(15, 50), END))
add(check, "pass", silent((10, TOKEN), *beats(17, 50), END))
add(check, "warn", silent((10, TOKEN), *beats(25, 50), END))
add(check, "warn", silent((10, TOKEN), END))
add(check, "inconclusive", silent((10, TOKEN), *beats(10, 21), end=End.RESET, end_ms=21_000))
# A relay that holds its answer back until the upstream has finished is silent before its first byte.
add(check, "warn", silent((50_000, TOKEN * 8), END, head_ms=1))
add(check, "warn", silent((50_000, TOKEN * 8), END, head_ms=50_000))
add(check, "inconclusive", silent((10_000, b"{}"), status=504, head_ms=10_000))
add(check, "inconclusive", silent((10, TOKEN), (10_000, ERROR)))
add(check, "warn", silent((10, TOKEN), (25_000, ERROR)))
add(check, "warn", silent((10, TOKEN), *beats(10, 21), end=End.TIMEOUT, end_ms=55_000, detail="no byte came"))
add(check, "inconclusive", silent((10, TOKEN), *beats(15, 50), END, upstream=None))
add(check, "inconclusive", silent((10, TOKEN), (12_000, TOKEN + LAST), silence_s=12))  # --max-duration 12s
add(check, "inconclusive", silent((10, TOKEN), *beats(15, 50), (50_000, ERROR)))
add(check, "inconclusive", Tape(body=TOKEN))
add("liveness.heartbeat-is-comment", "pass", Tape(body=TOKEN), silent((10, TOKEN), *beats(15, 50), END))
add("liveness.heartbeat-shape-safe", "warn", silent((10, b"id: 1\n" + TOKEN), *beats(15, 50), END))
check = "liveness.heartbeat-before-first-token"
start = {"scenario": "quiet-start", "silence_s": 40}
add(check, "pass", silent(*beats(15, 40), (40_000, TOKEN + LAST), **start))  # type: ignore[arg-type]
add(check, "warn", silent(*beats(20, 40), (40_000, TOKEN + LAST), **start))  # type: ignore[arg-type]
add(check, "warn", silent((40_000, TOKEN + LAST), **start))  # type: ignore[arg-type]
add(check, "warn", silent(status=None, end=End.TIMEOUT, end_ms=50_000, **start))  # type: ignore[arg-type]
add(check, "inconclusive", silent((15_000, b"{}"), status=504, head_ms=15_000, **start))  # type: ignore[arg-type]
add(check, "warn", silent((20_000, b"{}"), status=504, head_ms=20_000, **start))  # type: ignore[arg-type]
add(check, "inconclusive", silent((40_000, TOKEN + LAST), upstream=None, **start))  # type: ignore[arg-type]
check = "liveness.heartbeat-not-masking-stall"
dead = {"scenario": "quiet-forever", "silence_s": 0}
over = {"end": End.TIMEOUT, "end_ms": 200_000, **dead}
add(check, "pass", silent((10, TOKEN), *beats(15, 60), (60_000, ERROR), **dead))  # type: ignore[arg-type]
add(check, "warn", silent((10, TOKEN), *beats(15, 60), (60_000, LAST), **dead))  # type: ignore[arg-type]
add(check, "warn", silent((10, TOKEN), *beats(15, 60), end=End.RESET, **dead))  # type: ignore[arg-type]
add(check, "warn", silent((10, TOKEN), *beats(15, 200), **over))  # type: ignore[arg-type]
add(check, "not-applicable", silent((10, TOKEN), **over))  # type: ignore[arg-type]
add(check, "not-applicable", silent((10, TOKEN), end=End.RESET, end_ms=100_000, **dead))  # type: ignore[arg-type]
add(check, "inconclusive", silent((10, TOKEN), *beats(15, 90), **{**over, "end_ms": 90_000}))  # type: ignore[arg-type]
add(check, "inconclusive", silent((10, TOKEN), **{**over, "upstream": None}))  # type: ignore[arg-type]

# limits

PROBLEM = b'{"title":"no"}'
AGAIN = headers(content_type="application/problem+json", retry_after="1")
NEVER = headers(content_type="application/problem+json")


def long(size: int, status: int | None = 200, body: bytes = TOKEN, **more: object) -> Tape:
    """An answer to a prompt of so many characters."""
    return Tape(scenario="oversize", variant=f"{size}", size=size, status=status, body=body, **more)  # type: ignore[arg-type]


HAPPY = Tape(body=TOKEN + LAST, upstream=SEEN)
check = "limits.input-size"
add(check, "pass", long(6_000, 413, PROBLEM))
add(check, "pass", long(6_000), long(100_000, 400, PROBLEM))
add(check, "pass", long(6_000, 414, PROBLEM), method="GET")
add(check, "warn", long(6_000), long(100_000), long(1_000_000))
add(check, "warn", long(6_000), long(32_000), long(64_000), method="GET")
add(check, "warn", long(6_000, body=ERROR))
add(check, "warn", long(6_000, 404, PROBLEM))
add(check, "warn", long(6_000, body=b"data: Error: 400\n\n", upstream=SEEN))  # in which the model wrote nothing
add(check, "warn", long(6_000, None, end=End.RESET))
add(check, "warn", long(6_000, 500, PROBLEM))
add(check, "inconclusive", long(6_000, None, end=End.TIMEOUT))  # a model may still be reading
add(check, "warn", HAPPY, long(6_000, None, end=End.TIMEOUT), position=Position.SANDWICH)
add(check, "warn", long(6_000, body=b""))
add(check, "warn", HAPPY, long(6_000), position=Position.SANDWICH)  # the directive at its end was lost
add(check, "warn", long(6_000), long(100_000))
add(check, "inconclusive", long(6_000, 429, PROBLEM))
add(check, "inconclusive", HAPPY)


def chat(tokens: int, finish: str | None, usage: int | None = None) -> Tape:
    """An OpenAI answer to a request that allows 5 tokens."""
    parts: list[dict[str, object]] = [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}] * tokens
    parts += [{"index": 0, "delta": {}, "finish_reason": finish}]
    chunks = [{"object": "chat.completion.chunk", "choices": [part]} for part in parts]
    if usage is not None:
        chunks.append({"object": "chat.completion.chunk", "choices": [], "usage": {"completion_tokens": usage}})
    body = b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in chunks)
    return Tape(scenario="max-output", body=body + b"data: [DONE]\n\n", dialect="openai-chat")


check = "limits.max-output-honoured"
limited = {"takes_limit": True, "dialect": "openai-chat"}
add(check, "pass", chat(5, "length"), **limited)
add(check, "pass", chat(1, "length", usage=5), **limited)
add(check, "pass", chat(3, "stop"), **limited)
add(check, "warn", chat(5, "stop"), **limited)
add(check, "pass", chat(5, "content_filter"), **limited)
add(check, "warn", chat(16, "stop"), **limited)
add(check, "warn", chat(2, "length", usage=9), **limited)
add(check, "not-applicable", chat(16, "stop"), dialect="openai-chat")
# What the endpoint counts is not what its upstream wrote: that is for fidelity.usage.
for judged, wrote in (("pass", 5), ("warn", 9)):
    counted = ledger(token_ns=[START_NS])._replace(tokens=wrote)
    add(check, judged, replace(chat(5, "length", usage=9), upstream=counted), **limited)
add(check, "inconclusive", Tape(scenario="max-output", status=400), **limited)


def among(number: int, status: int | None = 200, body: bytes = TOKEN + LAST, **more: object) -> Tape:
    """One of many streams at once."""
    return Tape(scenario="saturate", variant=f"stream {number}", status=status, body=body, **more)  # type: ignore[arg-type]


load = {"allowed": frozenset({OptIn.LOAD})}
check = "limits.concurrency-429"
add(check, "pass", among(1), among(2), among(3, 429, PROBLEM, headers=AGAIN), **load)
add(check, "warn", among(1), among(2, 429, PROBLEM, headers=NEVER), **load)
add(check, "warn", among(1), among(2, 503, PROBLEM, headers=AGAIN), **load)
add(check, "warn", among(1), among(2, 403, PROBLEM), **load)
add(check, "warn", among(1), among(2, body=ERROR), **load)
add(check, "warn", HAPPY, among(1), among(2, body=b"", timed=((6_000, TOKEN + LAST),)), **load)
add(check, "warn", among(1), among(2, 500, PROBLEM), **load)
add(check, "warn", among(1), among(2, None, end=End.RESET), **load)
add(check, "warn", among(1, body=TOKEN, end=End.RESET), among(2, 429, PROBLEM, headers=AGAIN), **load)
add(check, "inconclusive", among(1), among(2), **load)
add(check, "inconclusive", HAPPY)
in_turn = [
    among(number, body=b"", timed=((4_000 * number, TOKEN), (4_000 * number + 3_900, LAST))) for number in (1, 2, 3)
]
add(check, "warn", HAPPY, *in_turn, **load)


def soon(number: int, status: int | None = 200, body: bytes = TOKEN, **more: object) -> Tape:
    """One of many requests in quick succession."""
    return Tape(scenario="burst", variant=f"request {number}", status=status, body=body, **more)  # type: ignore[arg-type]


check = "limits.rate-429"
add(check, "pass", soon(1), soon(2, 429, PROBLEM, headers=AGAIN), **load)
add(check, "warn", soon(1), soon(2, 429, PROBLEM, headers=NEVER), **load)
add(check, "warn", soon(1), soon(2, 503, PROBLEM), **load)
add(check, "warn", soon(1), soon(2, body=ERROR), **load)
add(check, "warn", soon(1), soon(2, 502, PROBLEM), **load)
add(check, "inconclusive", soon(1), soon(2), **load)
add(check, "inconclusive", HAPPY)

check = "limits.per-user-not-global"
two = {"allowed": frozenset({OptIn.LOAD, OptIn.SECOND_KEY})}
full = (among(1), among(2, 429, PROBLEM, headers=AGAIN))
add(check, "pass", *full, Tape(scenario="second-user", body=TOKEN), **two)
add(check, "warn", *full, Tape(scenario="second-user", status=429, body=PROBLEM), **two)
add(check, "warn", *full, Tape(scenario="second-user", status=500, body=PROBLEM), **two)
add(check, "inconclusive", *full, Tape(scenario="second-user", status=401, body=PROBLEM), **two)
add(check, "inconclusive", among(1), Tape(scenario="second-user", body=TOKEN), **two)
add(check, "inconclusive", *full, **load)


def bird(number: int, *words: str, said: str | None = None, answer_id: str | None = None) -> Tape:
    """A stream that was asked for its own word."""
    told = {"token": "", "done": False} | ({"id": answer_id} if answer_id else {})
    body = b"".join(f"data: {json.dumps(told | {'token': f' {word}'})}\n\n".encode() for word in words)
    return Tape(scenario="canaries", variant=f"stream {number}", body=body + LAST, said=said or f"bird{number}")


check = "limits.parallel-isolation"
add(check, "pass", bird(1, "bird1", "bird1"), bird(2, "bird2"), **load)
add(check, "pass", bird(1, "bird1", answer_id="x"), bird(2, "bird2", answer_id="y"), **load)
add(check, "fail", bird(1, "bird1", "bird2", "bird1"), bird(2, "bird2"), **load)
add(check, "inconclusive", bird(1), bird(2, "bird2"), **load)
add(check, "pass", bird(1, "bird1", answer_id="x"), bird(2, "bird2", answer_id="x"), **load)  # a constant id is no leak
add(check, "inconclusive", bird(1, "rivers", "flow"), bird(2, "bird2"), **load)
add(check, "inconclusive", bird(1, "bird1"), **load)
add(check, "inconclusive", HAPPY)

# resume

WORDS = ("a", "b", "c", "d", "e", "f")
ALL = "".join(WORDS)


def numbered(*at: int, prefix: str = "", words: tuple[str, ...] = WORDS, answer_id: str | None = None) -> bytes:
    """Some of the words, each with its index for an id."""
    told = {"done": False} | ({"id": answer_id} if answer_id else {})
    events = [f"id: {prefix}{index}\ndata: {json.dumps(told | {'token': words[index]})}\n\n" for index in at]
    return "".join(events).encode()


def cut_off(body: bytes, scenario: str = "resume", **more: object) -> Tape:
    return Tape(scenario=scenario, variant="cut", body=body, end=End.CANCELLED, **more)  # type: ignore[arg-type]


def again(body: bytes, status: int = 200, scenario: str = "resume", calls: int = 1, **more: object) -> Tape:
    upstream = ledger()._replace(requests=calls) if "said" in more else None
    return Tape(scenario=scenario, variant="again", body=body, status=status, upstream=upstream, **more)  # type: ignore[arg-type]


known = {"said": ALL}
with_mock = {**known, "upstream": SEEN}
IDS = Tape(body=numbered(*range(6)) + LAST)
HALF = cut_off(numbered(0, 1, 2))
HALF_KNOWN = cut_off(numbered(0, 1, 2), **with_mock)
NAMED = cut_off(numbered(0, 1, 2, prefix="x"))
OTHERS = ("g", "h", "i", "j", "k", "l")
check = "resume.last-event-id-honoured"
add(check, "pass", IDS, HALF, again(numbered(3, 4, 5) + LAST))
add(check, "pass", IDS, NAMED, again(numbered(4, 5, prefix="x") + LAST))  # such ids need not count up
add(check, "pass", IDS, HALF_KNOWN, again(numbered(3, 4, 5) + LAST, **known))
add(check, "warn", IDS, HALF, again(numbered(*range(6)) + LAST))
add(check, "warn", IDS, HALF_KNOWN, again(numbered(*range(6)) + LAST, **known))
add(check, "warn", IDS, HALF_KNOWN, again(numbered(2, 3, 4, 5) + LAST, **known))
add(check, "warn", IDS, HALF, again(numbered(4, 5) + LAST))
add(check, "warn", IDS, HALF, again(numbered(*range(6), words=OTHERS) + LAST))
add(check, "warn", IDS, HALF, again(TOKEN + LAST))
add(check, "warn", IDS, HALF, again(LAST))
add(check, "warn", IDS, HALF, again(PROBLEM, 400, headers=NEVER))
add(check, "warn", IDS, HALF_KNOWN, again(numbered(4, 5) + LAST, **known))
add(check, "warn", IDS, HALF_KNOWN, again(numbered(*range(6), words=OTHERS) + LAST, **known))
add(check, "warn", IDS, HALF_KNOWN, again(numbered(3, 4, 5, words=OTHERS) + LAST, **known))
add(check, "info", IDS, HALF, again(b"", 204))
add(check, "inconclusive", IDS, Tape(scenario="resume", variant="cut", body=numbered(0, 1) + LAST), again(LAST))
add(check, "not-applicable", HAPPY)
check = "resume.no-regeneration"
PLAIN_CUT = cut_off(TOKEN, **with_mock)
GET = Tape(body=TOKEN + LAST, method="GET")
add(check, "pass", IDS, HALF_KNOWN, again(numbered(3, 4, 5) + LAST, **known))
add(check, "pass", GET, PLAIN_CUT, again(b"", 204, calls=1, **known), method="GET")
add(check, "pass", GET, PLAIN_CUT, again(PROBLEM, 409, calls=1, headers=NEVER, **known), method="GET")
add(check, "warn", GET, PLAIN_CUT, again(TOKEN + LAST, calls=2, **known), method="GET")
add(check, "warn", IDS, HALF_KNOWN, again(numbered(*range(6)) + LAST, calls=2, **known))
add(check, "warn", Tape(body=b"retry: 1000\n" + TOKEN), cut_off(b"retry: 1000\n" + TOKEN, **with_mock),
    again(TOKEN + LAST, calls=2, **known))  # fmt: skip
add(check, "inconclusive", GET, cut_off(TOKEN), again(TOKEN + LAST), method="GET")
add(check, "inconclusive", GET, cut_off(TOKEN, **known), again(TOKEN + LAST, **known), method="GET")
add(check, "not-applicable", HAPPY)
first = cut_off(numbered(0, 1, 2, answer_id="one"))
add(check, "pass", IDS, first, again(numbered(3, 4, answer_id="one") + LAST))
add(check, "warn", IDS, first, again(numbered(0, 1, answer_id="two") + LAST))

# security

check = "security.replay-scoped"
two_users = {"scenario": "replay"}
replayed = cut_off(numbered(0, 1, 2), **two_users)  # type: ignore[arg-type]
replayed_known = cut_off(numbered(0, 1, 2), **two_users, **with_mock)  # type: ignore[arg-type]
add(check, "pass", IDS, replayed, again(PROBLEM, 404, headers=NEVER, **two_users))  # type: ignore[arg-type]
add(check, "pass", IDS, replayed, again(b"", 204, **two_users))  # type: ignore[arg-type]
add(check, "pass", IDS, replayed, again(numbered(*range(6), words=OTHERS) + LAST, **two_users))  # type: ignore[arg-type]
add(check, "pass", IDS, replayed_known, again(numbered(*range(6)), calls=2, **two_users, **known))  # type: ignore[arg-type]
add(check, "fail", IDS, replayed_known, again(numbered(*range(6)), calls=1, **two_users, **known))  # type: ignore[arg-type]
add(check, "fail", IDS, replayed_known, again(numbered(3, 4, 5), calls=2, **two_users, **known))  # type: ignore[arg-type]
add(check, "fail", IDS, replayed, again(numbered(3, 4, 5), **two_users))  # type: ignore[arg-type]
add(check, "inconclusive", IDS, replayed, again(numbered(*range(6)), **two_users))  # type: ignore[arg-type]
add(check, "inconclusive", IDS, replayed, again(PROBLEM, 401, **two_users))  # type: ignore[arg-type]
add(check, "inconclusive", IDS)
add(check, "not-applicable", HAPPY)

check = "security.no-raw-provider-error"
BEHIND = ledger()._replace(path="/v1/chat/completions")


def failed(text: str, **more: object) -> Tape:
    """An answer that reports a failure in these words."""
    body = TOKEN + f"event: error\ndata: {json.dumps({'message': text})}\n\n".encode()
    return Tape(scenario="mid-error", body=body, **more)  # type: ignore[arg-type]


add(check, "pass", failed("the answer was cut", upstream=BEHIND), position=Position.SANDWICH)
add(check, "fail", failed("HTTP 500: the upstream model failed", upstream=BEHIND),
    position=Position.SANDWICH)  # fmt: skip
passed_on = ledger()._replace(path="/chat")
add(check, "pass", failed("the upstream model failed while it was generating", upstream=passed_on),
    position=Position.SANDWICH)  # fmt: skip
add(check, "pass", failed("the upstream model failed while it was generating", upstream=BEHIND),
    position=Position.SANDWICH, endpoint_is_mock=True)  # fmt: skip
for text in (
    "Rate limit reached for gpt-4o in organization org-Ab3dEf6hIj",
    "Incorrect API key provided: ***",
    "openai.RateLimitError: 429",
    "System.ClientModel.ClientResultException: HTTP 429",
    "POST https://api.openai.com/v1/chat/completions: 503",
):
    add(check, "fail", failed(text))
add(check, "fail", Tape(scenario="pre-error", status=500, body=b"httpx.ReadTimeout: openai.APITimeoutError"))
add(check, "not-applicable", failed("openai.RateLimitError: 429"), dialect="openai-chat")
add(check, "inconclusive", HAPPY)

# custom.schema

FITS = PayloadSchema(b'{"type":"object","properties":{"token":{"type":"string"}}}', "f.json")
NAMES = PayloadSchema(b'{"events":{"token":{"type":"object"}}}', "f.json")
WRONG = b'data: {"token":5,"done":false}\n\n'
check = "custom.schema"
add(check, "pass", Tape(body=TOKEN + LAST), schema=FITS)
add(check, "pass", Tape(body=TOKEN + b"data: [DONE]\n\n"), schema=FITS)
add(check, "pass", Tape(body=b"event: token\ndata: {}\n\nevent: done\ndata: 5\n\n"), schema=NAMES)
add(check, "fail", Tape(body=TOKEN + WRONG + LAST), schema=FITS)
add(check, "fail", Tape(body=b"data: Hello\n\n"), schema=FITS)
add(check, "fail", Tape(body=TOKEN, scenario="mid-error"), Tape(body=TOKEN + WRONG), schema=FITS)
add(check, "inconclusive", Tape(body=TOKEN), schema=NAMES)
add(check, "not-applicable", Tape(body=TOKEN))
add(check, "not-applicable", Tape(body=b"Hello", headers=headers(content_type="text/plain")), schema=FITS)
