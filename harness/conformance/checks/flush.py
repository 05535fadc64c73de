"""flush.*: whether tokens reach the client as soon as they are generated."""

from itertools import pairwise
from statistics import median
from typing import Final

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import HAPPY, Case, Observed, Release
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, info, met, not_applicable, unmet, worst
from streamgauge.conformance.permissions import MOCK, STREAM
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.sources import NGINX_PROXY, PARSING, guides, issue
from streamgauge.conformance.wants import answer, stream
from streamgauge.diagnosis.lockstep import MEASURE_TOKENS, is_one_behind
from streamgauge.diagnosis.patterns import content_coding
from streamgauge.units import MS, SECOND, show_bytes, show_ms

MIN_EVENTS: Final = 10
MIN_DURATION_NS: Final = SECOND
BURST_NS: Final = 50 * MS
BURST_SHARE: Final = 0.9
MIN_ARRIVALS: Final = 5
PACED_NS: Final = 20 * MS
ALIKE: Final = 0.8  # of the arrivals without compression: as many as a compressor that is flushed leaves
LONGER: Final = f"{MOCK}; or a prompt with a longer answer"


def _times(seen: Observed) -> list[int]:
    return [seen.transcript.time_of(event) for event, _ in seen.transcript.tokens]


@per_stream(
    Requirement(
        "flush.lockstep",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "Every token, the first small one and the end marker included, reaches the client before the "
        "upstream has to produce the next.",
        references=(
            guides("every event is flushed"),
            issue("dotnet/runtime", 121003),
            issue("dotnet/aspnetcore", 64118),
            NGINX_PROXY,
        ),
        breaks="For every user the time to the first token becomes the time of the whole answer.",
        fix="Flush after each event, and turn off buffering in everything between.",
    ),
    scenarios=("lockstep",),
    wants=answer,
    expected="each token arrives before the next one is released",
    broken_by=BrokenBy(fault="no-flush"),
)
def lockstep(seen: Observed, _case: Case) -> Finding | None:
    if doubt := joined(seen):
        return doubt
    if not seen.steps:
        return inconclusive(f"no lockstep step could be played: {seen.how_it_went()}", MOCK)
    late = [step for step in seen.steps if step.timed_out]
    if not late:
        return met(f"{len(seen.steps):,} of {len(seen.steps):,} tokens arrived before the next was released")
    last = late[-1]
    buffer = f"; data flows in blocks of {seen.held_bytes:,} bytes" if seen.held_bytes else ""
    actual = f"{last.released:,} tokens were released and {last.seen:,} arrived in time{buffer}"
    return unmet(actual, *(seen.note(_step_text(step)) for step in seen.steps[:4]))


def _step_text(step: Release) -> str:
    return f"{step.released} released, {step.seen} arrived{', timed out' if step.timed_out else ''}"


@per_stream(
    Requirement(
        "flush.no-one-behind",
        MUST,
        Severity.HIGH,
        Basis.COMPAT,
        "A token is not held until the next one pushes it out.",
        references=(
            issue("dotnet/aspnetcore", 55654),
            PARSING,
        ),
        breaks=(
            "Readers see every word late, and the last word only at the end. IIS does this, and so do decoders that "
            "wait for a byte after CR."
        ),
        fix="Write the event and its blank line in one call, and flush after the blank line.",
    ),
    scenarios=("lockstep",),
    wants=lambda seen: bool(seen.steps),
    expected="a token arrives without the next one having to push it",
)
def no_one_behind(seen: Observed, _case: Case) -> Finding:
    late = [step for step in seen.steps if step.timed_out]
    if is_one_behind(seen.steps):
        evidence = (seen.note(_step_text(step)) for step in late[:3])
        return unmet("each token arrives only when the next one is sent", *evidence)
    return met("no token waits for the next" if not late else "tokens are held back, but not until the next one")


@whole_case(
    Requirement(
        "flush.incremental",
        MUST,
        Severity.CRITICAL,
        Basis.GUIDE,
        "The answer arrives over time, not in one burst at its end.",
        references=(
            guides("every event is flushed"),
            NGINX_PROXY,
        ),
        breaks="Every user sees a chat that hangs, then shows everything at once.",
        fix=(
            "Flush after each event, and turn off buffering in everything between; `streamgauge diagnose` names the"
            " hop that holds tokens back."
        ),
    ),
    scenarios=(*HAPPY, "longer", "lockstep"),
    expected="content that arrives over time",
    broken_by=BrokenBy(fault="no-flush", mock="--itl 50ms"),
)
def incremental(case: Case) -> Finding:
    """By the times of the longest answer there is; where they say too little, by lockstep."""
    longer, ordinary = (
        [_over_time(seen, case) for seen in case.of(names) if seen.streams] for names in (("longer",), HAPPY)
    )
    for findings in (longer, ordinary):
        if timed := [finding for finding in findings if finding.verdict is not Verdict.INCONCLUSIVE]:
            return worst(timed, timed[0])
    in_step = _by_lockstep(case)
    return in_step or next(iter(longer + ordinary), inconclusive("no stream came", STREAM))


def _by_lockstep(case: Case) -> Finding | None:
    """An answer too short for its times to say anything: the order of releases and arrivals still does."""
    played = next((seen for seen in case.of(("lockstep",)) if seen.steps and seen.upstream), None)
    if played is None:
        return None
    if not any(step.timed_out for step in played.steps):
        return met(f"the answer is short, and in lockstep each of {len(played.steps)} tokens arrived before the next")
    if not any(step.seen for step in played.steps) and played.held_bytes is None:
        evidence = (played.note(_step_text(step)) for step in played.steps[:3])
        return unmet(f"{MEASURE_TOKENS:,} tokens were released, and none arrived before the end", *evidence)
    return met("in lockstep tokens arrived before the upstream had ended")


def _over_time(seen: Observed, case: Case) -> Finding:
    times = _times(seen)
    capture = seen.transcript.capture
    if len(times) < MIN_EVENTS:
        return inconclusive(f"only {len(times)} content events, {MIN_EVENTS} are needed", LONGER)
    total = times[-1] - capture.start_ns
    if total < MIN_DURATION_NS:
        return inconclusive(f"the whole answer took {show_ms(total)}, 1 s is needed", LONGER)
    if seen.upstream is not None and not _written_one_by_one(seen, case):
        return inconclusive("the mock itself wrote in bursts: the machine was busy", "a machine with time to spare")
    share = sum(times[-1] - at <= BURST_NS for at in times) / len(times)
    first = times[0] - capture.start_ns
    evidence = seen.note(f"first content after {show_ms(first)} of {show_ms(total)}, {len(set(times))} arrival times")
    if share > BURST_SHARE:
        return unmet(f"{share:.0%} of the events came in the last 50 ms", evidence)
    if len(set(times)) < MIN_ARRIVALS:
        return unmet(f"{len(times):,} events came in {len(set(times))} bursts", evidence)
    if first > total / 2:
        return info(f"the first content came after {first / total:.0%} of the time", evidence)
    return met(f"{len(set(times)):,} arrivals over {show_ms(times[-1] - times[0])}", evidence)


@whole_case(
    Requirement(
        "flush.compression-flushes",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "A compressed stream is flushed through the compressor at each event, so that each event can be decoded"
        " on arrival.",
        references=(
            "zlib manual, Z_SYNC_FLUSH: https://zlib.net/manual.html#Basic",
            guides("no compression of the stream"),
        ),
        breaks="Browsers always offer gzip and br, so a stream that works with curl hangs in them.",
        fix="Leave the stream uncompressed; where it must be compressed, do a sync flush after each event.",
    ),
    scenarios=("compressed", "lockstep", "gzip", *HAPPY),
    expected="each event flushed through the compressor",
    broken_by=BrokenBy(fault="gzip-no-flush"),
)
def compression_flushes(case: Case) -> Finding:
    """By lockstep, a stream for each coding; without a mock by comparing a compressed stream with a plain one."""
    played = [seen for seen in case.of(("compressed",)) if seen.streams and seen.steps and seen.upstream]
    coded = [seen for seen in played if content_coding(seen.head)]
    if not coded:
        return not_applicable("no offered coding is used") if played else _fewer_arrivals(case)
    if any(step.timed_out for seen in case.of(("lockstep",)) for step in seen.steps):
        return inconclusive("tokens are held back without compression too (flush.lockstep)", "a path that passes them")
    names = ", ".join(dict.fromkeys(content_coding(seen.head) or "" for seen in coded))
    late = [seen for seen in coded if any(step.timed_out for step in seen.steps)]
    if not late:
        return met(f"lockstep under {names}: each token arrived before the next was released")
    held = ", ".join(dict.fromkeys(content_coding(seen.head) or "" for seen in late))
    steps = (seen.note(_step_text(step)) for seen in late for step in seen.steps if step.timed_out)
    return unmet(f"the compressor holds tokens back under {held}: lockstep passes without it", *steps)


def _fewer_arrivals(case: Case) -> Finding:
    """A guess from arrival times: it fails only where the compressor leaves a fifth of the arrivals or fewer."""
    seen = next((request for request in case.of(("gzip",)) if request.streams), None)
    plain = next((request for request in case.of(HAPPY) if request.streams), None)
    if seen is None or plain is None:
        return inconclusive("no stream came that could be compared", MOCK)
    if content_coding(seen.head) is None:
        return not_applicable("the stream is not compressed")
    arrivals, tokens, usual = len(set(_times(seen))), len(_times(seen)), len(set(_times(plain)))
    if usual < MIN_ARRIVALS:
        return inconclusive("the stream is too short, or arrives in bursts even without compression", LONGER)
    evidence = seen.note(f"{tokens:,} tokens in {arrivals} arrivals; {usual} arrivals without compression")
    if arrivals <= max(1, usual // 5):
        return unmet(f"the compressor holds tokens: {tokens:,} came in {arrivals} bursts", evidence)
    if arrivals < ALIKE * min(usual, tokens):
        return inconclusive(f"{tokens:,} tokens came in {arrivals} arrivals; {usual} without compression", MOCK)
    return met(f"{tokens:,} tokens in {arrivals:,} arrivals", evidence)


def _written_one_by_one(seen: Observed, case: Case) -> bool:
    """Whether the mock wrote its tokens at its pace, as its ledger says, and not in bursts of a busy machine.

    Where the mock is the endpoint, its own bursts are what is judged.
    """
    if case.endpoint_is_mock:
        return True
    written = seen.upstream.token_ns if seen.upstream is not None else []
    gaps = [after - before for before, after in pairwise(written)]
    return bool(gaps) and median(gaps) >= PACED_NS


@per_stream(
    Requirement(
        "flush.burstiness",
        SHOULD,
        Severity.LOW,
        Basis.GUIDE,
        "Events reach the client spread over many reads and over time, not in a few bursts.",
        references=(guides("tokens come one by one"),),
        breaks="Interfaces print the text in jerks.",
        fix="Flush each token; keep Nagle's algorithm off (TCP_NODELAY).",
    ),
    scenarios=HAPPY,
    wants=stream,
    expected="events spread over reads",
)
def burstiness(seen: Observed, case: Case) -> Finding:
    times = _times(seen)
    if len(times) < 2:
        return inconclusive("fewer than two content events", LONGER)
    gaps = [after - before for before, after in pairwise(times)]
    coalesced = sum(gap == 0 for gap in gaps) / len(gaps)
    size = len(seen.transcript.body) // max(1, len(seen.transcript.events))
    summary = f"{coalesced:.0%} of the events share a read with the event before; gaps p50 {show_ms(median(gaps))}"
    summary += f", max {show_ms(max(gaps))}; {show_bytes(size)} per event"
    span = times[-1] - seen.transcript.capture.start_ns
    paced = case.has_mock and span / len(times) >= PACED_NS and _written_one_by_one(seen, case)
    first = seen.note(f"{len(times)} content events arrived at {len(set(times))} times")
    return (unmet if coalesced > BURST_SHARE and paced else info)(summary, first)
