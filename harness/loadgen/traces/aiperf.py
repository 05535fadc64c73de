"""aiperf's extension of Mooncake: sessions, texts or messages of their own, and a delay in place of a time.

`input_length` of a later turn counts only its new text: the turns before it and their answers come on top. Messages
hold the whole history. A turn with `delay` (ms) follows the previous turn of its session.
"""

from collections.abc import Iterator
from typing import Any

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces.format import Options, Timed, TraceFormat, names
from streamgauge.loadgen.traces.mooncake import BLOCK
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import HINT, Row
from streamgauge.loadgen.traces.time_unit import Evidence
from streamgauge.loadgen.traces.values import blocks_of, id_of, milliseconds, time_of, tokens_of


def whole(rows: Iterator[Row], options: Options) -> Iterator[Timed]:
    before: dict[str, int] = {}  # tokens of the session so far
    for row in rows:
        session = id_of(row, "session_id")
        own, answer = tokens_of(row, "input_length"), tokens_of(row, "output_length")
        prompt = own
        if session is not None and own is not None:
            prompt = before.get(session, 0) + own
            before[session] = prompt + (answer or 0)
        at = row.first("timestamp")
        yield (
            None if at is None else time_of(at, row.where),
            Request(
                prompt_tokens=prompt,
                output_tokens=answer,
                session=session,
                group=session,
                think_ns=milliseconds(row, "delay"),
                blocks=blocks_of(row, "hash_ids", options.block(BLOCK)),
                text=_text(row),
                messages=messages_of(row),
            ),
        )


def read(row: Row, options: Options) -> Iterator[Timed]:
    yield from whole(iter([row]), options)


def _text(row: Row) -> str | None:
    text = row.first("text_input")
    if text is not None and not isinstance(text, str):
        raise UsageError(f"{row.where}: text_input is not a text", HINT)
    return text


def messages_of(row: Row) -> tuple[dict[str, Any], ...] | None:
    """The messages of a request, each with a role and content."""
    if row.first("message_mode") == "delta":
        raise UsageError(
            f"{row.where}: message_mode delta is not supported: its history depends on live answers",
            "write the whole history into messages (message_mode history)",
        )
    found = row.first("messages")
    if found is None:
        return None
    if not isinstance(found, list) or not found:
        raise UsageError(f"{row.where}: messages is not a list, or is empty", HINT)
    for message in found:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str) or "content" not in message:
            raise UsageError(f"{row.where}: a message has no role and content", HINT)
    return tuple(found)


FORMAT = TraceFormat(
    key="aiperf",
    name="aiperf",
    columns=(
        names("session_id, input_length"), names("session_id, text_input"), names("session_id, messages"),
        names("timestamp, text_input"), names("timestamp, messages"), names("delay, input_length"),
    ),
    fields="timestamp or delay, input_length or text_input or messages[, output_length, session_id, hash_ids]",
    time=lambda seen: Evidence(None if seen.fractions else "ms"),
    time_text="milliseconds",
    read=read,
    whole=whole,
)  # fmt: skip
