"""Bodies for OpenAI's SDK for .NET and its emulation: members that are missing, of another kind, or unknown words."""

import json
from typing import Any

from tests.builders.vendor_streams import ROLE, Payload, chunk

DONE = b"data: [DONE]\n\n"
HI = chunk({"content": "Hi"})


def data(*payloads: Payload | bytes) -> bytes:
    return b"".join(b"data: " + (p if isinstance(p, bytes) else json.dumps(p).encode()) + b"\n\n" for p in payloads)


def around(payload: Payload | bytes) -> bytes:
    """A whole stream with this payload between the role and the finish reason."""
    return data(ROLE, payload, chunk(finish="stop")) + DONE


def without(name: str) -> Payload:
    return {key: value for key, value in HI.items() if key != name}


def call(**members: Any) -> Payload:
    return chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function", **members}]})


def choice(**members: Any) -> Payload:
    return chunk(choices=[members])


def counted(**usage: Any) -> Payload:
    return chunk({"content": "Hi"}, usage=usage)


BODIES: dict[str, bytes] = {
    **{f"without {name}": around(without(name)) for name in ("id", "object", "created", "model", "choices")},
    **{f"{name} is a number": around(chunk({"content": "Hi"}, **{name: 5})) for name in ("id", "service_tier")},
    **{f"created is {value}": around(chunk(created=value)) for value in (1.5, 1.0, "1", None, 10**15, 10**20)},
    **{f"choices is {value}": around(chunk(choices=value)) for value in (None, {}, [], [None], ["x"])},
    **{f"index is {value}": around(choice(index=value, delta={"content": "Hi"})) for value in (None, "0", 1.0, 2**31)},
    **{f"delta is {value}": around(choice(index=0, delta=value)) for value in (None, "Hi")},
    "no delta": around(choice(index=0)),
    **{
        f"content is {value}": around(chunk({"content": value}))
        for value in (5, True, None, {"a": 1}, ["x"], [{"type": "text", "text": "Hi"}], [{"type": "thinking"}])
    },
    **{
        f"role is {value!r}": around(chunk({"role": value, "content": "Hi"}))
        for value in (5, None, "", "bot", "Assistant")
    },
    **{f"finish is {value!r}": around(chunk(finish=value)) for value in ("", "eos", "STOP", 5, "function_call")},
    **{f"tool_calls is {value}": around(chunk({"tool_calls": value})) for value in (None, {}, [None])},
    **{
        f"arguments are {value!r}": around(call(function={"name": "f", "arguments": value}))
        for value in ("{}", {"a": 1}, None)
    },
    **{f"the call's type is {value!r}": around(call(type=value)) for value in (None, "x", "custom")},
    "a call without an index": around(chunk({"tool_calls": [{"function": {"arguments": "{}"}}]})),
    "function is a string": around(call(function="f")),
    **{f"usage is {value!r}": around(chunk({"content": "Hi"}, usage=value)) for value in (None, {}, "x")},
    **{f"a count is {value!r}": around(counted(prompt_tokens=value)) for value in ("5", 5.5, None)},
    "details are null": around(counted(prompt_tokens_details=None, completion_tokens_details=None)),
    "logprobs in another form": around(choice(index=0, delta={"content": "Hi"}, logprobs={"tokens": []})),
    "logprobs is a string": around(choice(index=0, delta={"content": "Hi"}, logprobs="x")),
    "two choices": around(chunk(choices=[{"index": n, "delta": {"content": "a"}} for n in (0, 1)])),
    "an error": around({"error": {"message": "boom"}}),
    **{
        f"payload {one.decode()}": around(one)
        for one in (b'"x"', b"null", b"[]", b"5", b"{oops", b"{}", b"[done]", b"[DONE] ")
    },
    "NaN": around(b'{"id":NaN}'),
    "not UTF-8": around(json.dumps(HI).encode().replace(b"Hi", b"H\xffi")),
    "a lone surrogate": around(json.dumps(HI).encode().replace(b"Hi", b"\\ud800")),
    "64 deep": around(b'{"x":' + b"[" * 63 + b"]" * 63 + b"}"),
    "65 deep": around(b'{"x":' + b"[" * 64 + b"]" * 64 + b"}"),
    "empty data": b"data:\n\n" + around(HI),
    "a named event": b"event: x\n" + around(HI),
    "an event after [DONE]": DONE + data(HI),
    "no [DONE]": data(HI),
    "no blank line at the end": data(HI)[:-1],
}  # fmt: skip
