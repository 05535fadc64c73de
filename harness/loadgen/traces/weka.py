"""WEKA's traces of coding agents: one JSON object a session, with its requests and nested sub-agents.

`t` is seconds from the start of the session. Inside a sub-agent, some files count `t` from the sub-agent's start and
others from the session's; a request that is earlier than its own sub-agent shows the first kind. Block ids are local to
a session unless hash_id_scope says otherwise.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces.format import Options, Timed, TraceFormat, always, names
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import HINT, Row
from streamgauge.loadgen.traces.values import Time, blocks_of, id_of, length_ns, time_of, tokens_of
from streamgauge.units import SECOND

_BLOCK: Final = 64
_SUBAGENT: Final = "subagent"


def read(row: Row, options: Options) -> Iterator[Timed]:
    name = id_of(row, "id") or row.where
    size = options.block(tokens_of(row, "block_size") or _BLOCK)
    scope = "" if row.first("hash_id_scope") == "global" else name
    entries = _entries(row)
    own_clock = any(
        inner < at
        for entry in entries
        if entry.first("type") == _SUBAGENT
        for at in [_at(entry)]
        for inner in map(_at, _entries(entry))
    )

    def request(entry: Row, session: str, offset: int | float) -> Timed:
        return (
            Time(_at(entry) + offset),
            Request(
                prompt_tokens=tokens_of(entry, "in"),
                output_tokens=tokens_of(entry, "out"),
                session=session,
                group=name,
                think_ns=length_ns(entry, SECOND, "think_time"),
                lasted_ns=length_ns(entry, SECOND, "api_time"),
                blocks=blocks_of(entry, "hash_ids", size, scope),
            ),
        )

    for number, entry in enumerate(entries):
        if entry.first("type") != _SUBAGENT:
            yield request(entry, name, 0)
            continue
        agent = id_of(entry, "agent_id") or str(number)
        offset = _at(entry) if own_clock else 0
        for inner in _entries(entry):
            yield request(inner, f"{name}/{agent}", offset)


def _entries(row: Row) -> list[Row]:
    found = row.first("requests")
    if not isinstance(found, list):
        raise UsageError(f"{row.where}: requests is not a list", HINT)
    return [_entry(item, f"{row.where}, request {number}") for number, item in enumerate(found, 1)]


def _entry(item: Any, where: str) -> Row:
    if not isinstance(item, Mapping):
        raise UsageError(f"{where} is not an object: {str(item)[:60]!r}", HINT)
    return Row(where, item)


def _at(entry: Row) -> int | float:
    return time_of(entry.first("t"), entry.where).value


FORMAT = TraceFormat(
    key="weka",
    name="WEKA",
    columns=(names("requests, id"), names("requests, block_size"), names("requests, models")),
    fields="id, block_size, requests[{t, type, in, out, hash_ids, think_time, api_time}], sub-agents nested",
    time=always("s"),
    time_text="seconds from the start of each session",
    read=read,
    times_per_group=True,
)
