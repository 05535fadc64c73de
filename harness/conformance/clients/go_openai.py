"""The community's OpenAI client for Go. Rules from sashabaranov/go-openai v1.42.0: stream_reader.go and its types.

It reads lines, not events: each `data:` line is a separate payload, only LF ends a line, and a last line without LF
is dropped. It collects all other lines as a possible error message. More than 300 of them in a row are an error.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from streamgauge.conformance.clients.base import (
    Body,
    Client,
    EmulatedError,
    Message,
    ReportedError,
    speaks,
    strict_json,
)
from streamgauge.conformance.clients.lines import lf_lines

_DATA: Final = re.compile(rb"^data:[\t\n\f\r ]*")
_ERROR: Final = re.compile(rb'^data:[\t\n\f\r ]*\{"error":')
_EMPTY_LIMIT: Final = 300
# bytes.TrimSpace trims Unicode's white space, not only ASCII's.
_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def _read(body: Body) -> Iterator[Message]:
    struct, fields = _COMPLETION if body.dialect == "openai-completions" else _CHUNK
    others: list[bytes] = []
    empty, in_error = 0, False
    for raw in lf_lines(body, rest=False):
        if in_error:
            raise _reported_error(others) or EmulatedError("unexpected end of JSON input")
        line = raw.decode("utf-8", "surrogateescape").strip(_SPACE).encode("utf-8", "surrogateescape")
        in_error = _ERROR.match(line) is not None
        if in_error or not _DATA.match(line):
            others.append(_DATA.sub(b"", line) if in_error else line)
            empty += 1
            if empty > _EMPTY_LIMIT:
                raise EmulatedError("stream has sent too many empty messages")
            continue
        empty = 0
        payload = _DATA.sub(b"", line)
        if payload == b"[DONE]":
            return
        text = payload.decode("utf-8", "replace")
        chunk = strict_json(text, "json")
        _fits(chunk, fields, struct)
        if chunk is None or not chunk.get("error"):  # the Go struct has no error field, so the client drops the error
            yield Message(text)
    if error := _reported_error(others):
        raise error


def _reported_error(others: list[bytes]) -> ReportedError | None:
    """The error, if all lines without data form one JSON object. Any other line among them makes this None."""
    try:
        error = json.loads(b"".join(others).decode("utf-8", "replace"))["error"]
        message = error["message"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    return ReportedError(f"error, {message if isinstance(message, str) else ', '.join(map(str, message))}")


_DELTA: Final = {
    "content": str, "role": str, "refusal": str, "reasoning_content": str,
    "function_call": {"name": str, "arguments": str},
    "tool_calls": [{"index": int, "id": str, "type": str, "function": {"name": str, "arguments": str}}],
}  # fmt: skip
_COMMON: Final = {
    "id": str, "object": str, "created": int, "model": str, "system_fingerprint": str,
    "usage": {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int},
}  # fmt: skip
_CHUNK: Final = (
    "ChatCompletionStreamResponse",
    {**_COMMON, "choices": [{"index": int, "delta": _DELTA, "finish_reason": str}]},
)
_LOGPROBS: Final = {"tokens": [str], "text_offset": [int]}
_COMPLETION: Final = (
    "CompletionResponse",
    {**_COMMON, "choices": [{"index": int, "text": str, "finish_reason": str, "logprobs": _LOGPROBS}]},
)


def _fits(value: Any, wanted: Any, where: str) -> None:
    """Like json.Unmarshal: a value whose type differs from the field's is an error; null is not."""
    if value is None:
        return
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            raise EmulatedError(f"json: cannot unmarshal {_go_name(value)} into {where}")
        for key, field in wanted.items():
            _fits(value.get(key), field, f"{where}.{key}")
    elif isinstance(wanted, list):
        if not isinstance(value, list):
            raise EmulatedError(f"json: cannot unmarshal {_go_name(value)} into {where}")
        for item in value:
            _fits(item, wanted[0], where)
    elif type(value) is not wanted:
        raise EmulatedError(f"json: cannot unmarshal {_go_name(value)} into {where}")


def _go_name(value: Any) -> str:
    names = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
    return names[type(value)]


CLIENT = Client(
    name="go-openai",
    source="sashabaranov/go-openai v1.42.0: stream_reader.go",
    read=_read,
    applies=speaks("openai-chat", "openai-completions"),
    follows="v1.42.0",
    events=False,
)
