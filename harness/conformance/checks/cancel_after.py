"""cancel.*: whether a server still works after clients left, and limits what it holds for slow readers."""

from collections import Counter
from typing import Final

from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, met, not_applicable, unmet
from streamgauge.conformance.registry import per_stream, whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.cancellation import STORM
from streamgauge.conformance.sources import ASPNET_SSE, guides, issue
from streamgauge.conformance.wants import answer
from streamgauge.units import SECOND, show_bytes, show_ms
from streamgauge.wire import End

# The requests that the client leaves in an ordinary run, and the storm that --allow-load adds.
LEFT: Final = ("http10", "accept", "cancel-mid", "cancel-early", "half-close", "storm")
SLOWER: Final = 3
SLOWER_NS: Final = 2 * SECOND
# Of 50 MB. Kernel buffers alone hold 4 MB on one hop over loopback, and 12 MB on two hops.
MOST_BYTES: Final = 24 * 1024 * 1024


@whole_case(
    Requirement(
        "cancel.server-survives",
        MUST,
        Severity.CRITICAL,
        Basis.OPS,
        "After clients have left at unusual moments, the next request is answered as before.",
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
        return inconclusive("the client left no request before its end", "--allow-load")
    history = f"after {len(left)} streams that the client left"
    if len(left) < STORM:
        history += f" (--allow-load adds {STORM})"
    if before.streams and not after.streams:
        return unmet(f"{history} the next stream gets {after.how_it_went()}", after.note(after.how_it_went()))
    first, second = before.wait_ns, after.wait_ns
    if first is not None and second is not None and second > SLOWER * first + SLOWER_NS:
        return unmet(
            f"{history} the first token takes {show_ms(second)} instead of {show_ms(first)}", after.note(history)
        )
    return met(f"{history} the next stream comes as before")


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
    runs = case.of(("slots",))
    # A round in which all streams were refused counts 0.
    rounds = {run.size or 0: 0 for run in runs}
    rounds |= Counter(run.size or 0 for run in runs if run.streams or run.transcript.capture.end is End.CANCELLED)
    counts = [rounds[number] for number in sorted(rounds)]
    requested = max(Counter(run.size for run in runs).values())
    accepted = ", then ".join(str(count) for count in counts)
    if not counts[0]:
        return inconclusive(f"none of {requested} streams at once was accepted", "--allow-load --max-streams N")
    if apart := next(
        (number for number in sorted(rounds) if not _at_once([run for run in runs if run.size == number])), None
    ):
        why = f"in round {apart} the client left some streams before it had sent all requests"
        return inconclusive(why, "a client or a path that is less busy, or a smaller --max-streams N")
    refused = next((run for run in reversed(runs) if run.answered and not run.streams), runs[-1])
    if min(counts) < counts[0]:
        return unmet(f"of {requested} streams at once {accepted} were accepted", refused.note(refused.how_it_went()))
    if counts[0] >= requested:
        return not_applicable(f"no limit was met with {requested} streams at once (--max-streams N tries more)")
    return met(f"of {requested} streams at once {accepted} were accepted")


def _at_once(runs: list[Observed]) -> bool:
    """Whether the last request was sent before the first accepted stream ended."""
    captures = [run.transcript.capture for run in runs]
    ends = [capture.end_ns for capture in captures if capture.end is End.CANCELLED and capture.end_ns is not None]
    return not ends or max(capture.sent_ns or capture.start_ns for capture in captures) < min(ends)


@per_stream(
    Requirement(
        "cancel.slow-reader-bounded",
        SHOULD,
        Severity.MEDIUM,
        Basis.GUIDE,
        "When a client stops reading, the server slows the upstream or cuts the client off before it buffers much.",
        references=(
            ASPNET_SSE,
            guides("back-pressure"),
        ),
        breaks="A few slow readers fill the server's memory.",
        fix="Await every write before the next item is read, and bound each queue between the two.",
    ),
    scenarios=("stalled-reader",),
    wants=answer,
    expected="at most 24 of 50 MB taken from the upstream for a client that does not read",
    broken_by=BrokenBy(proxy="--until-close"),
)
def slow_reader_bounded(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    assert seen.upstream is not None
    if not seen.transcript.tokens:
        return inconclusive(f"no token came: {seen.how_it_went()}", "a stream whose first token arrives")
    taken = show_bytes(seen.upstream.written_bytes)
    if seen.upstream.end == "complete":
        return unmet(
            f"everything, {taken}, was taken from the upstream for a client that did not read", seen.note(taken)
        )
    if seen.upstream.disconnect_ns is not None:
        return met(f"the server ended the upstream's stream after {taken}")
    if seen.upstream.written_bytes > MOST_BYTES:
        return unmet(f"{taken} were taken from the upstream for a client that did not read", seen.note(taken))
    return met(f"the server stopped reading from the upstream after {taken}")
