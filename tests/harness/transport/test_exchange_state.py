"""The table of phases and ends, and that nothing else writes a Capture."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from streamgauge.transport.exchange_state import ENDS, Actor, ExchangeState, NotAllowed, Phase
from streamgauge.transport.timings import Timings
from streamgauge.wire import Capture, End, Framing, Head, Read

ROOT = Path(__file__).resolve().parent.parent.parent.parent
OWNER = "harness/transport/exchange_state.py"
HEAD = Head(200, "OK", "1.1", ())
READ = Read(30, 31, 5)


def in_phase(phase: Phase) -> ExchangeState:
    """A state that has come as far as this."""
    state = ExchangeState(Capture(0))
    state.begin("GET", "http://test/", 10)
    if phase > Phase.OPENING:
        state.sent(20)
    if phase > Phase.SENT:
        state.head(HEAD, Framing.CHUNKED, state.read(b"bytes", READ))
    if phase > Phase.BODY:
        state.end(End.COMPLETE, None, Actor.PARSER)
    assert state.phase is phase
    return state


# The end


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.SENT, Phase.BODY])
@pytest.mark.parametrize("actor", Actor)
@pytest.mark.parametrize("end", End)
def test_an_end_comes_from_the_actors_and_in_the_phases_of_its_row(end: End, actor: Actor, phase: Phase) -> None:
    state = in_phase(phase)
    if actor in ENDS[end].actors and phase in ENDS[end].phases:
        state.end(end, "why", actor)
        assert (state.ended, state.capture.end, state.capture.detail) == (True, end, "why")
    else:
        with pytest.raises(NotAllowed, match=f"{end.name} by the {actor.value} in the phase {phase.name}"):
            state.end(end, "why", actor)
        assert (state.phase, state.capture.end) == (phase, None)


def test_each_end_has_a_row_and_each_row_can_happen() -> None:
    assert set(ENDS) == set(End)
    assert all(row.actors and row.phases and Phase.ENDED not in row.phases for row in ENDS.values())


@pytest.mark.parametrize("actor", Actor)
@pytest.mark.parametrize("end", End)
def test_the_first_end_counts(end: End, actor: Actor) -> None:
    state = in_phase(Phase.ENDED)
    state.end(end, "later", actor)
    assert (state.capture.end, state.capture.detail) == (End.COMPLETE, None)


def test_the_first_time_of_the_end_counts() -> None:
    state = in_phase(Phase.ENDED)
    state.ended_at(40)
    state.ended_at(50)
    assert state.capture.end_ns == 40


# The phases

STEPS: dict[str, tuple[Callable[[ExchangeState], None], Phase]] = {
    "begin": (lambda state: state.begin("GET", "/", 1), Phase.OPENING),
    "prepared": (lambda state: state.prepared(b"GET", 1, reused=False), Phase.OPENING),
    "opened": (lambda state: state.opened(Timings()), Phase.OPENING),
    "connected_to": (lambda state: state.connected_to("192.0.2.1"), Phase.OPENING),
    "head": (lambda state: state.head(HEAD, Framing.CLOSE, 0), Phase.SENT),
    "whole": (lambda state: state.whole(HEAD, 0), Phase.SENT),
}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_belongs_to_one_phase(step: str, phase: Phase) -> None:
    take, only = STEPS[step]
    state = in_phase(phase)
    if phase is only:
        take(state)
    else:
        with pytest.raises(NotAllowed, match=f"in the phase {phase.name}"):
            take(state)


def test_a_request_that_is_sent_in_parts_was_sent_with_the_last() -> None:
    state = in_phase(Phase.BODY)
    state.sent(60)
    assert (state.phase, state.capture.sent_ns) == (Phase.BODY, 60)


def test_the_start_is_when_the_request_was_ready() -> None:
    state = in_phase(Phase.OPENING)
    state.prepared(b"GET / HTTP/1.1", 15, reused=True)
    capture = state.capture
    assert (capture.start_ns, capture.request, capture.reused) == (15, b"GET / HTTP/1.1", True)


def test_the_times_of_connecting_are_kept() -> None:
    state = in_phase(Phase.OPENING)
    state.opened(Timings(1, 2, 3, 4, 5))
    capture = state.capture
    times = capture.dns_ns, capture.connect_ns, capture.tunnel_ns, capture.tls_ns, capture.handshake_ns
    assert times == (1, 2, 3, 4, 5)


def test_a_whole_response_is_complete() -> None:
    state = in_phase(Phase.SENT)
    state.whole(HEAD, 2)
    assert (state.phase, state.capture.end) == (Phase.ENDED, End.COMPLETE)
    assert (state.capture.head, state.capture.head_read) == (HEAD, 2)


@pytest.mark.parametrize("phase", Phase)
def test_a_state_goes_on_where_its_capture_stands(phase: Phase) -> None:
    assert ExchangeState(in_phase(phase).capture).phase is phase


# Reads


def test_reads_are_numbered_and_the_wire_is_kept_with_them() -> None:
    state = ExchangeState(Capture(0, wire=[]))
    assert [state.read(b"ab", READ), state.read(b"c", READ)] == [0, 1]
    assert [read.size for read in state.capture.reads] == [2, 1]
    assert state.capture.wire == [b"ab", b"c"]
    state.forget_reads(1)
    assert ([read.size for read in state.capture.reads], state.capture.wire) == ([1], [b"c"])


# Who writes


def test_only_the_state_writes_a_capture() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for folder in ("harness", "scenarios")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := list(writes(path.read_text(encoding="utf-8"))))
    }
    assert list(found) == [OWNER], found
    assert len(found[OWNER]) > 15


@pytest.mark.parametrize(
    "line",
    [
        "capture.end = end",
        "self.capture.reads.append(read)",
        "self._capture.body += pieces",
        "answer.capture.reads.extend(more)",
        "capture.dns_ns, other = 1, 2",
        "exchange.capture.wire[0] = b''",
        "del capture.reads[:2]",
        "capture.reads[0].t_ns = 1",
        "capture.chunks: int = 1",
        "setattr(capture, name, 1)",
        "transcript.capture.body.clear()",
        "partial.capture.detail = ''",
        "last = self.last = Capture(0)\nlast.end = end",
        "body = self.capture.body\nbody.append(1)",
        "def f(taken: Capture) -> None:\n    taken.end_ns = 1",
    ],
)
def test_every_way_of_writing_is_seen(line: str) -> None:
    assert list(writes(line)) != []


@pytest.mark.parametrize(
    "line",
    ["x = capture.end", "record.end = end", "self.capture = capture", "done = len(capture.body)", "body.append(1)"],
)
def test_reading_and_writing_something_else_are_no_writes(line: str) -> None:
    assert list(writes(line)) == []


CHANGES = {"append", "extend", "insert", "clear", "pop", "remove", "reverse", "sort"}
COLUMNS = {field.name for field in fields(Capture)}


def writes(source: str) -> Iterator[int]:
    """The lines that write into a capture: a name or attribute called so, or a variable that holds one or a part of it.

    Variables are followed within the module, whatever their function.
    """
    nodes = list(ast.walk(ast.parse(source)))
    captures, parts = {"capture", "_capture"}, set[str]()
    for node in nodes:
        if isinstance(node, ast.arg) and node.annotation is not None and ast.unparse(node.annotation) == "Capture":
            captures.add(node.arg)
        elif isinstance(node, ast.Assign):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            made = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "Capture"
            captures |= names if made or _is_capture(node.value, captures) else set()
            parts |= names if _is_part(node.value, captures, set()) else set()
    for node in nodes:
        if any(_is_part(target, captures, parts) for target in _targets(node)) or (
            isinstance(node, ast.Call)
            and (
                (isinstance(node.func, ast.Name) and node.func.id == "setattr" and _is_capture(node.args[0], captures))
                or (
                    isinstance(node.func, ast.Attribute)
                    and node.func.attr in CHANGES
                    and _is_part(node.func.value, captures, parts)
                )
            )
        ):
            assert isinstance(node, ast.expr | ast.stmt)
            yield node.lineno


def _targets(node: ast.AST) -> Iterator[ast.AST]:
    """What a statement binds or changes; a variable is only bound, which changes no capture."""
    if isinstance(node, ast.Assign | ast.Delete):
        targets: list[ast.expr] = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    else:
        return
    for target in targets:
        yield from target.elts if isinstance(target, ast.Tuple) else [target]


def _is_capture(node: ast.AST, captures: set[str]) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
    return name in captures


def _is_part(node: ast.AST, captures: set[str], parts: set[str]) -> bool:
    """Whether this is a column of a capture, or something in one."""
    if isinstance(node, ast.Name):
        return node.id in parts and isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Subscript):
        return _is_part(node.value, captures, parts)
    if not isinstance(node, ast.Attribute):
        return False
    return (node.attr in COLUMNS and _is_capture(node.value, captures)) or _is_part(node.value, captures, parts)


# Of an exchange that several requests prepare


def test_a_stream_may_start_after_its_response_has_begun() -> None:
    state = in_phase(Phase.BODY)
    state.body(0, b"before")
    state.restarts(Capture(100, "POST", "http://test/hub", b"request", sent_ns=110), 5)
    state.end(End.COMPLETE, None, Actor.PARSER)

    assert state.capture == Capture(
        100, "POST", "http://test/hub", b"request", reused=True, sent_ns=110, opening_ns=95, head=HEAD,
        framing=Framing.CHUNKED, end=End.COMPLETE,
    )  # fmt: skip


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.SENT, Phase.ENDED])
def test_it_starts_nowhere_else(phase: Phase) -> None:
    with pytest.raises(NotAllowed):
        in_phase(phase).restarts(Capture(100), 5)


@pytest.mark.parametrize("phase", Phase)
def test_a_request_that_failed_stands_for_the_exchange_that_it_prepares(phase: Phase) -> None:
    failed = in_phase(Phase.ENDED).capture
    state = in_phase(phase)
    state.stands_for(failed, End.MALFORMED, "it is not an object")

    assert (state.phase, state.capture.end, state.capture.detail) == (Phase.ENDED, End.MALFORMED, "it is not an object")
    assert (state.capture.head, state.capture.reads) == (failed.head, failed.reads)
