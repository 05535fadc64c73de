"""errors.*: whether an upstream's own failures reach the client: length limit, filter, silence, retries."""

from itertools import pairwise
from typing import Final

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import HAPPY, Case, Observed, printable
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, lesser, met, not_applicable, unmet, worst
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.upstream import CUT_AFTER_TOKENS
from streamgauge.conformance.sources import OPENAI_CHAT, guides, rfc, source
from streamgauge.conformance.waiting import tries_in_words, try_gaps_ns
from streamgauge.conformance.wants import answer, anything
from streamgauge.protocol.dialects.base import Kind
from streamgauge.units import MS, SECOND, show_ms
from streamgauge.wire import End

# As vendors write them, in lower case.
LENGTH_REASONS: Final = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "incomplete"})
FILTER_REASONS: Final = frozenset({"content_filter", "safety", "refusal", "prohibited_content", "blocklist", "spii"})
TOO_LONG_STATUS: Final = frozenset({400, 413, 422})
MOST_TRIES: Final = 3
LEAST_GAP_NS: Final = 100 * MS
TIMEOUT_HEARTBEATS: Final = 8  # of 15 s: the 120 s that guides give an upstream at most


def _reason(seen: Observed) -> str | None:
    """The finish reason that the stream gives."""
    found = seen.transcript.first(Kind.FINISH)
    return None if found is None else str(found.delta.value)


def _has_no_reasons(case: Case) -> bool:
    """Whether the mock plays a shape without a finish reason. A real application could still send an error."""
    return case.endpoint_is_mock and not any(_reason(seen) for seen in case.of(HAPPY))


HANG_AT_THE_END: Final = "End the response where the upstream's answer ends, or the client will hang."
NO_PLACE: Final = "the endpoint is the mock itself, and the shape that it plays has no place for a reason"


@per_stream(
    Requirement(
        "errors.context-length",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "A prompt that is too long gets status 400. An answer cut at its length limit says so at its end.",
        references=(
            OPENAI_CHAT,
            rfc(9110, "15.5.1", "400 Bad Request"),
            guides("context limits"),
        ),
        breaks="Clients cannot tell a cut answer from a whole one, and repeat requests that must fail.",
        fix="Pass the upstream's finish reason on, and map its context_length_exceeded to 400 with that code.",
        causes={
            "hang": HANG_AT_THE_END,
        },
    ),
    scenarios=("too-long", "length"),
    wants=answer,
    expected="400 before the stream; a reason such as length, or an error event, at its end",
)
def context_length(seen: Observed, case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    if seen.scenario == "too-long":
        status = seen.status or 0
        if status in TOO_LONG_STATUS:
            return met(f"a prompt that is too long is refused with {status}")
        return unmet(f"a prompt that is too long gets {seen.how_it_went()}", seen.note(seen.how_it_went()))
    reason = _reason(seen)
    if reason is not None and reason.lower() in LENGTH_REASONS:
        return met(f"the end of a cut answer says {printable(reason, 40)}")
    if seen.failed_by_error:
        return met("an error event says that the answer was cut")
    if _has_no_reasons(case):
        return None
    return _plain_end(seen, reason, "the answer was cut at its length limit")


def _plain_end(seen: Observed, reason: str | None, cause: str) -> Finding:
    finish = seen.transcript.first(Kind.FINISH) or seen.transcript.first(Kind.DONE)
    at = seen.at(seen.transcript.events[finish.event].offset if finish else len(seen.transcript.body))
    if reason:
        return unmet(f"{cause}, but the reason given is {printable(reason, 40)!r}", at)
    if seen.hang is not None:
        return unmet(f"{cause}, and the stream hangs: {seen.hang}", at, cause="hang")
    return unmet(f"{cause}, but the stream ends as if it were complete", at)


@per_stream(
    Requirement(
        "errors.content-filter",
        SHOULD,
        Severity.HIGH,
        Basis.GUIDE,
        "A stream that a content filter stopped says so, by its finish reason or an error event, and no text follows.",
        references=(
            OPENAI_CHAT,
            guides("content filters end the stream"),
        ),
        breaks="A filtered answer looks like a whole one; text that a filter stopped is still shown.",
        fix="Look at the finish reason of every update: at content_filter send an error event and stop.",
        causes={
            "hang": HANG_AT_THE_END,
            "not-last": "Stop at the filter's finish reason: it is the last update whose text is shown.",
        },
    ),
    scenarios=("filtered",),
    wants=answer,
    expected="the reason content_filter or an error event, and no text after it",
)
def content_filter(seen: Observed, case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    if (seen.status or 0) >= 400:
        return met(f"a filtered answer becomes status {seen.status}")
    transcript, reason = seen.transcript, _reason(seen)
    stop = transcript.first(Kind.ERROR)
    if stop is None and reason is not None and reason.lower().replace("-", "_") in FILTER_REASONS:
        stop = transcript.first(Kind.FINISH)
    if stop is not None:
        after = [found for found in transcript.deltas if found.event > stop.event and found.delta.is_token]
        if after:
            return unmet(
                "text follows the filter's stop", seen.at(transcript.events[after[0].event].offset), cause="not-last"
            )
        return met("the client learns of the filter's stop, and nothing follows")
    if _has_no_reasons(case):
        return not_applicable(NO_PLACE)
    return _plain_end(seen, reason, "a content filter stopped the answer")


@whole_case(
    Requirement(
        "errors.retry-amplification",
        SHOULD,
        Severity.HIGH,
        Basis.OPS,
        "A failing request is not sent to the provider again after text was delivered.",
        lesser="A failing request reaches the provider at most three times, with waits between them.",
        references=(
            rfc(9110, "10.2.3", "Retry-After"),
            source(
                "OpenAI's SDKs, run", ".NET asks four times, at a 500 within milliseconds; Python and Node three times"
            ),
        ),
        breaks="A provider's overload becomes a storm, failures take seconds longer, and retries use up quotas.",
        fix=(
            "Retry in one layer only, and never after the first token; pass 429 with its Retry-After on to the client."
        ),
    ),
    scenarios=("pre-error", "mid-cut", "upstream-errors"),
    expected="1 request, or up to 3 with waits between them; none after text was delivered",
    broken_by=BrokenBy(proxy="--retries 3", shape="token-done"),
)
def retry_amplification(case: Case) -> Finding:
    found: list[Finding] = []
    for seen in case.of(("pre-error", "mid-cut", "upstream-errors")):
        if seen.upstream is not None:
            found.append(_tries(seen, seen.upstream.requests, list(seen.upstream.arrivals_ns)))
    return worst(found, inconclusive("the mock saw none of the requests that it should have refused", MOCK))


def _tries(seen: Observed, tries: int, arrivals_ns: list[int]) -> Finding:
    if tries == 1:
        return met("each failing request reached the upstream once")
    gaps = [after - before for before, after in pairwise(arrivals_ns)]
    waits = ", ".join(show_ms(gap) for gap in gaps[:MOST_TRIES])
    summary = f"{tries} requests reached the upstream, {waits} apart"
    evidence = seen.note(summary)
    if seen.scenario == "mid-cut" and len(seen.transcript.tokens) > CUT_AFTER_TOKENS:
        return unmet(f"{seen.label}: {summary}, and the text of the second request follows the first's", evidence)
    if tries > MOST_TRIES or any(gap < LEAST_GAP_NS for gap in gaps):
        return lesser(f"{seen.label}: {summary}", evidence)
    return met(f"at most {tries} requests reached the upstream, {waits} apart")


@per_stream(
    Requirement(
        "errors.upstream-timeout",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "The wait for a silent upstream has a limit: then the client gets 504 before the stream, or an error event in "
        "it.",
        references=(
            rfc(9110, "15.6.5", "504 Gateway Timeout"),
            guides("timeouts for the upstream"),
            "Rapid-MLX#1359",
        ),
        breaks="Users wait for ever; connection pools run empty.",
        fix=("Give every read of the upstream an idle timeout, restarted by each token, and report it as a failure."),
        lesser=(
            "The client learns the reason, and does not only lose its connection; retries do not add up to more than "
            "the limit."
        ),
        causes={
            "silent-end": "Report the timeout as an error: a silent end looks like a complete answer.",
            "retries": "Give all tries together one deadline: each of the retries starts the wait anew.",
        },
    ),
    scenarios=("quiet-forever", "quiet-silent"),
    wants=anything,
    expected="504 before the stream or an error event in it, within 120 s",
    broken_by=BrokenBy(proxy=""),
)
def upstream_timeout(seen: Observed, case: Case) -> Finding:
    if case.endpoint_is_mock:
        return not_applicable("the endpoint is the mock itself: it has no upstream that could become silent")
    if doubt := joined(seen):
        return doubt
    capture = seen.transcript.capture
    waited = (capture.end_ns or capture.start_ns) - (capture.sent_ns or capture.start_ns)
    tries = tries_in_words(seen)
    after, end = f"after {show_ms(waited)}{f' ({tries})' if tries else ''}", seen.at(len(seen.transcript.body))
    limit_ns = TIMEOUT_HEARTBEATS * case.heartbeat_ns
    if capture.end is End.TIMEOUT:
        if waited < limit_ns * 0.98:
            least = limit_ns // SECOND
            return inconclusive(f"no end {after}, which is too short to judge", f"--max-duration {least}s or more")
        if (gaps := try_gaps_ns(seen)) and max(gaps) <= limit_ns:
            return lesser(
                f"{seen.label}: each wait has a limit, but the endpoint asks again: no end {after}",
                end,
                cause="retries",
            )
        return unmet(f"{seen.label}: the endpoint still waits for the upstream {after}", end)
    if (seen.status or 0) >= 400:
        return met(f"{seen.label}: status {seen.status} {after}")
    if seen.failed_by_error:
        return met(f"{seen.label}: an error event {after}")
    if seen.transcript.first(Kind.DONE) or capture.end is End.COMPLETE:
        return unmet(f"{seen.label}: the stream ends as if it were complete {after}", end, cause="silent-end")
    return lesser(f"{seen.label}: only the connection ends, {after}", end)
