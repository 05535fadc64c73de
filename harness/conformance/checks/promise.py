"""promise.*: whether the endpoint keeps what the [promise] table of its target file says, each tested at its edge."""

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Final

from streamgauge.conformance.cases import HAPPY, Case, Observed, keys_passed_on, printable
from streamgauge.conformance.finding import Finding, inconclusive, met, not_applicable, unmet, worst
from streamgauge.conformance.permissions import REFUSING_MOCK
from streamgauge.conformance.registry import Applies, whole_case
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.promise import BEYOND, LATE, WITHIN, is_refused
from streamgauge.conformance.sources import guides, rfc
from streamgauge.protocol.dialects.base import Kind
from streamgauge.units import SECOND, plural, show_ms
from streamgauge.wire import End, Head

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
SHORTEST_NS: Final = SECOND // 4
"""A shorter stream does not show whether another waited for its end."""
ANSWERED: Final = (
    *HAPPY,
    "pre-error",
    "bad-json",
    "invalid",
    "no-auth",
    "promise-input",
    "promise-concurrent",
    "promise-rate",
)
A_REST: Final = "--long, with which it first waits for the length of the window"
OTHER_USE: Final = "a caller that has used none of its limit, or a later run"


def says_when(head: Head | None) -> bool:
    """Whether Retry-After has seconds or a date (RFC 9110 10.2.3)."""
    value = (head.get("retry-after") if head else None) or ""
    if value.isascii() and value.isdecimal():
        return True
    try:
        return parsedate_to_datetime(value) is not None
    except ValueError:
        return False


def promised(name: str) -> Applies:
    """Only where the target file makes this promise; `retry_after = false` promises nothing."""

    def applies(case: Case) -> str | None:
        value = getattr(case.promise, name)
        return f"the target file promises no {name} ([promise])" if value is None or value is False else None

    return applies


def _edges(case: Case, scenario: str, unit: str, promise: int | None) -> Finding:
    """A promised size is accepted whole, and more is refused before the stream."""
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
        how = "an error in a stream" if within.streams else within.how_it_went()
        went = f"{within.label} gets {how}, although {promise:,} {unit} are promised"
        return unmet(went, within.note(went))
    if _is_shortened(case, within):
        went = f"{within.label} is accepted, but does not reach the model whole"
        return unmet(went, within.note(went))
    if beyond.failed_by_error and not beyond.transcript.tokens:
        went = f"{beyond.label} is refused only by an error in the stream, after the status 200"
        return unmet(went, beyond.at(0))
    if beyond.streams:
        how = "is shortened in silence, and gets a stream" if _is_shortened(case, beyond) else "gets a stream"
        went = f"{beyond.label} {how}, although at most {promise:,} {unit} are promised"
        return unmet(went, beyond.note(went))
    if beyond.status not in REFUSALS:
        went = f"{beyond.label} gets {beyond.how_it_went()} instead of a refusal such as 400 or 413"
        return unmet(went, beyond.note(went))
    return met(f"{within.label.partition('(')[2].rstrip(')')} accepted; {BEYOND}: refused with {beyond.status}")


def _is_shortened(case: Case, seen: Observed) -> bool:
    """Whether the mock, which got the ordinary prompt, did not get this one with the directive at its end."""
    happy = case.of(("happy",))
    return bool(happy and happy[0].upstream) and seen.directed and seen.upstream is None


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
    seen, again = case.of(("promise-concurrent",)), case.of(("promise-in-turn",))
    promise = case.promise.concurrent or 0
    late = [one for one in seen if is_refused(one) and one.streams]
    accepted = [one for one in seen if not is_refused(one)]
    refused = [one for one in seen if one.answered and not one.streams]
    if len(accepted) + len(refused) + len(late) < len(seen):
        return inconclusive("some of the requests got no answer", "an endpoint and a client that are less busy")
    queued = _queued(accepted)
    running = [one for one in accepted if one not in queued]
    if not _overlap(running):
        return inconclusive("some streams ended before all had begun", "longer answers, or the mock as upstream")
    if len(running) < promise:
        return _too_few(promise, running, queued, [*refused, *late], again)
    if len(running) > promise:
        went = f"{len(running)} streams at once were accepted, although {promise} are promised at most"
        return unmet(went, accepted[-1].note(went))
    if queued:
        waited = show_ms(queued[0].wait_ns or 0)
        went = f"stream {promise + 1} is not refused: it waits {waited}, until another has ended"
        return unmet(went, queued[0].note(went))
    if late:
        went = f"stream {promise + 1} is refused only by an error in the stream, after the status 200, instead of 429"
        return unmet(went, late[0].at(0))
    if refused[0].status != 429:
        went = f"stream {promise + 1} gets {refused[0].how_it_went()} instead of 429"
        return unmet(went, refused[0].note(refused[0].how_it_went()))
    return met(f"{promise} streams at once accepted, the next refused with 429")


def _too_few(
    promise: int,
    running: Sequence[Observed],
    queued: Sequence[Observed],
    refused: Sequence[Observed],
    again: Sequence[Observed],
) -> Finding:
    """Fewer streams ran at once than are promised: because of a limit of streams, unless it is one of requests."""
    if any(is_refused(one) for one in again):
        return inconclusive("as many requests one after another meet a limit too: it is one of requests", OTHER_USE)
    if queued:
        went = f"of {promise} promised streams at once {len(running)} ran; the others waited until one had ended"
        return unmet(went, queued[0].note(f"its first token came after {show_ms(queued[0].wait_ns or 0)}"))
    went = f"of {promise} promised streams at once {len(running)} were accepted"
    return unmet(went, refused[0].note(refused[0].how_it_went()))


def _queued(accepted: Sequence[Observed]) -> list[Observed]:
    """The streams that began only when another had ended: half of its length later than the quickest, at least."""
    if not accepted:
        return []
    first = min(accepted, key=lambda one: one.transcript.capture.end_ns or one.transcript.capture.start_ns)
    end_ns = first.transcript.capture.end_ns or first.transcript.capture.start_ns
    lasted_ns = end_ns - first.transcript.capture.start_ns
    quickest_ns = min(one.wait_ns or 0 for one in accepted)
    if lasted_ns < SHORTEST_NS:
        return []
    return [
        one
        for one in accepted
        if one.wait_ns is not None
        and one.transcript.capture.start_ns + one.wait_ns >= end_ns
        and one.wait_ns - quickest_ns >= lasted_ns / 2
    ]


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
        "As many requests as promised are accepted in their window, and one more is refused with 429.",
        references=(guides("a rate limit for each user"), rfc(6585, "4", "429 Too Many Requests")),
        fix="Count each caller's requests in a window before the model is asked, and refuse with 429 and Retry-After.",
    ),
    scenarios=("promise-rate",),
    applies=promised("rate"),
    expected="429 at the latest for the request after the promised number",
)
def rate(case: Case) -> Finding:
    """Exact after a rest of one window; otherwise other requests, of this run and of others, count as well."""
    seen = sorted(case.of(("promise-rate",)), key=lambda one: one.transcript.capture.start_ns)
    rounds = max(one.size or 1 for one in seen)
    seen = [one for one in seen if (one.size or 1) == rounds]
    count, window_ns = case.promise.requests or 0, (case.promise.window_s or 0) * SECOND
    accepted = [one for one in seen if one.answered and not is_refused(one)]
    refused = next((one for one in seen if one.answered and is_refused(one)), None)
    took_ns = seen[-1].transcript.capture.start_ns - seen[0].transcript.capture.start_ns
    if refused is None:
        return _never_refused(case, seen, accepted, count, took_ns, window_ns)
    number = len(accepted) + 1
    if refused.streams:
        went = f"request {number} is refused only by an error in the stream, after the status 200, instead of 429"
        return unmet(went, refused.at(0))
    if refused.status not in (429, 503) and number <= count:
        went = f"request {number} of {count} promised ones gets {refused.how_it_went()}"
        return inconclusive(went, "an endpoint that does not fail when requests come in quick succession")
    if refused.status != 429:
        went = f"request {number} gets {refused.how_it_went()} instead of 429"
        return unmet(went, refused.note(refused.how_it_went()))
    if any((one.silence_ns or 0) >= window_ns for one in seen):
        return _after_a_rest(case, accepted, refused, count, rounds)
    return _amid_others(case, seen, accepted, refused, count, window_ns)


def _never_refused(
    case: Case, seen: Sequence[Observed], accepted: Sequence[Observed], count: int, took_ns: int, window_ns: int
) -> Finding:
    if len(accepted) < len(seen):
        silent = next(one for one in seen if not one.answered)
        why = f"{silent.label} gets no answer: {silent.how_it_went()}"
        return inconclusive(why, "an endpoint that answers in time")
    # A window may turn once meanwhile, and then twice as many are right.
    if len(accepted) <= 2 * count or took_ns > window_ns:
        return inconclusive(
            f"{len(accepted)} requests took {took_ns / SECOND:.1f} s, too slow for a rate of {case.promise.rate}",
            "an endpoint that answers faster, or the mock as upstream",
        )
    went = f"{len(accepted)} requests in {took_ns / SECOND:.1f} s were all accepted; promised are {case.promise.rate}"
    return unmet(went, seen[-1].note(went))


def _after_a_rest(case: Case, accepted: Sequence[Observed], refused: Observed, count: int, rounds: int) -> Finding:
    """The limit of an endpoint that had no request of this run for a whole window."""
    shown = f"after a rest {plural(len(accepted), 'request')} in a row accepted, then 429"
    if len(accepted) < count:
        went = f"{shown}; promised are {case.promise.rate}: the limit is lower, or is one of bursts"
        return unmet(went, refused.note(went))
    if len(accepted) == count:
        return met(shown)
    if rounds > 1:
        went = f"{shown}, twice; promised are {case.promise.rate}"
        return unmet(went, refused.note(went))
    return inconclusive(f"{shown}: a window may have turned meanwhile", "a later run")


def _amid_others(
    case: Case,
    seen: Sequence[Observed],
    accepted: Sequence[Observed],
    refused: Observed,
    count: int,
    window_ns: int,
) -> Finding:
    """The limit is somewhere between the streams and all the requests of this run in one window."""
    at_ns = refused.transcript.capture.start_ns
    earlier = [
        one
        for one in case.observed
        if one not in seen and one.answered and at_ns - window_ns < one.transcript.capture.start_ns < at_ns
    ]
    surely = len(accepted) + sum(one.streams for one in earlier)
    at_most = len(accepted) + len(earlier)
    shown = f"429 after {plural(len(accepted), 'request')} in a row, and {len(earlier)} of this run before them"
    if surely <= count <= at_most:
        return met(f"{shown}, within the window")
    why = "the limit is lower, or others use it too" if at_most < count else "the limit is higher, or a window turned"
    return inconclusive(f"{shown}; promised are {case.promise.rate}: {why}", A_REST)


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
    found = [_beats(case, seen) for seen in case.of(("promise-heartbeat",))]
    return worst(found, inconclusive("no stream came", "an endpoint that answers with a stream"))


def _beats(case: Case, seen: Observed) -> Finding:
    """From the request on: the longest wait of a user is the one before the first token."""
    promised_ns, capture = case.promise.heartbeat_ns or 0, seen.transcript.capture
    times = [capture.sent_ns or capture.start_ns, *(read.t_ns for read in capture.reads)]
    times += [capture.end_ns] if capture.end_ns is not None else []
    longest_ns = max(after - before for before, after in pairwise(times)) if len(times) > 1 else 0
    promised = f"promised is a sign every {case.promise.heartbeat}"
    shown = f"{seen.label}: the longest silence is {show_ms(longest_ns)}, {promised}"
    if longest_ns > LATE * promised_ns:
        return unmet(shown, seen.at(len(seen.transcript.body)))
    if not seen.streams:
        return inconclusive(f"no stream came: {seen.how_it_went()}", "an endpoint that answers with a stream")
    return met(shown)


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
    expected="Retry-After with seconds or a date, with 429 and 503",
)
def retry_after(case: Case) -> Finding:
    refused = [seen for seen in case.observed if seen.status in (429, 503)]
    if not refused:
        return inconclusive("nothing was refused with 429 or 503", "--allow-load, or --mock URL")
    without = [seen for seen in refused if not says_when(seen.head)]
    if without:
        given = without[0].head.get("retry-after") if without[0].head else None
        how = "without Retry-After" if given is None else f"with Retry-After: {printable(given, 60)!r}"
        went = f"{without[0].label}: {without[0].status} {how} ({len(without)} of {len(refused)})"
        return unmet(went, without[0].header("Retry-After"))
    return met(f"{plural(len(refused), 'refusal')} with Retry-After")


@whole_case(
    Requirement(
        "promise.request-id",
        MUST,
        Severity.MEDIUM,
        Basis.GUIDE,
        "Every answer, refusals included, has a request id in its head, and each its own.",
        references=(guides("log the request id"),),
        fix="Set X-Request-Id on every response, refusals included, and log it.",
    ),
    scenarios=ANSWERED,
    applies=promised("request_id"),
    expected="an id in X-Request-Id or a header like it, different for each answer",
)
def request_id(case: Case) -> Finding:
    answered = [seen for seen in case.of(ANSWERED) if seen.answered]
    ids: dict[str, Observed] = {}
    for seen in answered:
        value = next((found for name in REQUEST_ID if seen.head and (found := seen.head.get(name))), None)
        if value is None:
            return unmet(f"{seen.label} has no request id", seen.note(f"none of {', '.join(REQUEST_ID)}"))
        if value in ids:
            went = f"{ids[value].label} and {seen.label} have the same id {printable(value, 60)!r}"
            return unmet(went, seen.note(went))
        ids[value] = seen
    if not ids:
        return not_applicable("no request was answered")
    return met(f"{plural(len(ids), 'answer')} with ids of their own")


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
    passed_on = keys_passed_on(tried)
    open_to = next((seen for seen in tried if seen.streams and seen not in passed_on), None)
    if open_to is not None:
        return unmet(f"a request with {open_to.variant} gets a stream", open_to.note(open_to.how_it_went()))
    other = next((seen for seen in tried if not seen.streams and seen.status not in (401, 403)), None)
    if other is not None and other.status in (None, 429, 503):
        return inconclusive(f"a request with {other.variant} gets {other.how_it_went()}", OTHER_USE)
    if other is not None:
        return unmet(f"a request with {other.variant} gets {other.how_it_went()}", other.note(other.how_it_went()))
    if passed_on:
        return inconclusive("the endpoint passes the caller's key on, and the mock takes every key", REFUSING_MOCK)
    return (
        met("requests without a credential, and with a wrong one, are refused")
        if tried
        else inconclusive("no request was made without the credential", "--api-key-env VAR or --header")
    )
