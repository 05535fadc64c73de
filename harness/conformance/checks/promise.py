"""promise.*: whether the endpoint keeps what the [promise] table of its target file says, each tested at its edge."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from streamgauge.conformance.cases import Case, Observed, printable
from streamgauge.conformance.finding import Finding, inconclusive, met, not_applicable, unmet
from streamgauge.conformance.registry import Applies, whole_case
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.ordinary import HAPPY
from streamgauge.conformance.scenarios.promise import BEYOND, LATE, WITHIN
from streamgauge.conformance.sources import guides, rfc
from streamgauge.protocol.dialects.base import Kind
from streamgauge.units import SECOND, show_ms
from streamgauge.wire import End

REFUSALS: Final = frozenset({400, 413, 414, 422})
REQUEST_ID: Final = (
    "x-request-id",
    "request-id",
    "x-correlation-id",
    "x-ms-request-id",
    "apim-request-id",
    "traceparent",
)
EARLY: Final = 0.9
OTHER_USE: Final = "a caller that has used none of its limit, or a later run"


def promised(name: str) -> Applies:
    """Only where the target file makes this promise; `retry_after = false` promises nothing."""

    def applies(case: Case) -> str | None:
        value = getattr(case.promise, name)
        return f"the target file promises no {name} ([promise])" if value is None or value is False else None

    return applies


def _edges(case: Case, scenario: str, unit: str, promise: int | None) -> Finding:
    """A promised size is accepted, and more is refused before the stream."""
    within, beyond = (_labelled(case, scenario, edge) for edge in (WITHIN, BEYOND))
    if within is None or beyond is None:
        return inconclusive("the request has no place for a prompt", "{{prompt}} in the URL or in --body FILE")
    for seen in (within, beyond):
        if seen.status == 429:
            return inconclusive(f"{seen.label} meets a rate limit", OTHER_USE)
        if not seen.answered:
            return inconclusive(
                f"{seen.label} gets no answer: {seen.how_it_went()}", "an endpoint that answers in time"
            )
    if not within.streams or within.failed_by_error:
        went = f"{within.label} gets {within.how_it_went()}, although {promise:,} {unit} are promised"
        return unmet(went, within.note(went))
    if beyond.streams:
        went = f"{beyond.label} gets a stream, although at most {promise:,} {unit} are promised"
        return unmet(went, beyond.note(went))
    if beyond.status not in REFUSALS:
        went = f"{beyond.label} gets {beyond.how_it_went()} instead of a refusal such as 400 or 413"
        return unmet(went, beyond.note(went))
    return met(f"{within.label.partition('(')[2].rstrip(')')} accepted; {BEYOND}: refused with {beyond.status}")


def _labelled(case: Case, scenario: str, edge: str) -> Observed | None:
    return next((seen for seen in case.of((scenario,)) if (seen.variant or "").startswith(edge)), None)


@whole_case(
    Requirement(
        "promise.max-input",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "A prompt of the promised length is accepted, and one character more is refused before the stream.",
        references=(guides("a prompt has at most 5,000 characters"), guides("validate before the stream starts")),
        fix="Count characters before the model is asked, and refuse more than the limit with 400 or 413.",
    ),
    scenarios=("promise-input",),
    applies=promised("max_input"),
    expected="max_input characters accepted, max_input + 1 refused",
)
def max_input(case: Case) -> Finding:
    return _edges(case, "promise-input", "characters", case.promise.max_input)


@whole_case(
    Requirement(
        "promise.context",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "A prompt well below the promised context is accepted, and one far above it is refused before the stream.",
        references=(guides("context limits"), guides("validate before the stream starts")),
        fix="Count the prompt's tokens before the model is asked, or pass the model's own refusal on as 400.",
    ),
    scenarios=("promise-context",),
    applies=promised("context"),
    expected="a quarter of the context in words accepted, twice the context refused",
)
def context(case: Case) -> Finding:
    return _edges(case, "promise-context", "tokens of context", case.promise.context)


@whole_case(
    Requirement(
        "promise.concurrent",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "As many streams at once as promised are accepted, and the next one is refused with 429.",
        references=(
            guides("at most 10 streams at once, and 429 for the next"),
            rfc(6585, "4", "429 Too Many Requests"),
        ),
        fix="Take a permit for each stream before the model is asked, and refuse with 429 when none is free.",
    ),
    scenarios=("promise-concurrent",),
    applies=promised("concurrent"),
    expected="`concurrent` streams accepted, one more refused with 429",
)
def concurrent(case: Case) -> Finding:
    seen = case.of(("promise-concurrent",))
    promise = case.promise.concurrent or 0
    accepted = [one for one in seen if one.streams]
    refused = [one for one in seen if one.answered and not one.streams]
    if len(accepted) + len(refused) < len(seen):
        return inconclusive("some of the requests got no answer", "an endpoint and a client that are less busy")
    if not _overlap(accepted):
        return inconclusive("some streams ended before all had begun", "longer answers, or the mock as upstream")
    if len(accepted) < promise:
        went = f"of {promise} promised streams at once {len(accepted)} were accepted"
        return unmet(went, refused[0].note(refused[0].how_it_went()))
    if not refused:
        went = f"{len(accepted)} streams at once were accepted, although {promise} are promised at most"
        return unmet(went, accepted[-1].note(went))
    if refused[0].status != 429:
        went = f"stream {promise + 1} gets {refused[0].how_it_went()} instead of 429"
        return unmet(went, refused[0].note(refused[0].how_it_went()))
    return met(f"{len(accepted)} streams at once accepted, the next refused with 429")


def _overlap(streams: Sequence[Observed]) -> bool:
    """Whether all streams were open at one moment."""
    captures = [one.transcript.capture for one in streams]
    ends = [capture.end_ns for capture in captures if capture.end_ns is not None]
    return not ends or max(capture.sent_ns or capture.start_ns for capture in captures) < min(ends)


@whole_case(
    Requirement(
        "promise.rate",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "A request beyond the promised rate is refused with 429.",
        references=(guides("a rate limit for each user"), rfc(6585, "4", "429 Too Many Requests")),
        fix="Count each caller's requests in a window before the model is asked, and refuse with 429 and Retry-After.",
    ),
    scenarios=("promise-rate",),
    applies=promised("rate"),
    expected="429 at the latest for the request after the promised number",
)
def rate(case: Case) -> Finding:
    """Fewer than promised may be accepted: earlier requests of this run count as well."""
    seen = sorted(case.of(("promise-rate",)), key=lambda one: one.transcript.capture.start_ns)
    count, window_s = case.promise.requests or 0, case.promise.window_s or 0
    accepted = [one for one in seen if one.streams]
    refused = [one for one in seen if one.answered and not one.streams]
    if refused and refused[0].status == 429:
        return met(f"after {len(accepted)} requests in a row, and those before them, comes 429")
    if refused:
        went = f"request {len(accepted) + 1} gets {refused[0].how_it_went()} instead of 429"
        return unmet(went, refused[0].note(refused[0].how_it_went()))
    took_ns = seen[-1].transcript.capture.start_ns - seen[0].transcript.capture.start_ns
    if len(accepted) <= count or took_ns > window_s * SECOND:
        return inconclusive(
            f"{len(accepted)} requests took {took_ns / SECOND:.0f} s, longer than the window of {window_s} s",
            "an endpoint that answers faster, or the mock as upstream",
        )
    went = f"{len(accepted)} requests in {took_ns / SECOND:.1f} s were all accepted; promised are {case.promise.rate}"
    return unmet(went, seen[-1].note(went))


@whole_case(
    Requirement(
        "promise.duration",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "A stream without an end goes on for the promised time, and then ends with a reason.",
        references=(guides("a ceiling for every stream: 30, 60 or 120 s"),),
        fix="Give each stream a deadline, and send an error event or a finish reason before the end.",
    ),
    scenarios=("promise-duration",),
    applies=promised("duration"),
    expected="an end between 90 % and 125 % of the promised time, with an error event or a finish reason",
)
def duration(case: Case) -> Finding:
    seen = case.of(("promise-duration",))[0]
    promised_ns, capture = case.promise.duration_ns or 0, seen.transcript.capture
    if not seen.streams:
        return inconclusive(f"no stream came: {seen.how_it_went()}", "an endpoint that answers with a stream")
    lasted_ns = (capture.end_ns or capture.start_ns) - (capture.sent_ns or capture.start_ns)
    shown = f"{lasted_ns / SECOND:.1f} s, promised are {case.promise.duration}"
    at = seen.at(len(seen.transcript.body))
    if capture.end is End.TIMEOUT or lasted_ns > LATE * promised_ns:
        return unmet(f"the stream still runs after {shown}", at)
    if lasted_ns < EARLY * promised_ns:
        return unmet(f"the stream ends after {shown}", at)
    if not seen.failed_by_error and seen.transcript.first(Kind.FINISH) is None:
        return unmet(f"the stream ends after {shown}, as if the answer were complete", at)
    return met(f"the stream ends after {shown}")


@whole_case(
    Requirement(
        "promise.heartbeat",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "While the model is silent, something comes at least as often as promised.",
        references=(guides("an empty comment every 15 s"),),
        fix="Send an empty comment whenever nothing was written for the promised time.",
    ),
    scenarios=("promise-heartbeat",),
    applies=promised("heartbeat"),
    expected="no silence longer than 125 % of the promised time",
)
def heartbeat(case: Case) -> Finding:
    seen = case.of(("promise-heartbeat",))[0]
    promised_ns, capture = case.promise.heartbeat_ns or 0, seen.transcript.capture
    if not seen.streams:
        return inconclusive(f"no stream came: {seen.how_it_went()}", "an endpoint that answers with a stream")
    times = [read.t_ns for read in capture.reads] + ([capture.end_ns] if capture.end_ns is not None else [])
    longest_ns = max((after - before for before, after in pairwise(times)), default=0)
    shown = f"the longest silence is {show_ms(longest_ns)}, promised is a sign every {case.promise.heartbeat}"
    return met(shown) if longest_ns <= LATE * promised_ns else unmet(shown, seen.at(len(seen.transcript.body)))


@whole_case(
    Requirement(
        "promise.retry-after",
        MUST,
        Severity.MEDIUM,
        Basis.GUIDE,
        "Every 429 and 503 says in Retry-After when to come back.",
        references=(rfc(9110, "10.2.3", "Retry-After"), rfc(6585, "4", "429 Too Many Requests")),
        fix="Set Retry-After in whole seconds wherever the code refuses with 429 or 503.",
    ),
    scenarios=("promise-concurrent", "promise-rate", "pre-error"),
    applies=promised("retry_after"),
    watches=True,
    expected="Retry-After with 429 and 503",
)
def retry_after(case: Case) -> Finding:
    refused = [seen for seen in case.observed if seen.status in (429, 503)]
    if not refused:
        return inconclusive("nothing was refused with 429 or 503", "--allow-load, or --mock URL")
    without = [seen for seen in refused if seen.head is None or seen.head.get("retry-after") is None]
    if without:
        went = f"{without[0].label}: {without[0].status} without Retry-After ({len(without)} of {len(refused)})"
        return unmet(went, without[0].header("Retry-After"))
    return met(f"{len(refused)} refusals have Retry-After")


@whole_case(
    Requirement(
        "promise.request-id",
        MUST,
        Severity.MEDIUM,
        Basis.GUIDE,
        "Every answer has a request id in its head, and each its own.",
        references=(guides("log the request id"),),
        fix="Set X-Request-Id on every response, refusals included, and log it.",
    ),
    scenarios=(*HAPPY, "pre-error"),
    applies=promised("request_id"),
    expected="an id in X-Request-Id or a header like it, different for each answer",
)
def request_id(case: Case) -> Finding:
    answered = [seen for seen in case.of((*HAPPY, "pre-error")) if seen.answered]
    ids: dict[str, Observed] = {}
    for seen in answered:
        value = next((found for name in REQUEST_ID if seen.head and (found := seen.head.get(name))), None)
        if value is None:
            return unmet(f"{seen.label} has no request id", seen.note(f"none of {', '.join(REQUEST_ID)}"))
        if value in ids:
            went = f"{ids[value].label} and {seen.label} have the same id {printable(value, 60)!r}"
            return unmet(went, seen.note(went))
        ids[value] = seen
    return met(f"{len(ids)} answers have ids of their own") if ids else not_applicable("no request was answered")


@whole_case(
    Requirement(
        "promise.auth",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "A request without a credential, or with a wrong one, is refused with 401 or 403 before the stream.",
        references=(guides("authenticate before the stream starts"), rfc(9110, "15.5.2", "401 Unauthorized")),
        breaks="Anybody can spend the owner's tokens.",
        fix="Require authentication on the route of the stream, before the model is asked.",
    ),
    scenarios=("happy", "no-auth"),
    applies=promised("auth"),
    expected="401 or 403 without a credential",
)
def auth(case: Case) -> Finding:
    tried = case.of(("no-auth",))
    if not case.has_credential:
        happy = case.of(("happy",))
        if happy and happy[0].streams:
            return unmet("a request without any credential gets a stream", happy[0].note(happy[0].how_it_went()))
        return inconclusive("the target has no credential", "--api-key-env VAR or --header")
    open_to = next((seen for seen in tried if seen.streams), None)
    if open_to is not None:
        return unmet(f"a request with {open_to.variant} gets a stream", open_to.note(open_to.how_it_went()))
    other = next((seen for seen in tried if seen.status not in (401, 403)), None)
    if other is not None:
        return unmet(f"a request with {other.variant} gets {other.how_it_went()}", other.note(other.how_it_went()))
    return (
        met("requests without a credential, and with a wrong one, are refused")
        if tried
        else inconclusive("no request was made without the credential", "--api-key-env VAR or --header")
    )
