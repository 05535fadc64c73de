"""liveness.*: what keeps an idle connection alive."""

from typing import Final

from harness.conformance.applies import sse
from harness.conformance.cases import Case, Observed
from harness.conformance.registry import Finding, met, not_applicable, per_stream, unmet
from harness.conformance.scenarios import PLAIN
from harness.dialects.base import Kind

MANY: Final = 300


@per_stream("liveness.heartbeat-is-comment", reads=PLAIN, applies=sse, expected="heartbeats as comments or ping events")
def heartbeat_is_comment(seen: Observed, _case: Case) -> Finding:
    transcript = seen.transcript
    empty = [event for event in transcript.events if not event.data.strip()]
    # White space is a token in raw text; an empty payload is one nowhere.
    fake = [event for event in empty if not event.data]
    if fake:
        return unmet(
            f"{len(fake):,} empty events: as heartbeats they are content to every client", seen.at(fake[0].offset)
        )
    if transcript.comments or transcript.first(Kind.PING):
        return met(f"{transcript.comments:,} comments")
    return not_applicable("no heartbeat was seen")


@per_stream(
    "liveness.heartbeat-shape-safe",
    reads=PLAIN,
    applies=sse,
    expected="heartbeats that break no client: no id in force, at most 300 in a row",
)
def heartbeat_shape_safe(seen: Observed, _case: Case) -> Finding:
    if not seen.transcript.comments:
        return not_applicable("no heartbeat was seen")
    id_in_force = only_comments = False
    in_a_row = 0
    for line in seen.transcript.lines:
        if line.is_comment:
            only_comments, in_a_row = True, in_a_row + 1
            if in_a_row > MANY:
                return unmet(f"more than {MANY} comments in a row: go-openai gives up", seen.at(line.offset))
        elif line.raw:
            id_in_force = id_in_force or (line.field == b"id" and bool(line.value))
            only_comments, in_a_row = False, 0
        elif only_comments:
            if id_in_force:
                return unmet("a comment block while an id is in force: openai-python raises", seen.at(line.offset))
            only_comments = False
    return met("no client that is known breaks on them")
