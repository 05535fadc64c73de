"""ShareGPT: conversations without times. Each question is a turn that carries the history; --rate starts sessions."""

from collections.abc import Iterator
from typing import Any, Final

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces.format import Options, Timed, TraceFormat, names
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import HINT, Row
from streamgauge.loadgen.traces.time_unit import Evidence
from streamgauge.loadgen.traces.values import id_of

_ROLES: Final = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "bard": "assistant",
    "bing": "assistant", "assistant": "assistant", "system": "system",
}  # fmt: skip


def read(row: Row, options: Options) -> Iterator[Timed]:  # noqa: ARG001 - the signature of a format
    """The recorded answers are the history; the length of an answer is counted in words, as generated prompts are."""
    messages = [_message(turn, row.where) for turn in _turns(row)]
    session = id_of(row, "id") or row.where
    for at, message in enumerate(messages):
        follows = messages[at + 1] if at + 1 < len(messages) else None
        if message["role"] != "user":
            continue
        answer = follows["content"] if follows is not None and follows["role"] == "assistant" else ""
        yield (
            None,
            Request(
                prompt_tokens=sum(len(earlier["content"].split()) for earlier in messages[: at + 1]),
                output_tokens=len(answer.split()) or None,
                session=session,
                group=session,
                messages=tuple(messages[: at + 1]),
            ),
        )


def _turns(row: Row) -> list[Any]:
    found = row.first("conversations", "conversation")
    if found is None:
        return []
    if not isinstance(found, list):
        raise UsageError(f"{row.where}: conversations is not a list", HINT)
    return found


def _message(turn: Any, where: str) -> dict[str, str]:
    role = turn.get("from") or turn.get("role") if isinstance(turn, dict) else None
    text = turn.get("value") or turn.get("content") or "" if isinstance(turn, dict) else None
    known = _ROLES.get(role) if isinstance(role, str) else None
    if known is None or not isinstance(text, str):
        raise UsageError(f"{where}: a turn has no from (human, gpt, system) and value: {str(turn)[:60]!r}", HINT)
    return {"role": known, "content": text}


FORMAT = TraceFormat(
    key="sharegpt",
    name="ShareGPT",
    columns=(names("conversations"),),
    fields="id, conversations[{from, value}]",
    time=lambda _: Evidence(None),
    time_text="none: give --rate",
    read=read,
)
