"""When the requests of a trace start: its times after window, gap limit and scale; the turns of a session in order."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Final, NamedTuple

import msgspec

from streamgauge.errors import UsageError
from streamgauge.loadgen.schedule import Arrival, Follower
from streamgauge.loadgen.traces.controls import TraceControls
from streamgauge.loadgen.traces.reading import Trace
from streamgauge.loadgen.traces.request import Request

_ROUND: Final = "#"
"""Before the number of the round in the name of a session that is played again."""


class Head(NamedTuple):
    """A request that starts at its own time (ns), and the later turns that wait for it."""

    at_ns: int
    request: Request
    turn: int
    later: tuple[tuple[int, Request], ...]


def arrivals_of(trace: Trace, controls: TraceControls, name: str) -> list[Arrival]:
    """The arrivals at their recorded times, in order, counted from the first. Raises UsageError when there is none."""
    if trace.own_starts:
        raise UsageError(
            f"{name} ({trace.format.name}) does not say when its sessions started",
            "give --rate too: it starts the sessions, in the order of the file",
        )
    heads = sorted(_heads(trace.requests, controls, name), key=lambda head: head.at_ns)
    first_ns = heads[0].at_ns
    until_ns = controls.until_ns
    kept = [
        head
        for head in heads
        if head.at_ns - first_ns >= controls.from_ns and (until_ns is None or head.at_ns - first_ns < until_ns)
    ]
    if not kept:
        raise _empty_window(name)
    return [_arrival(number, at_ns, head, controls) for number, (at_ns, head) in enumerate(_paced(kept, controls))]


def arrivals_at(starts: Iterable[Arrival], trace: Trace, controls: TraceControls, name: str) -> Iterator[Arrival]:
    """The sessions of the trace, started one after the other at `starts`, in order of time. After the last follows the
    first again. Inside of a session, the recorded times count from its first request.
    """
    groups: dict[str, list[Request]] = {}
    for number, request in enumerate(_in_window(trace, controls, name)):
        groups.setdefault(request.group if request.group is not None else f"/{number}", []).append(request)
    waiting: list[tuple[int, int, Head]] = []
    number = order = 0
    for start, (played, requests) in zip(starts, _in_turn(list(groups.values())), strict=False):
        while waiting and waiting[0][0] <= start.at_ns:
            at_ns, _, head = heapq.heappop(waiting)
            yield _arrival(number, at_ns, head, controls)
            number += 1
        requests = [_played_again(request, played) for request in requests]
        first_ns = min((request.at_ns for request in requests if request.at_ns is not None), default=0)
        heads = sorted(_heads(requests, controls, name, first_ns), key=lambda head: head.at_ns)
        for at_ns, head in _paced(heads, controls):
            heapq.heappush(waiting, (start.at_ns + at_ns, order, head))
            order += 1
    while waiting:
        at_ns, _, head = heapq.heappop(waiting)
        yield _arrival(number, at_ns, head, controls)
        number += 1


def sessions_in_turn(trace: Trace, controls: TraceControls, name: str) -> Iterator[Arrival]:
    """The sessions one after the other without an end, in the order of the file, for users who each play one at a time.

    Every later turn waits for the turn before it. A request without a session is a session of one turn.
    """
    controls = msgspec.structs.replace(controls, closed=True)
    heads = sorted(_heads(_in_window(trace, controls, name), controls, name, 0), key=lambda head: head.at_ns)
    for number, (played, index) in enumerate((played, index) for played in count() for index in range(len(heads))):
        head = heads[index]
        later = tuple((turn, _played_again(request, played)) for turn, request in head.later)
        yield _arrival(number, 0, Head(0, _played_again(head.request, played), head.turn, later), controls)


def planned_turns(requests: Iterable[Request]) -> Callable[[str], int | None]:
    """How many turns the trace has of a session, by the session's name in a record; None for any other name."""
    counts = Counter(request.session for request in requests if request.session is not None)

    def of(session: str) -> int | None:
        first_round, _, played = session.rpartition(_ROUND)
        return counts.get(session) or (counts.get(first_round) if played.isdigit() else None)

    return of


def _in_window(trace: Trace, controls: TraceControls, name: str) -> list[Request]:
    """The requests within --trace-window, for a replay that does not use the times of the trace."""
    if not controls.is_cut:
        return trace.requests
    times = [request.at_ns for request in trace.requests if request.at_ns is not None]
    if trace.own_starts or len(times) < len(trace.requests):
        raise UsageError(f"{name} has no common times, so --trace-window has no meaning", "drop --trace-window")
    begins_ns, ends_ns = min(times) + controls.from_ns, min(times) + (controls.until_ns or max(times) + 1)
    kept = [request for request in trace.requests if begins_ns <= (request.at_ns or 0) < ends_ns]
    if not kept:
        raise _empty_window(name)
    return kept


def _empty_window(name: str) -> UsageError:
    return UsageError(f"{name} has no arrival in the --trace-window", "give a window inside of the trace")


def _in_turn(groups: list[list[Request]]) -> Iterator[tuple[int, list[Request]]]:
    """The groups one after the other, round and round, each with the number of rounds before it."""
    for played in count():
        yield from ((played, requests) for requests in groups)


def _played_again(request: Request, played: int) -> Request:
    """The request in a later round: a session of its own, with text of its own, which no cache has seen before."""
    if not played:
        return request
    session = None if request.session is None else f"{request.session}{_ROUND}{played + 1}"
    blocks = request.blocks and request.blocks._replace(scope=f"{request.blocks.scope}#{played + 1}")
    return request._replace(session=session, blocks=blocks)


def _heads(requests: Iterable[Request], controls: TraceControls, name: str, start_ns: int | None = None) -> list[Head]:
    """The requests that start by the clock: all that have a time, or with `closed` only the first of each session."""
    sessions: dict[str, list[Request]] = {}
    heads: list[Head] = []
    for request in requests:
        if request.session is None:
            heads.append(Head(_time(request, name, start_ns), request, 0, ()))
        else:
            sessions.setdefault(request.session, []).append(request)
    for turns in sessions.values():
        heads += _heads_of_session(_in_order(turns), controls, name, start_ns)
    return heads


def _in_order(turns: list[Request]) -> list[Request]:
    """The turns by time. A turn without a time stays behind the turn that it follows in the file."""
    at_ns = 0
    keyed = []
    for turn in turns:
        at_ns = at_ns if turn.at_ns is None else turn.at_ns
        keyed.append((at_ns, turn))
    return [turn for _, turn in sorted(keyed, key=lambda pair: pair[0])]


def _heads_of_session(turns: list[Request], controls: TraceControls, name: str, start_ns: int | None) -> Iterator[Head]:
    at = 0
    while at < len(turns):
        after = at + 1
        while after < len(turns) and (controls.closed or turns[after].at_ns is None):
            after += 1
        later = tuple((turn, turns[turn]) for turn in range(at + 1, after))
        yield Head(_time(turns[at], name, start_ns), turns[at], at, later)
        at = after


def _time(request: Request, name: str, start_ns: int | None) -> int:
    if request.at_ns is not None:
        return request.at_ns
    if start_ns is not None:
        return start_ns
    raise UsageError(
        f"{name}: the first request of session {request.session!r} has no timestamp",
        "add one, or give --rate: it starts the sessions, in the order of the file",
    )


def _paced(heads: list[Head], controls: TraceControls) -> Iterator[tuple[int, Head]]:
    """The replayed time of each head, from the first: gaps are shortened, then scaled."""
    before_ns, at_ns = heads[0].at_ns, 0
    for head in heads:
        gap_ns = head.at_ns - before_ns
        before_ns = head.at_ns
        at_ns += gap_ns if controls.max_gap_ns is None else min(gap_ns, controls.max_gap_ns)
        yield round(at_ns * controls.scale), head


def _arrival(number: int, at_ns: int, head: Head, controls: TraceControls) -> Arrival:
    followers = []
    before = head.request
    for turn, request in head.later:
        followers.append(_follower(turn, request, before, controls))
        before = request
    request = head.request
    plain = request == Request(request.at_ns, request.prompt_tokens, request.output_tokens)
    return Arrival(
        number, at_ns, request.prompt_tokens, request.output_tokens,
        recorded=None if plain else request, turn=head.turn, followers=tuple(followers),
    )  # fmt: skip


def _follower(turn: int, request: Request, before: Request, controls: TraceControls) -> Follower:
    """A recorded pause is one after the answer. Without one there is only the gap between the starts of both turns; the
    recorded length of the answer, where it is known, turns this into a pause.
    """
    if request.think_ns is not None:
        return Follower(turn, request, controls.scaled(request.think_ns))
    if request.at_ns is None or before.at_ns is None:
        return Follower(turn, request, 0)
    gap_ns = request.at_ns - before.at_ns
    if before.lasted_ns is not None:
        return Follower(turn, request, controls.scaled(max(gap_ns - before.lasted_ns, 0)))
    return Follower(turn, request, controls.scaled(gap_ns), from_start=True)
