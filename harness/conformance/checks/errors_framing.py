"""errors.*: whether an error stays inside its own event and leaves the event before it whole."""

import re
from typing import Final

from streamgauge.conformance.applies import sse
from streamgauge.conformance.bare_error import bare_error
from streamgauge.conformance.broken_by import BrokenBy
from streamgauge.conformance.cases import Block, Case, Observed, blocks, printable
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, met, not_applicable, unmet
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import MUST, Basis, Requirement, Severity
from streamgauge.conformance.sources import INTERPRETING, PARSING, guides
from streamgauge.conformance.wants import answer, stream
from streamgauge.protocol.dialects.base import Kind
from streamgauge.protocol.dialects.payload import NotJson, decode
from streamgauge.protocol.eventstream import Line

# In `mid-error` and `pre-error`, the mock's error message begins with the first text. The others follow after line
# breaks and a blank line.
MESSAGE_BEGINS: Final = b"the upstream model failed"
MESSAGE_GOES_ON: Final = (b"streamgauge-second", b"streamgauge-third")
# A field name in mid-line, followed by the start of an error.
_GLUED: Final = re.compile(rb"(?<=.)(?:event: ?error|data: ?(?:\{|\[DONE\]|[Ee]rror))")
_FIELD: Final = re.compile(rb"(?:data|event): ?")


@per_stream(
    Requirement(
        "errors.message-framed",
        MUST,
        Severity.HIGH,
        Basis.SPEC,
        "Line breaks in a provider's error message stay inside the event that carries the message.",
        references=(
            PARSING,
            guides("an exception's message can break the event it is written into"),
        ),
        breaks="Every parser drops the rest of the message; a hostile one forges events.",
        fix="Send the error as JSON, or a message of your own with a code; never an exception's text in a data line.",
    ),
    scenarios=("mid-error", "pre-error"),
    wants=answer,
    applies=sse,
    expected="the whole message in one event, or a message of the server's own",
)
def message_framed(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    if not seen.is_event_stream:
        return met(f"{seen.label}: status {seen.status}, with no event to break")
    if bare_error(seen.transcript) is not None:
        where = "errors.pre-stream-status" if seen.scenario == "pre-error" else "framing.known-fields"
        return not_applicable(f"{seen.label}: a JSON error without SSE framing in a 200 (see {where})")
    bare = seen.transcript.bare or ()  # lines that are a vendor's own form of an error
    for block in blocks(seen.transcript):
        for line in block.lines:
            if line.field != b"data" and _goes_on(line) and line.offset not in bare:
                stray = printable(line.raw.decode("utf-8", "replace"), 60)
                return unmet(f"the error's message leaves its event: parsers drop {stray!r}", seen.at(line.offset))
        late = next((line for line in block.lines if _goes_on(line) and line.offset not in bare), None)
        if late is not None and not any(MESSAGE_BEGINS in line.raw for line in block.lines):
            return unmet("a part of the error's message became an event of its own", seen.at(late.offset))
    return met("the whole error message is inside its event")


def _goes_on(line: Line) -> bool:
    return any(mark in line.raw for mark in MESSAGE_GOES_ON)


@per_stream(
    Requirement(
        "errors.partial-event-terminated-first",
        MUST,
        Severity.HIGH,
        Basis.COMPAT,
        "An error that a relay adds to a stream is an event of its own, even when the upstream was cut in the "
        "middle of an event.",
        references=(
            INTERPRETING,
            "sub2api#1471",
        ),
        breaks="Every parser finds invalid JSON in the place of the error.",
        fix="When the last byte sent was not the end of a blank line, write two line feeds before the error event.",
    ),
    scenarios=("mid-cut",),
    wants=stream,
    applies=sse,
    expected="an error event that parses",
    broken_by=BrokenBy(proxy="--on-break glued", shape="token-done"),
)
def partial_event_terminated_first(seen: Observed, _case: Case) -> Finding:
    if doubt := joined(seen):
        return doubt
    for block in blocks(seen.transcript):
        if (glued := _glued(block)) is not None:
            return unmet("the error after the cut is joined to the unfinished event before it", seen.at(glued))
    if seen.transcript.first(Kind.ERROR):
        return met("the error is an event of its own")
    return not_applicable("no error event follows the cut (see termination.truncation-distinguishable)")


def _glued(block: Block) -> int | None:
    """The offset of an error that begins inside another event; None without one."""
    for line in block.lines:
        prefix = _FIELD.match(line.raw)
        found = _GLUED.search(line.raw, prefix.end() if prefix else 0)
        if found is not None:
            return line.offset + found.start()
    data = [line for line in block.lines if line.field == b"data"]
    if len(data) < 2 or not data[-1].value.startswith(b"{"):
        return None
    whole = decode(b"\n".join(line.value for line in data))
    alone = decode(data[-1].value)
    if isinstance(whole, NotJson) and isinstance(alone, dict) and ("error" in alone or "message" in alone):
        return data[-1].offset
    return None
