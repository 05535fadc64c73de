"""Examples for what passes unchanged between the client and the model."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

from streamgauge.diagnosis.cancellation import Upstream
from streamgauge.endpoint.received import Message, Received
from streamgauge.units import MS
from streamgauge.wire import End
from tests.harness.conformance.tapes import START_NS, Examples, Tape, headers, ledger
from tests.harness.conformance.tapes_upstream import CHAT, DONE, STOP

examples = Examples()
add = examples.add

USAGE = b'data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":%d}}\n\n'
BODY = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()
UNSTREAMED = headers(content_type="application/json")
TOKEN = b'data: {"token":"a","done":false}\n\n'
LAST = b'data: {"token":"","done":true}\n\n'


def upstream(tokens: int = 1, *, end: str | None = "complete", **more: Any) -> Upstream:
    """A stream of OpenAI's shape that ran to its end; `received` fields are given by name."""
    fields = {name: more.pop(name) for name in Received.__struct_fields__ if name in more}
    received = Received(**{"model": "m", "include_usage": True, **fields})
    facts = {"tokens": tokens, "prompt_tokens": 3, "dialect": "openai-chat", "received": received, **more}
    return ledger(end=end, token_ns=[START_NS])._replace(**facts)


def asked(scenario: str, body: bytes, **more: Any) -> Tape:
    return Tape(**{"scenario": scenario, "body": body, "upstream": upstream(), "request_body": BODY, **more})


HAPPY = asked("happy", CHAT + STOP % b"stop" + USAGE % 1 + DONE)

COUNTED = {"choices": [{"message": {"content": "Hi"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
check = "fidelity.usage"
add(check, "pass", HAPPY)
add(check, "fail", replace(HAPPY, upstream=upstream(2)))
add(check, "fail", replace(HAPPY, upstream=upstream(1, prompt_tokens=30)))
add(check, "info", replace(HAPPY, upstream=upstream(2, include_usage=False)))
add(check, "info", replace(HAPPY, upstream=upstream(2, dialect="token-done")))
for dialect, judged in (("openai-completions", "info"), ("anthropic", "fail")):  # who tells usage without being asked
    add(check, judged, replace(HAPPY, upstream=upstream(2, dialect=dialect, include_usage=False)))
add(check, "not-applicable", asked("happy", CHAT + STOP % b"stop" + DONE))
add(check, "not-applicable", HAPPY, endpoint_is_mock=True)
add(check, "inconclusive", replace(HAPPY, upstream=upstream(requests=2)))
add(check, "inconclusive", replace(HAPPY, upstream=None))


def uncounted(tokens: int) -> Tape:
    """An answer without streaming whose usage says one token; no request asks for that usage."""
    facts = {"upstream": upstream(tokens, include_usage=False), "headers": UNSTREAMED, "variant": "whole"}
    return asked("whole", json.dumps(COUNTED).encode(), **facts)


add(check, "pass", HAPPY, uncounted(1))
add(check, "fail", HAPPY, uncounted(2))
add(check, "pass", HAPPY, asked("whole", b"[]", variant="whole", headers=UNSTREAMED))

check = "fidelity.whole-equals-streamed"
STREAMED = asked("whole", CHAT + STOP % b"stop" + DONE, variant="streamed")


def whole(value: Any, **more: Any) -> Tape:
    given = {"variant": "whole", "headers": UNSTREAMED, **more}
    return asked("whole", json.dumps(value).encode(), **given)


for value in (
    {"choices": [{"message": {"content": "Hi"}}]},
    {"choices": [{"text": "Hi"}]},
    {"content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]},
    {"output": [{"content": [{"text": "Hi"}]}]},
    {"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]},
    {"message": {"content": "Hi"}},
    {"response": "Hi"},
):
    add(check, "pass", HAPPY, STREAMED, whole(value))
add(check, "fail", HAPPY, STREAMED, whole({"choices": [{"message": {"content": "Hello"}}]}))
add(check, "inconclusive", HAPPY, STREAMED, whole({"data": "Hi"}))
add(check, "inconclusive", HAPPY, STREAMED)
add(check, "inconclusive", HAPPY, STREAMED, whole({"response": "Hi"}, upstream=None))
add(check, "not-applicable", HAPPY, STREAMED, whole({"error": {}}, status=400))
add(check, "not-applicable", HAPPY, STREAMED, replace(STREAMED, variant="whole"))
add(check, "not-applicable", replace(HAPPY, request_body=b'{"message":"hi"}'))

check = "fidelity.limit-passed-on"
ENDED = CHAT * 5 + STOP % b"length" + DONE
add(check, "pass", asked("limit", ENDED, upstream=upstream(5, max_tokens=5)), takes_limit=True)
add(check, "fail", asked("limit", ENDED, upstream=upstream(40)), takes_limit=True)
add(check, "fail", asked("limit", ENDED, upstream=upstream(200, max_tokens=500)), takes_limit=True)
add(check, "inconclusive", asked("limit", b"{}", status=400, headers=UNSTREAMED), takes_limit=True)
add(check, "inconclusive", asked("limit", ENDED, upstream=None), takes_limit=True)
add(check, "not-applicable", HAPPY)

check = "fidelity.upstream-stopped"


def cancelled(after_ms: int) -> Upstream:
    """The endpoint ends its stream after 100 ms, the upstream is cancelled so much later."""
    at = START_NS + (100 + after_ms) * MS
    return upstream(20, end="disconnected", disconnect_ns=at, token_ns=[at])


GOES_ON = upstream(200, token_ns=[START_NS + 4000 * MS])
add(check, "pass", asked("limit", ENDED, end_ms=100, upstream=cancelled(5)))
add(check, "pass", asked("trickle", TOKEN * 5 + LAST, end_ms=100, upstream=cancelled(5)))
add(check, "fail", asked("limit", ENDED, end_ms=100, upstream=GOES_ON))
add(check, "fail", asked("trickle", TOKEN + LAST, end_ms=100, upstream=GOES_ON._replace(end=None)))
add(check, "fail", asked("limit", ENDED, end_ms=100, upstream=cancelled(2500)))
add(check, "not-applicable", asked("limit", ENDED, end_ms=100, upstream=upstream(5)))
add(check, "inconclusive", asked("trickle", TOKEN, end=End.TIMEOUT, end_ms=100))
add(check, "inconclusive", asked("limit", ENDED, upstream=None))

check = "fidelity.finish-reason"
CALL = (
    b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c",'
    b'"type":"function","function":{"name":"f","arguments":"{}"}}]}}]}\n\n'
)
add(check, "pass", HAPPY, asked("tools", CALL + STOP % b"tool_calls" + DONE))
add(check, "warn", HAPPY, asked("tools", CALL + STOP % b"stop" + DONE))
add(check, "warn", asked("happy", CHAT + STOP % b"length" + DONE))
add(check, "pass", asked("happy", CHAT + STOP % b"content_filter" + DONE, upstream=cancelled(5)))  # its own filter
add(check, "inconclusive", asked("happy", CHAT + STOP % b"length" + DONE, upstream=upstream(20)))  # or its own ceiling
add(check, "warn", asked("happy", CHAT + STOP % b"tool_calls" + DONE, upstream=upstream(20)))
add(check, "pass", HAPPY, asked("tools", CHAT + STOP % b"stop" + DONE))  # an endpoint without tools
add(check, "not-applicable", asked("happy", TOKEN + LAST))
add(check, "inconclusive", asked("happy", CHAT + STOP % b"finished" + DONE))

MARK = "0a1b2c3d4e5f"
PROMPT = f"hi [[mock id={MARK} tokens=12]]"


def message(role: str, text: str) -> Message:
    return Message(role=role, characters=len(text), sha256=sha256(text.encode()).hexdigest()[:16], text=text[:200])


SYSTEM = message("system", f"Instruction {MARK}: answer in one sentence.")
FIRST = message("user", f"First question {MARK}: which river flows through Vienna?")
EARLIER = message("assistant", f"Earlier answer {MARK}: the Danube.")
NEWEST = message("user", PROMPT)


def conversation(*messages: Message, **more: Any) -> Tape:
    arrived = upstream(messages=list(messages), message_count=len(messages))
    return asked("turns", CHAT + STOP % b"stop" + DONE, **{"prompt": PROMPT, "upstream": arrived, **more})


check = "fidelity.history"
VENDOR = {"dialect": "openai-chat"}
add(check, "pass", HAPPY, conversation(SYSTEM, FIRST, EARLIER, NEWEST), **VENDOR)
add(check, "pass", HAPPY, conversation(message("system", "own"), SYSTEM, FIRST, EARLIER, NEWEST), **VENDOR)
add(check, "fail", HAPPY, conversation(SYSTEM, NEWEST), **VENDOR)
add(check, "fail", HAPPY, conversation(SYSTEM, FIRST, NEWEST), **VENDOR)
add(check, "fail", HAPPY, conversation(SYSTEM, EARLIER, FIRST, NEWEST), **VENDOR)
add(check, "fail", HAPPY, conversation(SYSTEM, NEWEST, FIRST, EARLIER), **VENDOR)
add(check, "warn", HAPPY, conversation(SYSTEM, message("user", f"USER: {FIRST.text}"), EARLIER, NEWEST), **VENDOR)
add(check, "inconclusive", HAPPY, conversation(NEWEST), dialect="token-done")
add(check, "inconclusive", HAPPY, conversation(upstream=ledger()), **VENDOR)
add(check, "inconclusive", HAPPY, conversation(upstream=None), **VENDOR)
add(check, "not-applicable", HAPPY, conversation(status=400, headers=UNSTREAMED), **VENDOR)
add(check, "not-applicable", replace(HAPPY, request_body=b'{"message":"hi"}'))

check = "fidelity.system-prompt"
add(check, "pass", HAPPY, conversation(SYSTEM, FIRST, EARLIER, NEWEST), **VENDOR)
add(check, "info", HAPPY, conversation(message("user", SYSTEM.text), FIRST, EARLIER, NEWEST), **VENDOR)
add(check, "warn", HAPPY, conversation(message("system", "own"), FIRST, EARLIER, NEWEST), **VENDOR)
add(check, "not-applicable", HAPPY, conversation(NEWEST), dialect="token-done")

check = "fidelity.model-named"


def named(model: str) -> bytes:
    return CHAT.replace(b'"choices"', b'"model":"%b","choices"' % model.encode()) + STOP % b"stop" + DONE


add(check, "pass", asked("happy", named("m")))
add(check, "info", asked("happy", named("m"), upstream=upstream(model="real-1")))
add(check, "info", asked("happy", named("real-1"), upstream=upstream(model="real-1")))
add(check, "warn", asked("happy", named("gpt-9"), upstream=upstream(model="real-1")))
add(check, "not-applicable", HAPPY)
add(check, "inconclusive", asked("happy", named("m"), upstream=ledger()))

check = "fidelity.no-cache"
ONCE, TWICE = upstream(), upstream(requests=2)


def second(seen: Upstream | None, **more: Any) -> Tape:
    return asked("repeat", CHAT + STOP % b"stop" + DONE, upstream=seen, **{"variant": "the second time", **more})


BEFORE = second(ONCE, variant="the first time")
add(check, "pass", BEFORE, second(TWICE))
add(check, "fail", BEFORE, second(ONCE))
add(check, "warn", BEFORE, second(ONCE, headers=headers(age="3")))
add(check, "inconclusive", BEFORE, second(ONCE, status=429))
add(check, "inconclusive", BEFORE)
add(check, "inconclusive", BEFORE, second(None))

check = "fidelity.cost-given"
add(check, "pass", replace(HAPPY, headers=headers(x_litellm_response_cost="0.002")))
add(check, "info", replace(HAPPY, headers=headers(x_litellm_response_cost="unknown")))
add(check, "not-applicable", HAPPY)
