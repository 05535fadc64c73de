"""Silences: before the head, before the first token, in the middle, after the end."""

from collections.abc import Iterator

from streamgauge.mock_provider.faults.base import Arg, Facts, Fault, strike
from streamgauge.mock_provider.stream import Action, Kind, Pause, Write

LATE_EVENT_NS = 1_000_000_000
TAIL_NS = 1_000_000_000
LATE_CLOSE_NS = 10_000_000_000  # termination.closes-after-terminal fails above 5 s


def _late_close(source: Iterator[Action], arg: Arg, _facts: Facts) -> Iterator[Action]:
    for action in source:
        if isinstance(action, Write) and action.kind is Kind.END:
            yield Pause(arg.duration_ns if arg.duration_ns is not None else LATE_CLOSE_NS, quiet=True)
        yield action


def _stall(source: Iterator[Action], arg: Arg, facts: Facts) -> Iterator[Action]:
    struck, stalled = strike(arg, facts), False
    for action in source:
        if not stalled and isinstance(action, Write) and action.step >= struck:
            yield Pause(arg.duration_ns)
            stalled = True
        yield action


def _tail_hold(source: Iterator[Action], arg: Arg, facts: Facts) -> Iterator[Action]:
    held = False
    for action in source:
        if not held and isinstance(action, Write) and facts.tokens is not None and action.step >= facts.tokens:
            yield Pause(arg.duration_ns if arg.duration_ns is not None else TAIL_NS)
            held = True
        yield action


def _quiet_stall(source: Iterator[Action], arg: Arg, facts: Facts) -> Iterator[Action]:
    for action in _stall(source, arg, facts):
        yield action._replace(quiet=True) if isinstance(action, Pause) else action


def _late(source: Iterator[Action], arg: Arg, facts: Facts) -> Iterator[Action]:
    struck, done = strike(arg, facts), False
    delay_ns = arg.duration_ns if arg.duration_ns is not None else LATE_EVENT_NS
    for action in source:
        strikes = not done and isinstance(action, Write) and action.step >= struck
        if strikes:
            yield Pause(delay_ns)
        yield action
        if strikes:
            yield Pause(-delay_ns)  # later events keep their times
            done = True


def _late_head(source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
    for action in source:
        if isinstance(action, Write) and action.step < 0:
            action = action._replace(step=0)
        yield action


def _silent(source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
    head = next(source)
    yield head
    yield Pause(None, quiet=True)


def _no_answer(_source: Iterator[Action], _arg: Arg, _facts: Facts) -> Iterator[Action]:
    yield Pause(None, quiet=True)


FAULTS = (
    Fault(
        name="stall",
        sentence="silence for DURATION (default for ever) after COUNT tokens (default half); heartbeats continue",
        level="timing",
        trips=(
            "termination.explicit-end",
            "flush.lockstep",
        ),
        takes="duration@count",
        wire=_stall,
    ),
    Fault(
        name="stall-quiet",
        sentence="silence for DURATION (default for ever) after COUNT tokens (default half), without heartbeats",
        level="timing",
        trips=(
            "termination.explicit-end",
            "flush.lockstep",
        ),
        takes="duration@count",
        wire=_quiet_stall,
    ),
    Fault(
        name="late-event",
        sentence="the event after COUNT tokens (default half) is DURATION late (default 1s); later events are on time",
        level="timing",
        trips=("flush.lockstep",),
        takes="duration@count",
        wire=_late,
    ),
    Fault(
        name="tail-hold",
        sentence="everything after the last token, and the slot, is held for DURATION, default 1s (legal)",
        level="timing",
        needs=frozenset({"stream", "finite"}),
        takes="duration",
        wire=_tail_hold,
    ),
    Fault(
        name="late-head",
        sentence="the head waits for the first token",
        level="timing",
        trips=("flush.headers-early",),
        wire=_late_head,
    ),
    Fault(
        name="silent",
        sentence="the head, then nothing for ever",
        level="timing",
        streams=False,
        trips=("termination.explicit-end",),
        wire=_silent,
    ),
    Fault(
        name="no-answer",
        sentence="the request is read and never answered",
        level="timing",
        streams=False,
        trips=("http.status-200",),
        needs=frozenset(),
        wire=_no_answer,
    ),
    Fault(
        name="late-close",
        sentence="the body stays open for DURATION (default 10s) after the last event",
        level="timing",
        trips=("termination.closes-after-terminal",),
        takes="duration",
        wire=_late_close,
    ),
)
