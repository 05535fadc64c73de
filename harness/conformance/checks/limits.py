"""limits.*: whether limits of size, time and number are reported properly."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.finding import Finding, inconclusive, met, unmet, worst
from streamgauge.conformance.payloads import reported_tokens
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.concurrent import MAX_OUTPUT
from streamgauge.conformance.sources import ANTHROPIC, GEMINI, OPENAI_CHAT, guides, rfc
from streamgauge.conformance.wants import stream
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.outcome import Outcome
from streamgauge.units import SECOND, show_ms
from streamgauge.wire import End, succeeds

TOO_MANY: Final = rfc(6585, "4", "429 Too Many Requests")
ASPNET_LIMITS: Final = "https://learn.microsoft.com/aspnet/core/performance/rate-limit"
LARGEST: Final = 1_000_000
TOO_LONG: Final = (400, 413, 414, 422, 431)
REFUSED: Final = (429, 503)
QUEUED_NS: Final = 5 * SECOND
LEAST_IN_TURN: Final = 3  # streams
MORE_STREAMS: Final = "--allow-load with a larger --max-streams"
OTHER_STATUS: Final = "Refuse with the status 429 and Retry-After: 503 says that the service is down for everybody."
_OF_ITSELF: Final = ("stop", "end_turn", "complete", "completed")
"""Reasons that deny the length as the cause. Of others, such as a filter or a tool call, the length tells nothing."""


@whole_case(
    Requirement(
        "limits.input-size",
        SHOULD,
        Severity.HIGH,
        Basis.GUIDE,
        "Input above a bound is refused with 400, 413 or 422 (in a URL 414 or 431) before the stream begins.",
        references=(
            guides("a prompt has at most 5,000 characters"),
            rfc(9110, "15.5.14", "413 Content Too Large"),
            rfc(9110, "15.5.15", "414 URI Too Long"),
        ),
        breaks="Anybody can run up the cost, and long prompts fail only in production, where a proxy's limits differ.",
        fix="Bound the prompt, answer 400 or 413 above it, and take prompts in a body rather than in the URL.",
        causes={
            "broken-connection": (
                "Answer 413 and read the rest of the body before closing: a connection that is broken while the "
                "client sends hides the answer."
            ),
            "shortened": (
                "Refuse a prompt that is too long with 400 or 413; a prompt that is shortened in silence gets the "
                "wrong answer."
            ),
            "late-refusal": (
                "Count the prompt before the head is sent: a refusal in the stream is too late for the status."
            ),
            "no-answer": "Give an answer to every prompt: 413 above the limit, without asking the model.",
        },
    ),
    scenarios=("oversize",),
    expected="a refusal of some length up to 1,000,000 characters",
)
def input_size(case: Case) -> Finding:
    tried = case.of(("oversize",))
    happy = case.of(("happy",))
    reached = bool(happy and happy[0].upstream)
    accepted = 0
    for seen in tried:
        size = seen.size or 0
        if (refused := _refusal_of_size(seen, reached, accepted)) is not None:
            return refused
        accepted = size
    return unmet(f"{accepted:,} characters were accepted", tried[-1].note(tried[-1].how_it_went()))


def _refusal_of_size(seen: Observed, reached: bool, accepted: int) -> Finding | None:
    """The finding for the answer to a long prompt; None when the endpoint accepted the prompt."""
    size, note = f"{seen.size or 0:,} characters", seen.note(seen.how_it_went())
    transcript = seen.transcript
    if seen.status is None:
        if transcript.capture.end is End.TIMEOUT and not reached:
            why = f"no answer came to a prompt of {size} in time: a model may still be reading it"
            return inconclusive(why, "--mock URL, whose answers need no reading, or a longer --timeout")
        if transcript.capture.end is End.TIMEOUT:
            return unmet(f"no answer came to a prompt of {size}", note, cause="no-answer")
        return unmet(f"the connection broke at {size}, without an answer", note, cause="broken-connection")
    if seen.status in TOO_LONG:
        return met(f"{seen.status} between {accepted:,} and {size}")
    if seen.status == 429:
        return inconclusive("a rate limit came first", "a later run, or a higher rate limit")
    if seen.status >= 500:
        return unmet(f"{seen.status} at {size}", note)
    if seen.status == 200 and not transcript.tokens and not transcript.deltas:
        return unmet(f"200 and an empty stream at {size}", note)
    if not seen.streams:
        return unmet(f"status {seen.status} at {size} does not say that the prompt is too long", note)
    if error := transcript.first(Kind.ERROR):
        where = seen.at(transcript.events[error.event].offset)
        return unmet(f"{size} are refused only within the stream, after 200", where, cause="late-refusal")
    if reached and seen.upstream is None:
        return unmet(f"a prompt of {size} reached the model shortened, without an error", note, cause="shortened")
    if seen.upstream is not None and not seen.upstream.token_ns:
        return unmet(f"the model refused {size}, but the answer has status 200", note)
    return None


def limitable(case: Case) -> str | None:
    """Requests that can limit the answer."""
    return None if case.takes_limit else "the request has no field for the answer's length"


@per_stream(
    Requirement(
        "limits.max-output-honoured",
        SHOULD,
        Severity.MEDIUM,
        Basis.DIALECT,
        "An answer has no more tokens than the request allows, and states it when its length ended it.",
        references=(
            OPENAI_CHAT,
            ANTHROPIC,
            GEMINI,
            guides("an answer without a bound is a cost without one"),
        ),
        breaks="Costs rise, and clients show a cut answer as if it were whole.",
        fix="Pass the limit on to the model, and its finish reason back.",
        causes={
            "no-reason": "Pass the finish reason length on, so that the client knows that the answer was cut.",
        },
    ),
    scenarios=("max-output",),
    applies=limitable,
    wants=stream,
    expected="at most 5 tokens, and a finish reason that says so",
)
def max_output_honoured(seen: Observed, _case: Case) -> Finding | None:
    transcript = seen.transcript
    if transcript.outcome is not Outcome.OK:
        return None
    reported = reported_tokens(seen.transcript)
    count = reported if reported is not None else len(transcript.tokens)
    if seen.upstream is not None and seen.upstream.requests == 1:
        count = min(count, seen.upstream.tokens)  # a usage that is not the upstream's is for fidelity.usage
    finish = next((str(found.delta.value) for found in transcript.deltas if found.delta.kind is Kind.FINISH), None)
    outcome = f"{count:,} tokens, finish reason {finish or 'absent'}"
    if count > MAX_OUTPUT:
        return unmet(f"{outcome}, but the limit was {MAX_OUTPUT}", seen.note(outcome))
    if count == MAX_OUTPUT and finish is not None and finish.lower() in _OF_ITSELF:
        return unmet(
            f"{outcome}: the answer ended at the length limit, but does not say so",
            seen.note(outcome),
            cause="no-reason",
        )
    return met(outcome)


@whole_case(
    Requirement(
        "limits.concurrency-429",
        SHOULD,
        Severity.HIGH,
        Basis.GUIDE,
        "Streams above the limit are refused at once with 429 and Retry-After, and running streams are not harmed.",
        references=(
            guides("at most 10 streams at once, and 429 for the next"),
            TOO_MANY,
            f"ASP.NET Core, where RateLimiterOptions.RejectionStatusCode is 503 by default: {ASPNET_LIMITS}",
        ),
        breaks="SDKs retry 503 as a failure of the server; users see an outage where there is a queue.",
        fix="Refuse with 429 and Retry-After before the head of the stream.",
        causes={
            "broken-stream": "Refuse the new request, and let the running stream go on: it was broken here.",
            "other-status": OTHER_STATUS,
            "in-turn": (
                "Serve streams side by side, not in turn: a lock, a single worker or a blocking call in an async "
                "handler lets each wait for the end of the one before. Refuse what is too much with 429."
            ),
            "queue": "Refuse at once rather than let requests wait in a queue, or bound the wait to a few seconds.",
        },
    ),
    scenarios=("saturate",),
    expected="429 with Retry-After for the streams that are too many, the others whole",
    broken_by=BrokenBy(fault="overload-status", mock="--key-slots 3"),
)
def concurrency_429(case: Case) -> Finding:
    seen = case.of(("saturate",))
    found = [*_refusals(seen), *(finding for one in seen if (finding := _harmed(one)) is not None)]
    happy = case.of(("happy",))
    late = [one for one in seen if (one.wait_ns or 0) > QUEUED_NS + (happy[0].wait_ns or 0 if happy else 0)]
    if late:
        waited = show_ms(max(one.wait_ns or 0 for one in late))
        actual, cause = f"{len(late)} of {len(seen)} streams waited for up to {waited}", "queue"
        if _one_at_a_time(seen):
            actual, cause = f"streams are served one at a time: {actual}", "in-turn"
        found.append(unmet(actual, late[0].note("queued"), cause=cause))
    nothing = inconclusive(f"no limit was met with {len(seen)} streams at once", MORE_STREAMS)
    return worst(found, nothing)


def _one_at_a_time(seen: Iterable[Observed]) -> bool:
    """Whether no stream began before the one before it had sent its last token."""
    spans = []
    for one in seen:
        times = [one.transcript.time_of(event) for event, _ in one.transcript.tokens]
        if times:
            spans.append((times[0], times[-1]))
    spans.sort()
    return len(spans) >= LEAST_IN_TURN and all(next_[0] >= last for (_, last), next_ in pairwise(spans))


def _refusals(seen: Iterable[Observed]) -> list[Finding]:
    """A finding for each refused request: whether the refusal has the right status and headers."""
    found = []
    for run in seen:
        note = run.note(run.how_it_went())
        if run.status == 429:
            after = run.head.get("retry-after") if run.head else None
            actual = f"429 with Retry-After: {after}" if after else "429 without Retry-After"
            found.append(met(actual, run.header("Retry-After")) if after else unmet(actual, note))
        elif run.status == 503:
            found.append(unmet("503 instead of 429", note, cause="other-status"))
        elif run.status is None:
            found.append(unmet(f"no answer: {run.how_it_went()}", note))
        elif not succeeds(run.status):
            found.append(unmet(f"{run.status} instead of 429", note))
        elif run.failed_by_error and not run.transcript.tokens:
            found.append(unmet("a refusal only within the stream, after 200", run.at(0)))
    return found


def _harmed(run: Observed) -> Finding | None:
    if run.streams and run.transcript.tokens and run.transcript.outcome is not Outcome.OK:
        how = run.how_it_went()
        return unmet(f"a running stream was broken: {how}", run.note(how), cause="broken-stream")
    return None


@whole_case(
    Requirement(
        "limits.rate-429",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "Requests above the rate limit are refused with 429 and Retry-After before the stream begins.",
        references=(guides("a rate limit for each user"), TOO_MANY, rfc(9110, "10.2.3", "Retry-After")),
        breaks="A client without a Retry-After comes back at once.",
        fix="Refuse with 429 and Retry-After.",
        causes={"other-status": OTHER_STATUS},
    ),
    scenarios=("burst",),
    expected="429 with Retry-After once the rate is exceeded",
    broken_by=BrokenBy(fault="overload-status", mock="--key-rate 5"),
)
def rate_429(case: Case) -> Finding:
    seen = case.of(("burst",))
    return worst(_refusals(seen), inconclusive(f"no limit was met with {len(seen)} requests", MORE_STREAMS))


@whole_case(
    Requirement(
        "limits.per-user-not-global",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "Limits apply to each user: the streams of one user do not keep another from being served.",
        references=(
            guides("limits for each user"),
            f"ASP.NET Core, where AddConcurrencyLimiter(name, ...) is one limiter for all: {ASPNET_LIMITS}",
        ),
        breaks="One user with many tabs locks out everybody.",
        fix="Key the limiter by user.",
    ),
    scenarios=("second-user",),
    expected="a stream for the second user while the first has used up a limit",
    broken_by=BrokenBy(mock="--slots 3 --queue-policy reject"),
)
def per_user_not_global(case: Case) -> Finding:
    first, second = case.of(("saturate",)), case.of(("second-user",))[0]
    note = second.note(second.how_it_went())
    if second.status in (401, 403):
        return inconclusive(f"the second key is refused with {second.status}", "a --second-key that is known there")
    limited = [one for one in first if one.status in REFUSED]
    if second.status in REFUSED:
        running = len(first) - len(limited)
        return unmet(f"{second.status} for the second user, while the first has {running} streams", note)
    if not limited:
        return inconclusive(f"the first user reached no limit with {len(first)} streams at once", MORE_STREAMS)
    if not second.streams:
        return unmet(f"no stream for the second user: {second.how_it_went()}", note)
    return met(f"the second user was served, while {len(limited)} of the first's {len(first)} streams were refused")


@whole_case(
    Requirement(
        "limits.parallel-isolation",
        MUST,
        Severity.CRITICAL,
        Basis.OPS,
        "Streams that run at the same time never mix their content.",
        references=(
            "ASP.NET Core, Use HttpContext: https://learn.microsoft.com/aspnet/core/fundamentals/use-http-context",
        ),
        breaks="One user reads another's answer.",
        fix="Keep no state of a request in an object that outlives the request.",
    ),
    scenarios=("canaries",),
    expected="in each of 8 streams its own word, and no other's",
)
def parallel_isolation(case: Case) -> Finding:
    seen = [one for one in case.of(("canaries",)) if one.streams and one.transcript.tokens]
    words = {one.expected_text: one for one in seen if one.expected_text}
    if len(words) < 2:
        return inconclusive("fewer than two streams ran at the same time", "an endpoint that serves two at once")
    for one in seen:
        heard = one.transcript.text + "\n" + one.transcript.body.decode("utf-8", "replace")
        strayed = next((word for word, owner in words.items() if owner is not one and word and word in heard), None)
        if strayed is not None:
            at = one.transcript.body.find(strayed.encode())
            evidence = one.at(at) if at >= 0 else one.note(f"the text contains {strayed}")
            return unmet(f"{one.label} has text of {words[strayed].label}", evidence)
    silent = [one for word, one in words.items() if word and word not in one.transcript.text]
    if silent:
        return inconclusive(f"{len(silent)} of {len(words)} streams did not contain their own word", MOCK)
    return met(f"{len(words)} streams at once, each with its own word only")
