"""What the requests of this run do to the endpoint, so that no check blames the endpoint for them.

Many scenarios run at the same time. An endpoint that serves one request at a time, or a few, then answers late or not
at all. Two measures keep that out of the verdicts: `serves_one_at_a_time` is asked early, so that the scenarios run one
after another; and what got no answer while other requests of this run were open is asked again, alone.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.conformance.scenarios.concurrent import VARIANTS
from streamgauge.conformance.scenarios.declaration import Concurrency, Scenario
from streamgauge.units import SECOND, plural, show_ms
from streamgauge.wire import End

REFUSED: Final = (429, 503)
SLOWER: Final = 3
SLOWER_NS: Final = 2 * SECOND
SHORT_NS: Final = SECOND // 20
"""An answer that is over sooner says nothing about two at once."""
MOST_REST_S: Final = 30.0
ENOUGH_FAILURES: Final = 2
"""So many scenarios in a row that fail alone, as they did beside others, show that the endpoint is the cause."""


def serves_one_at_a_time(happy: Observed, pair: Sequence[Observed]) -> str | None:
    """Why the endpoint seems to serve one request at a time; None if it serves two at once, or if that is unknown.

    `happy` is a stream that was alone, `pair` are two that were asked for at the same time.
    """
    for seen in pair:
        if seen.status in REFUSED or not seen.answered:
            return f"of two requests at once one gets {seen.how_it_went()}"
    waits = [(seen.wait_ns, seen) for seen in pair if seen.wait_ns is not None]
    usual_ns = happy.wait_ns
    if len(waits) < len(VARIANTS) or usual_ns is None:
        return None
    (_, first), (waited_ns, second) = sorted(waits, key=lambda pair: pair[0])
    first_end_ns = first.transcript.capture.end_ns or first.transcript.capture.start_ns
    blocked_ns = first_end_ns - second.transcript.capture.start_ns
    came_ns = second.transcript.capture.start_ns + waited_ns
    if blocked_ns < SHORT_NS or came_ns < first_end_ns or waited_ns < usual_ns + blocked_ns / 2:
        return None
    return (
        f"the first token of the second of two requests at once came after {show_ms(waited_ns)}, when the first answer "
        f"was complete; alone it comes after {show_ms(usual_ns)}"
    )


def to_repeat(scenarios: Iterable[Scenario], observed: Sequence[Observed], happy: Observed) -> list[Scenario]:
    """The scenarios whose answers failed to come, or came late, while other requests of this run kept the endpoint
    busy.

    Not those that send many requests on purpose, nor those whose upstream is told to be slow.
    """
    names = {_asked_by(seen) for seen in observed if _failed_to_come(seen, happy) and _beside_others(seen, observed)}
    return [
        scenario
        for scenario in scenarios
        if scenario.name in names
        and not scenario.opt_in
        and scenario.concurrency in (Concurrency.SHARED, Concurrency.ALONE, Concurrency.LAST)
    ]


def without(scenarios: Iterable[Scenario], observed: Iterable[Observed]) -> list[Observed]:
    """The observations that the scenarios did not make."""
    names = {scenario.name for scenario in scenarios}
    return [seen for seen in observed if _asked_by(seen) not in names]


def rest_s(observed: Iterable[Observed], happy: Observed) -> float:
    """The seconds that the endpoint may still work on streams that this run has left: one answer, at most 30 s."""
    left = any(_was_left(seen) for seen in observed)
    return min(_lasted_ns(happy) / SECOND, MOST_REST_S) if left else 0.0


def note_crowding(again: Iterable[Observed], observed: Sequence[Observed], happy: Observed) -> None:
    """Mark those of `again` that still failed to come, where the streams that this run has left can explain it.

    An endpoint that works on each of them to its end, one after another, is busy for so many answers; twice that time
    is allowed. An endpoint that stays silent for longer than that hangs.
    """
    left = [seen for seen in observed if _was_left(seen)]
    for seen in again:
        capture = seen.transcript.capture
        if not left or not _failed_to_come(seen, happy):
            continue
        last_ns = max(one.transcript.capture.end_ns or 0 for one in left)
        if (capture.end_ns or capture.start_ns) - last_ns < 2 * len(left) * _lasted_ns(happy) + SLOWER_NS:
            busy = plural(len(left), "stream")
            seen.crowded = f"the endpoint may still have been busy with {busy} that this run had left"


def fails_again(again: Iterable[Observed], happy: Observed) -> bool:
    """Whether an answer failed to come although it was asked for alone, and not because this run had left streams."""
    return any(_failed_to_come(seen, happy) and seen.crowded is None for seen in again)


def _failed_to_come(seen: Observed, happy: Observed) -> bool:
    scenario = SCENARIOS[seen.scenario]
    if seen.silence_ns is not None:
        return False
    if seen.status in REFUSED and not scenario.mock:
        return True
    if seen.transcript.capture.end is End.TIMEOUT or (not seen.answered and not _was_left(seen)):
        return True
    measures_time = scenario.concurrency in (Concurrency.ALONE, Concurrency.LAST) and not scenario.mock
    return measures_time and (seen.wait_ns or 0) > SLOWER * (happy.wait_ns or 0) + SLOWER_NS


def _beside_others(seen: Observed, observed: Iterable[Observed]) -> bool:
    """Whether another request of this run was open, or had been left, before this one ended.

    A stream of the mock that was left costs nobody time.
    """
    free = SCENARIOS[seen.scenario].mock
    capture = seen.transcript.capture
    end_ns = capture.end_ns or capture.start_ns
    for other in observed:
        if other is seen or other.transcript is seen.transcript:
            continue
        began_ns, ended_ns = other.transcript.capture.start_ns, other.transcript.capture.end_ns or 0
        if began_ns < end_ns and (ended_ns > capture.start_ns or (_was_left(other) and not free)):
            return True
    return False


def _was_left(seen: Observed) -> bool:
    return seen.transcript.capture.end is End.CANCELLED


def _lasted_ns(seen: Observed) -> int:
    capture = seen.transcript.capture
    return (capture.end_ns or capture.start_ns) - capture.start_ns


def _asked_by(seen: Observed) -> str:
    """The scenario whose requests gave the observation."""
    return SCENARIOS[seen.scenario].part_of or seen.scenario
