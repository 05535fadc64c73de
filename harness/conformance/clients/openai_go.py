"""OpenAI's own SDK for Go. Read in openai/openai-go v3, packages/ssestream/ssestream.go.

LF or CRLF ends a line (bufio.ScanLines), a byte order mark stays in the first field's name, nothing is dispatched at
the end of the body, a payload that begins with [DONE] ends the stream, and a key `error`, null included, is an error.
"""

import json
from collections.abc import Iterator
from typing import Final

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

_MAX_LINE: Final = 64 * 1024 << 9


def _read(body: Body) -> Iterator[Message]:
    for kind, data in _events(body):
        if data.startswith(b"[DONE]"):
            return
        payload = strict_json(data.decode("utf-8", "replace").removesuffix("\n"), "json")
        if isinstance(payload, dict) and "error" in payload:
            raise ReportedError(f"received error while streaming: {json.dumps(payload['error'])}")
        if payload is not None and not isinstance(payload, dict):
            raise EmulatedError(f"json: cannot unmarshal {type(payload).__name__} into ChatCompletionChunk")
        if kind.startswith(b"thread."):
            yield Message(json.dumps({"event": kind.decode("utf-8", "replace"), "data": payload}))
        else:
            yield Message(data.decode("utf-8", "replace").removesuffix("\n"))


def _events(body: Body) -> Iterator[tuple[bytes, bytes]]:
    kind, data = b"", b""
    for raw in lf_lines(body, rest=True):
        if len(raw) > _MAX_LINE:
            raise EmulatedError("bufio.Scanner: token too long")
        line = raw.removesuffix(b"\r")
        if not line:
            if data:
                yield kind, data
            kind, data = b"", b""
            continue
        name, _, value = line.partition(b":")
        if name == b"event":
            kind = value.removeprefix(b" ")
        elif name == b"data":
            data += value.removeprefix(b" ") + b"\n"


CLIENT = Client(
    name="openai-go",
    source="openai/openai-go v3: packages/ssestream/ssestream.go",
    read=_read,
    applies=speaks("openai-chat", "openai-completions", "openai-responses"),
    follows="v3",
    events=False,
)
