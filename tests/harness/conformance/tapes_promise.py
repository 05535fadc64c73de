"""Examples for promises that are kept and broken."""

from dataclasses import replace
from typing import Any

from streamgauge.diagnosis.cancellation import Upstream
from streamgauge.endpoint.promise import Promise
from streamgauge.units import SECOND as SECOND_NS
from streamgauge.wire import End
from tests.harness.conformance.tapes import Examples, Tape, headers, ledger
from tests.harness.conformance.tapes_upstream import CHAT, DONE, ERROR, LAST, STOP, TOKEN

examples = Examples()

REFUSED = headers(content_type="application/json")
BODY = b'{"error":{"message":"no"}}'


def refused(scenario: str, status: int, variant: str | None = None, **more: Any) -> Tape:
    return Tape(
        **{"scenario": scenario, "status": status, "variant": variant, "body": BODY, "headers": REFUSED, **more}
    )


def stream(scenario: str, variant: str | None = None, body: bytes = TOKEN + LAST, **more: Any) -> Tape:
    return Tape(scenario=scenario, variant=variant, body=body, **more)


def used(credential: str) -> Upstream:
    """The mock's ledger of a request that carried this credential."""
    return ledger()._replace(credential=credential)


def add(check: str, verdict: str, promise: dict[str, Any], *tapes: Tape, **facts: Any) -> None:
    examples.add(check, verdict, *tapes, promise=Promise(**promise), **facts)


for check, scenario, promise in (
    ("promise.max-input", "promise-input", {"max_input": 5000}),
    ("promise.context", "promise-context", {"context": 4096}),
):
    within, beyond = "within: 5,000 characters", "beyond: 5,001 characters"
    add(check, "pass", promise, stream(scenario, within), refused(scenario, 400, beyond))
    add(check, "pass", promise, stream(scenario, within), refused(scenario, 413, beyond))
    add(check, "fail", promise, stream(scenario, within), stream(scenario, beyond))
    add(check, "fail", promise, stream(scenario, within), refused(scenario, 500, beyond))
    add(check, "fail", promise, refused(scenario, 400, within), refused(scenario, 400, beyond))
    add(check, "fail", promise, stream(scenario, within, ERROR), refused(scenario, 400, beyond))
    add(check, "inconclusive", promise, refused(scenario, 429, within), refused(scenario, 400, beyond))
    add(check, "inconclusive", promise, stream(scenario, within), stream(scenario, beyond, status=None))
    add(check, "inconclusive", promise, stream(scenario, within))
    add(check, "fail", promise, stream(scenario, within), stream(scenario, beyond, ERROR))
    # The mock got the ordinary prompt, but not the directive at the end of a long one.
    happy = stream("happy", upstream=used("own"))
    add(check, "fail", promise, happy, stream(scenario, within, directed=True), refused(scenario, 400, beyond))
    add(check, "pass", promise, happy, stream(scenario, within), refused(scenario, 400, beyond))
    add(check, "not-applicable", {}, stream(scenario, within))

check = "promise.concurrent"
TWO = {"concurrent": 2}


def at_once(*statuses: int, **more: Any) -> list[Tape]:
    return [
        stream("promise-concurrent", str(number), end_ms=100, **more)
        if status == 200
        else refused("promise-concurrent", status, str(number))
        for number, status in enumerate(statuses)
    ]


add(check, "pass", TWO, *at_once(200, 200, 429))
add(check, "fail", TWO, *at_once(200, 200, 200))
add(check, "fail", TWO, *at_once(200, 429, 429))
add(check, "fail", TWO, *at_once(200, 200, 503))
add(check, "inconclusive", TWO, *at_once(200, 200), stream("promise-concurrent", "2", sent_ms=200, end_ms=300))
add(check, "inconclusive", TWO, *at_once(200, 200), stream("promise-concurrent", "2", status=None))
add(check, "fail", TWO, *at_once(200, 200), stream("promise-concurrent", "2", ERROR, end_ms=5))
add(check, "fail", TWO, *at_once(200, 429, 429), stream("promise-in-turn"), stream("promise-in-turn"))
add(check, "inconclusive", TWO, *at_once(200, 429, 429), stream("promise-in-turn"), refused("promise-in-turn", 429))


def held(variant: str, first_ms: float, end_ms: float) -> Tape:
    return Tape(scenario="promise-concurrent", variant=variant, timed=((first_ms, TOKEN), (end_ms, LAST)))


# The last waits in a queue; one runs and the others wait; a server that sends each answer at its end.
add(check, "fail", TWO, held("0", 50, 3050), held("1", 50, 3060), held("2", 3100, 6100))
add(check, "fail", TWO, held("0", 50, 3050), held("1", 3100, 6050), refused("promise-concurrent", 429, "2"))
add(check, "pass", TWO, held("0", 3000, 3001), held("1", 3010, 3011), refused("promise-concurrent", 429, "2"))
add(check, "not-applicable", {}, *at_once(200))

check = "promise.rate"
RATE = {"rate": "2/min"}


def row(*statuses: int) -> list[Tape]:
    return [stream("promise-rate") if status == 200 else refused("promise-rate", status) for status in statuses]


def rested(*statuses: int, size: int = 1) -> list[Tape]:
    """A row after a rest of the window."""
    return [replace(tape, silence_ns=63 * SECOND_NS, size=size) for tape in row(*statuses)]


BEFORE = stream("happy", start_ms=-500)
add(check, "pass", RATE, *row(200, 200, 429))
add(check, "pass", RATE, BEFORE, replace(BEFORE, scenario="happy-2"), *row(429))
add(check, "fail", RATE, *row(*[200] * 5))  # a window may turn once, so 3 and 4 prove nothing
add(check, "fail", RATE, *row(200, 200, 503))
add(check, "fail", RATE, *row(200, 503))
add(check, "fail", RATE, *row(200, 200), stream("promise-rate", body=ERROR))
add(check, "fail", RATE, *rested(200, 429))
add(check, "fail", RATE, *rested(200, 200, 200, 429), *rested(200, 200, 200, 429, size=2))
add(check, "pass", RATE, *rested(200, 200, 200, 429), *rested(200, 200, 429, size=2))
add(check, "pass", RATE, *rested(200, 200, 429))
add(check, "inconclusive", RATE, *rested(200, 200, 200, 429))
add(check, "inconclusive", RATE, *row(429))
add(check, "inconclusive", RATE, *row(200, 200, 200, 429))
add(check, "inconclusive", RATE, *row(200, 500))
add(check, "inconclusive", RATE, *row(200, 200))
add(check, "inconclusive", RATE, *row(200, 200), stream("promise-rate", status=None))
add(check, "not-applicable", {}, *row(200))

check = "promise.duration"
MINUTE = {"duration": "60s"}
add(check, "pass", MINUTE, stream("promise-duration", body=TOKEN + ERROR, end_ms=60_500))
add(check, "pass", MINUTE, stream("promise-duration", body=CHAT + STOP % b"length" + DONE, end_ms=60_500))
add(check, "fail", MINUTE, stream("promise-duration", body=TOKEN + LAST, end_ms=60_500))
add(check, "fail", MINUTE, stream("promise-duration", body=TOKEN + ERROR, end_ms=30_000))
add(check, "fail", MINUTE, stream("promise-duration", body=TOKEN, end=End.TIMEOUT, end_ms=80_000))
add(check, "inconclusive", MINUTE, refused("promise-duration", 500))
add(check, "not-applicable", {}, stream("promise-duration"))

check = "promise.heartbeat"
BEAT = {"heartbeat": "15s"}


def silent(*at_ms: float) -> Tape:
    return Tape(scenario="promise-heartbeat", timed=((2.0, TOKEN), *((at, b":\n\n") for at in at_ms), (45_000.0, LAST)))


add(check, "pass", BEAT, silent(15_000, 30_000))
add(check, "fail", BEAT, silent())
add(check, "fail", BEAT, silent(15_000))
add(check, "inconclusive", BEAT, refused("promise-heartbeat", 500))
# Silence before the first byte, at the end or before a refusal is silence too.
LATE_HEAD = Tape(scenario="promise-heartbeat", head_ms=45_000, timed=((45_001.0, TOKEN + LAST),))
add(check, "fail", BEAT, LATE_HEAD)
add(check, "fail", BEAT, replace(refused("promise-heartbeat", 504), head_ms=30_000, timed=((30_001.0, BODY),)))
add(check, "fail", BEAT, silent(15_000, 30_000), replace(LATE_HEAD, variant="before the first token"))
add(check, "not-applicable", {"duration": "5s"}, silent())

check = "promise.retry-after"
AFTER = {"retry_after": True}
add(check, "pass", AFTER, refused("promise-rate", 429, headers=headers(retry_after="5")))
add(check, "fail", AFTER, refused("promise-rate", 429))
add(check, "fail", AFTER, refused("pre-error", 503), refused("promise-rate", 429, headers=headers(retry_after="5")))
add(check, "inconclusive", AFTER, refused("pre-error", 500))
add(check, "fail", AFTER, refused("promise-rate", 429, headers=headers(retry_after="soon")))
add(check, "pass", AFTER, refused("pre-error", 503, headers=headers(retry_after="Fri, 31 Dec 2027 23:59:59 GMT")))
add(check, "not-applicable", {"retry_after": False}, refused("promise-rate", 429))

check = "promise.request-id"
ID = {"request_id": True}
FIRST, SECOND = headers(x_request_id="one"), headers(x_request_id="two")
add(check, "pass", ID, stream("happy", headers=FIRST), stream("happy-2", headers=SECOND))
add(check, "fail", ID, stream("happy", headers=FIRST), stream("happy-2", headers=FIRST))
add(check, "fail", ID, stream("happy", headers=FIRST), refused("pre-error", 500))
add(check, "fail", ID, stream("happy", headers=FIRST), refused("bad-json", 400))
add(check, "fail", ID, stream("happy", headers=FIRST), refused("promise-rate", 429))
add(check, "not-applicable", {}, stream("happy"))

check = "promise.auth"
AUTH = {"auth": True}
add(check, "pass", AUTH, stream("happy"), refused("no-auth", 401), refused("no-auth", 403), has_credential=True)
add(check, "fail", AUTH, stream("happy"), stream("no-auth", "no credential"), has_credential=True)
add(check, "fail", AUTH, stream("happy"), refused("no-auth", 500), has_credential=True)
add(check, "fail", AUTH, stream("happy"))
add(check, "inconclusive", AUTH, stream("happy"), has_credential=True)
add(check, "inconclusive", AUTH, stream("happy"), refused("no-auth", 429), has_credential=True)
# The mock takes any key: who passes the caller's key on leaves it to the upstream to check it.
KEY = frozenset({"wrong"})
PASSED = stream("no-auth", "a wrong credential", credentials=KEY, upstream=used("wrong"))
OWN = stream("no-auth", "a wrong credential", credentials=KEY, upstream=used("own"))
add(check, "inconclusive", AUTH, stream("happy"), refused("no-auth", 401), PASSED, has_credential=True)
add(check, "fail", AUTH, stream("happy"), refused("no-auth", 401), OWN, has_credential=True)
add(check, "not-applicable", {"auth": False}, stream("happy"))
