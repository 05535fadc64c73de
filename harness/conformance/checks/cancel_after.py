"""cancel.*: what becomes of a server whose clients leave, or read slowly."""

from collections import Counter
from typing import Final

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, fail, inconclusive, met, not_applicable, unmet, warn
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.cancellation import STORM
from streamgauge.conformance.sources import ASPNET_SSE, guides, issue
from streamgauge.conformance.wants import answer
from streamgauge.units import SECOND, show_bytes, show_ms
from streamgauge.wire import End

# What clients leave in an ordinary run, and the storm of --allow-load.
LEFT: Final = ("http10", "accept", "cancel-mid", "cancel-early", "half-close", "storm")
SLOWER: Final = 3
SLOWER_NS: Final = 2 * SECOND
# Of 50 MB. The buffers of the kernel alone hold 4 MB on a hop over loopback, and 12 MB on two.
MOST_BYTES: Final = 24 * 1024 * 1024


@whole_case(
    Requirement(
        "cancel.server-survives",
        MUST,
        Severity.CRITICAL,
        Basis.OPS,
        "After clients have left at unusual moments the next request is answered as before.",
        references=(
            guides("a cancel is no failure"),
            issue("clawdotnet/openclaw.net", 47),
        ),
        breaks="A page reload breaks the service for everyone who comes after it.",
        fix="Treat a client's cancel as an ordinary end: catch it, and release what the request held.",
    ),
    scenarios=(*LEFT, "happy-2"),
    expected="the next stream comes as the first did",
)
def server_survives(case: Case) -> Finding:
    left = [seen for seen in case.observed if seen.transcript.capture.end is End.CANCELLED]
    before = next(iter(case.of(("happy",))), None)
    after = next(iter(case.of(("happy-2",))), None)
    if not left or after is None or before is None:
        return inconclusive("no request was left before its end", "--allow-load")
    told = f"after {len(left)} streams that were left"
    if len(left) < STORM:
        told += f" (--allow-load makes it {STORM} more)"
    if before.streams and not after.streams:
        return unmet(f"{told} the next one gets {after.how_it_went()}", after.note(after.how_it_went()))
    first, second = _ttft_ns(before), _ttft_ns(after)
    if first is not None and second is not None and second > SLOWER * first + SLOWER_NS:
        return unmet(f"{told} the first token takes {show_ms(second)} instead of {show_ms(first)}", after.note(told))
    return met(f"{told} the next one comes as before")


def _ttft_ns(seen: Observed) -> int | None:
    tokens = seen.transcript.tokens
    return seen.transcript.time_of(tokens[0][0]) - seen.transcript.capture.start_ns if tokens else None


@whole_case(
    Requirement(
        "cancel.slot-released",
        MUST,
        Severity.HIGH,
        Basis.GUIDE,
        "Where the number of concurrent streams is limited, streams that clients left make room for others within 5 s.",
        references=(
            issue("theroyallab/tabbyAPI", 428),
            guides("permits are released in any case"),
        ),
        breaks="After a few page reloads the service answers nobody any more.",
        fix="Release the permit on every way out: in a finally block, or by disposing the lease.",
    ),
    scenarios=("slots",),
    expected="as many streams accepted in each round as in the first",
    broken_by=BrokenBy(fault="leaks-slots", mock="--key-slots 3"),
)
def slot_released(case: Case) -> Finding:
    seen = case.of(("slots",))
    # 0 for a round in which all were refused.
    rounds = {one.size or 0: 0 for one in seen}
    rounds |= Counter(one.size or 0 for one in seen if one.streams or one.transcript.capture.end is End.CANCELLED)
    counts = [rounds[number] for number in sorted(rounds)]
    asked = max(Counter(one.size for one in seen).values())
    told = ", then ".join(str(count) for count in counts)
    if not counts[0]:
        return inconclusive(f"none of {asked} streams at once was accepted", "--allow-load --max-streams N")
    if apart := next(
        (number for number in sorted(rounds) if not _at_once([s for s in seen if s.size == number])), None
    ):
        why = f"in round {apart} some streams were left before all had been asked for"
        return inconclusive(why, "a client or a path that is less busy, or a smaller --max-streams N")
    refused = next((one for one in reversed(seen) if one.answered and not one.streams), seen[-1])
    if min(counts) < counts[0]:
        return unmet(f"of {asked} streams at once {told} were accepted", refused.note(refused.how_it_went()))
    if counts[0] >= asked:
        return not_applicable(f"no limit was met with {asked} streams at once (--max-streams N tries more)")
    return met(f"of {asked} streams at once {told} were accepted")


def _at_once(seen: list[Observed]) -> bool:
    """Whether all were asked for before the first of those that were accepted had ended."""
    captures = [one.transcript.capture for one in seen]
    ends = [one.end_ns for one in captures if one.end is End.CANCELLED and one.end_ns is not None]
    return not ends or max(one.sent_ns or one.start_ns for one in captures) < min(ends)


@per_stream(
    Requirement(
        "cancel.slow-reader-bounded",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "A reader that stops reading slows the upstream down, or is cut off, before the server holds much for it.",
        references=(
            ASPNET_SSE,
            guides("back-pressure"),
        ),
        breaks="A few slow readers fill the server's memory.",
        fix="Await every write before the next item is read, and bound each queue between the two.",
    ),
    scenarios=("stalled-reader",),
    wants=answer,
    expected="at most 24 MB of 50 taken from the upstream for a client that does not read",
    broken_by=BrokenBy(proxy="--until-close"),
)
def slow_reader_bounded(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    assert seen.upstream is not None
    if not seen.transcript.tokens:
        return inconclusive(f"nothing came to be read: {seen.how_it_went()}", "a stream whose first token arrives")
    taken = show_bytes(seen.upstream.written_bytes)
    if seen.upstream.end == "complete":
        return fail(
            f"everything, {taken}, was taken from the upstream for a client that did not read", seen.note(taken)
        )
    if seen.upstream.disconnect_ns is not None:
        return met(f"the upstream's stream was cut after {taken}")
    if seen.upstream.written_bytes > MOST_BYTES:
        return warn(f"{taken} were taken from the upstream for a client that did not read", seen.note(taken))
    return met(f"the upstream was held up after {taken}")
