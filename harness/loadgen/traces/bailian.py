"""Bailian (Alibaba): seconds, sessions by chat_id and parent_chat_id, blocks of 16 tokens.

Each row is a whole request, with the history that the service kept: its blocks cover all of it.
"""

from collections.abc import Iterator
from typing import Final

from streamgauge.loadgen.traces.format import Options, Timed, TraceFormat, always, names
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import Row
from streamgauge.loadgen.traces.values import blocks_of, id_of, time_of, tokens_of

_BLOCK: Final = 16
_NO_PARENT: Final = (None, "-1")


def whole(rows: Iterator[Row], options: Options) -> Iterator[Timed]:
    """A session is named by its first chat. A parent that comes later in the file, or never, begins a session too."""
    roots: dict[str, str] = {}
    for row in rows:
        chat, parent = id_of(row, "chat_id"), id_of(row, "parent_chat_id")
        session = chat if parent is None or parent in _NO_PARENT else roots.get(parent, parent)
        if chat is not None and session is not None:
            roots[chat] = session
        yield (
            time_of(row.first("timestamp"), row.where),
            Request(
                prompt_tokens=tokens_of(row, "input_length"),
                output_tokens=tokens_of(row, "output_length"),
                session=session,
                group=session,
                blocks=blocks_of(row, "hash_ids", options.block(_BLOCK)),
            ),
        )


def read(row: Row, options: Options) -> Iterator[Timed]:
    yield from whole(iter([row]), options)


FORMAT = TraceFormat(
    key="bailian",
    name="Bailian",
    columns=(names("timestamp, chat_id, parent_chat_id"), names("timestamp, chat_id, input_length")),
    fields="chat_id, parent_chat_id, timestamp, input_length, output_length[, hash_ids]",
    time=always("s"),
    time_text="seconds",
    read=read,
    whole=whole,
)
