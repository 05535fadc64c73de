"""The bytes of OpenAI's dialects and their profiles: clean, with each fault, refused, and the same every time."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx
import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.dialects import azure_chat, openai_chat, openai_responses
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.faults import FAULTS
from streamgauge.mock_provider.faults.base import Fault
from streamgauge.mock_provider.profiles import PROFILES
from tests.mock_provider.mock_wire import HTTP, Answer, connect, exchange, quietly, read_to_end

SDK_PROFILES = sorted(PROFILES)
CHAT, AZURE, RESPONSES = "/v1/chat/completions", "/openai/deployments/d/chat/completions?api-version=1", "/v1/responses"
ID = '"id":"chatcmpl-d909288ffabdb87e4659c5a2"'  # of seed 0 and id=a
CHUNK = f'{{{ID},"object":"chat.completion.chunk","created":1797580686,"model":"mock-1","choices":['
FILTER = ",".join(
    f'"{name}":{{"filtered":false,"severity":"safe"}}' for name in ("hate", "self_harm", "sexual", "violence")
)
FILTER = f'"content_filter_results":{{{FILTER}}}'
FILTERED_PROMPT = f'{{"prompt_index":0,{FILTER}}}'
CALL = "call_34ae44466f3cdca734deef06"


def request(path: str, directive: str, *, stream: bool = True, **fields: Any) -> bytes:
    prompt = f"hi [[mock {directive}]]"
    said: dict[str, Any] = (
        {"input": prompt} if path == RESPONSES else {"messages": [{"role": "user", "content": prompt}]}
    )
    body = json.dumps({**said, "stream": stream, **fields}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def post(url: str, path: str, directive: str, **fields: Any) -> Answer:
    return exchange(url, request(path, directive, **fields))


def delta(value: str, finish: str = "null", more: str = "", tail: str = "") -> str:
    return f'{CHUNK}{{"index":0,"delta":{{{value}}},"finish_reason":{finish}{more}}}]{tail}}}'


def usage(completion: int, reasoning: int, prompt: int) -> str:
    total = prompt + completion
    return (
        f'"usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},'
        f'"prompt_tokens_details":{{"cached_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}'
    )


START = '"role":"assistant","content":""'
OPENROUTER = CHUNK.replace('"object"', '"provider":"Mock","object"')
CLEAN_CHAT = {
    "tools=2 tokens=3": [
        delta('"role":"assistant","content":null'),
        delta(
            f'"tool_calls":[{{"index":0,"id":"{CALL}","type":"function",'
            '"function":{"name":"get_weather","arguments":""}}]'
        ),
        delta('"tool_calls":[{"index":0,"function":{"arguments":"{\\"city\\":\\"It\\"}"}}]'),
        delta(
            '"tool_calls":[{"index":1,"id":"call_d6fc88afd6b47b929027e721","type":"function",'
            '"function":{"name":"search_documents","arguments":""}}]'
        ),
        delta('"tool_calls":[{"index":1,"function":{"arguments":"{\\"query\\":\\"words"}}]'),
        delta('"tool_calls":[{"index":1,"function":{"arguments":" buffer\\"}"}}]'),
        delta("", '"tool_calls"'),
    ],
    "reasoning=1 tokens=1": [
        delta(START),
        delta('"reasoning_content":"It"'),
        delta('"content":" words"'),
        delta("", '"stop"'),
    ],
    "answer=refusal tokens=1": [delta(START), delta('"refusal":"It"'), delta("", '"stop"')],
    "profile=azure tokens=1": [
        f'{{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{FILTERED_PROMPT}]}}',
        delta(START, more=f",{FILTER}"),
        delta('"content":"It"', more=f",{FILTER}"),
        delta("", '"stop"', more=f",{FILTER}"),
    ],
    "profile=mistral tokens=2": [
        delta(START),
        delta('"content":"It"'),
        delta('"content":" words"', '"stop"', tail=f",{usage(2, 0, 5)}"),
    ],
    "profile=deepseek reasoning=1 tokens=0": [
        b": keep-alive\n\n",
        delta(START),
        delta('"reasoning_content":"It"'),
        delta("", '"stop"'),
    ],
    "profile=openrouter reasoning=1 tokens=1": [
        b": OPENROUTER PROCESSING\n\n",
        delta(START).replace(CHUNK, OPENROUTER),
        delta('"reasoning":"It"').replace(CHUNK, OPENROUTER),
        delta('"content":" words"').replace(CHUNK, OPENROUTER),
        delta("", '"stop"').replace(CHUNK, OPENROUTER),
    ],
}


@pytest.mark.parametrize("directive", CLEAN_CHAT)
def test_clean_chat(mock: MockServer, directive: str) -> None:
    answer = post(mock.url, CHAT, f"id=a {directive}")
    expected = [c if isinstance(c, bytes) else f"data: {c}\n\n".encode() for c in CLEAN_CHAT[directive]]
    assert answer.chunks == [*expected, b"data: [DONE]\n\n"]
    assert (answer.status, answer.whole, answer.end) == (200, True, "fin")


def test_azures_route_has_its_profile(mock: MockServer) -> None:
    assert post(mock.url, AZURE, "id=a").body == post(mock.url, CHAT, "id=a profile=azure").body


def test_clean_responses(mock: MockServer) -> None:
    answer = post(mock.url, RESPONSES, "id=a tokens=2")
    events = [event for chunk in answer.chunks for event in chunk.split(b"\n\n") if event]
    names = [event.split(b"\n")[0].removeprefix(b"event: ").decode() for event in events]
    values = [json.loads(event.split(b"\ndata: ")[1]) for event in events]
    assert [value["type"] for value in values] == names
    assert [value["sequence_number"] for value in values] == list(range(10))
    item = values[2]["item"]["id"]
    assert answer.chunks[3:5] == [
        b"event: response.output_text.delta\n"
        + f'data: {{"type":"response.output_text.delta","sequence_number":{n},"item_id":"{item}","output_index":0,'
        f'"content_index":0,"delta":"{text}","logprobs":[]}}\n\n'.encode()
        for n, text in ((4, "It"), (5, " words"))
    ]
    assert [len(chunk.split(b"\n\n")) - 1 for chunk in answer.chunks] == [1, 1, 2, 1, 1, 3, 1]
    assert values[-1]["response"]["output"] == [values[-2]["item"]]
    assert b"[DONE]" not in answer.body


@pytest.mark.parametrize(
    ("path", "directive"),
    [(CHAT, "reasoning=2"), (CHAT, "tools=2"), (AZURE, "tools=1"), (RESPONSES, "reasoning=1 tools=2"), (RESPONSES, "")],
)
@pytest.mark.parametrize("stream", [True, False])
def test_bodies_are_the_same_every_time(mock: MockServer, path: str, directive: str, stream: bool) -> None:
    bodies = set()
    for server in (mock, mock, None):
        if server is None:
            with MockServer(MockConfig(tokens=6, ttft="0", itl="0")) as other:
                bodies.add(post(other.url, path, f"id=x seed=3 {directive}", stream=stream).body)
        else:
            bodies.add(post(server.url, path, f"id=x seed=3 {directive}", stream=stream).body)
    assert len(bodies) == 1


@pytest.mark.parametrize("profile", SDK_PROFILES)
def test_every_token_is_in_the_ledger_at_its_time(mock: MockServer, control: httpx.Client, profile: str) -> None:
    stream_id = f"openai-{profile}"

    def length_ms() -> float:
        post(mock.url, CHAT, f"id={stream_id} profile={profile} reasoning=2 tokens=3 itl=20ms")
        entry = control.get(f"/streams/{stream_id}?wait=5").json()["streams"][-1]
        writes = entry["writes"]
        at = {token: ns for token, ns in zip(writes["token"], writes["t_ns"], strict=True) if token is not None}
        assert (list(at), entry["tokens_planned"], entry["tokens_written"]) == ([0, 1, 2, 3, 4], 5, 5)
        return (at[4] - at[0]) / 1e6

    # Mistral's last token waits for nothing although it shares the chunk of the finish reason.
    expected = pytest.approx(80, abs=10)
    assert quietly(length_ms, expected) == expected


# The tokens of a stream stand between its first `before` and its last `after` chunks.
@dataclass(frozen=True)
class Variant:
    name: str
    path: str
    directive: str
    before: int
    after: int

    @property
    def features(self) -> frozenset[str]:
        dialect = {CHAT: openai_chat, AZURE: azure_chat, RESPONSES: openai_responses}[self.path].DIALECT
        calls = {"tool-calls"} if "tools" in self.directive else set()
        lacks = PROFILES["mistral"].lacks if "mistral" in self.directive else frozenset()
        return (dialect.features | calls | {"stream", "finite", "lf", "http/1.1"}) - lacks


VARIANTS = [
    Variant("tools", CHAT, "tools=1", 2, 3),
    Variant("reasoning", CHAT, "tokens=0 reasoning=6", 1, 3),
    Variant("refusal", CHAT, "answer=refusal", 1, 3),
    Variant("azure", AZURE, "", 2, 3),
    Variant("mistral", CHAT, "profile=mistral", 1, 2),
    Variant("deepseek", CHAT, "profile=deepseek", 2, 3),
    Variant("openrouter", CHAT, "profile=openrouter", 2, 3),
    Variant("responses", RESPONSES, "", 3, 2),
    Variant("responses-tools", RESPONSES, "tools=1", 3, 2),
    Variant("responses-reasoning", RESPONSES, "tokens=0 reasoning=6", 3, 2),
]
BY_NAME = {variant.name: variant for variant in VARIANTS}
BOM = b"\xef\xbb\xbf"
Expect = Callable[[list[bytes], Variant], list[bytes]]


def asking(variant: Variant, fault: str = "") -> bytes:
    text = FAULTS[re.split("[:@]", fault)[0]].text if fault else None
    # As many words with a fault as without: the usage counts them.
    asked = f"id=f seed=5 text={text or 'ascii'} {f'fault={fault}' if fault else 'itl=0'} {variant.directive}"
    options = {} if variant.path == RESPONSES else {"stream_options": {"include_usage": True}}
    return request(variant.path, asked, **options)


def play(mock: MockServer, variant: Variant, fault: str = "") -> Answer:
    return exchange(mock.url, asking(variant, fault))


def each(change: Callable[[bytes], bytes]) -> Expect:
    return lambda chunks, _: [change(chunk) for chunk in chunks]


def tokens_only(change: Callable[[bytes], bytes]) -> Expect:
    return lambda chunks, v: [change(c) if v.before <= n < (len(chunks) - v.after) else c for n, c in enumerate(chunks)]


def at_middle(*change: Callable[[bytes], bytes]) -> Expect:
    return lambda chunks, v: [
        *chunks[: v.before + 3],
        *(one(chunks[v.before + 3]) for one in change),
        *chunks[v.before + 4 :],
    ]


def last(change: Callable[[bytes], list[bytes]]) -> Expect:
    return lambda chunks, _: [*chunks[:-1], *change(chunks[-1])]


def lines(data: bytes, pattern: bytes, new: bytes) -> bytes:
    return re.sub(pattern, new, data, flags=re.MULTILINE)


def unchanged(chunk: bytes) -> bytes:
    return chunk


EXPECTED: dict[str, Expect] = {
    "crlf": each(lambda c: c.replace(b"\n", b"\r\n")),
    "cr": each(lambda c: c.replace(b"\n", b"\r")),
    "no-space": each(lambda c: lines(c, rb"^(data|event): ", rb"\1:")),
    "double-space": each(lambda c: lines(c, rb"^(data|event): ", rb"\1:  ")),
    "bom": lambda chunks, _: [BOM + chunks[0], *chunks[1:]],
    "bom-mid": at_middle(lambda c: BOM + c),
    "unknown-field": tokens_only(lambda c: c[:-1] + b"trace: 1\n\n"),
    "empty-data": at_middle(lambda _: b"data: \n\n", unchanged),
    "metadata-only": at_middle(lambda _: b"event: ping\n\n", unchanged),
    "id-nul": at_middle(lambda c: c[:-1] + b"id: a\0b\n\n"),
    "retry-bad": at_middle(lambda c: c[:-1] + b"retry: soon\n\n"),
    "bad-json": at_middle(lambda c: c[:-3] + b"\n\n"),
    "double-terminal": last(lambda c: [c, c]),
    "no-terminal": last(lambda _: []),
    "no-final-blank": last(lambda c: [c[:-1]]),
    "no-flush": lambda chunks, _: [b"".join(chunks)],
    "one-behind": lambda chunks, _: chunks,
    "stall:20ms@2": lambda chunks, _: chunks,
    "no-final-chunk": lambda chunks, _: chunks,
    "rst:2": lambda chunks, v: chunks[: v.before + 2],
    "fin:2": lambda chunks, v: chunks[: v.before + 2],
}


# Streams of text are in test_mock_vendor_faults, with each of their faults.
@pytest.mark.parametrize("name", ["tools", "reasoning", "refusal", "responses-tools", "responses-reasoning"])
@pytest.mark.parametrize("fault", EXPECTED)
def test_fault_changes_exactly_this(mock: MockServer, fault: str, name: str) -> None:
    variant = BY_NAME[name]
    clean = play(mock, variant)
    assert len(clean.chunks) == variant.before + variant.after + 6
    assert play(mock, variant, fault).chunks == EXPECTED[fault](clean.chunks, variant)


# Faults whose silence outlasts a test's patience.
SILENT = {"stall", "stall-quiet", "silent", "no-answer", "late-close", "late-event"}


def applies(fault: Fault, variant: Variant) -> bool:
    return not fault.server_wide and fault.needs <= variant.features


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_fault_that_applies_is_played_and_hurts_no_other_stream(mock: MockServer, variant: Variant) -> None:
    clean = play(mock, variant)
    for name, fault in FAULTS.items():
        with connect(mock.url) as client:
            client.sendall(asking(variant, name))
            applied = applies(fault, variant)
            raw, _ = read_to_end(client, silence_s=0.1 if applied and name in SILENT else 5)
        assert (b"mock directive" in raw) != applied, name
    assert play(mock, variant).body == clean.body


def values(answer: Answer) -> list[dict[str, Any]]:
    data = re.findall(rb"^data: (\{.*)$", answer.body, re.MULTILINE)
    return [json.loads(one) for one in data]


def said(answer: Answer) -> str:
    """The text of the whole answer, of whatever kind, as its deltas give it."""
    texts = []
    for value in values(answer):
        texts.append(value["delta"] if isinstance(value.get("delta"), str) else "")
        for choice in value.get("choices", []):
            change = choice["delta"]
            texts += [change.get(key) or "" for key in ("content", "reasoning_content", "reasoning", "refusal")]
            texts += [call["function"]["arguments"] for call in change.get("tool_calls", [])]
    return "".join(texts)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
@pytest.mark.parametrize("fault", ["error-event:2", "error-then-done:2"])
def test_an_error_ends_what_was_said(mock: MockServer, fault: str, variant: Variant) -> None:
    clean, faulty = play(mock, variant), play(mock, variant, fault)
    start = variant.before + 2
    assert faulty.chunks[:start] == clean.chunks[:start]
    error = faulty.chunks[start]
    assert b"the upstream model failed" in error
    assert len(faulty.chunks) == start + (2 if fault.startswith("error-then") else 1)
    if variant.path == RESPONSES:
        types = [value["type"] for value in values(faulty)]
        assert types.index("response.failed") == types.index("error") + 1 == len(types) - len(faulty.chunks[start:])
    elif fault.startswith("error-then"):
        assert faulty.chunks[-1] == clean.chunks[-1]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_an_error_as_content_stands_in_the_answer(mock: MockServer, variant: Variant) -> None:
    faulty = play(mock, variant, "error-as-content:2")
    assert said(faulty).endswith("Error: the upstream model failed while it was generating")
    if variant.path == RESPONSES:
        assert [value["sequence_number"] for value in values(faulty)] == list(range(len(values(faulty))))


@pytest.mark.parametrize(("fault", "quoted"), [("secret-in-error:2", b"sk-canary"), ("stack-trace:2", b"System.Net")])
@pytest.mark.parametrize("name", ["responses", "azure", "openrouter"])
def test_an_error_that_tells_too_much(mock: MockServer, name: str, fault: str, quoted: bytes) -> None:
    assert quoted in play(mock, BY_NAME[name], fault).chunks[-1]


def test_cumulative_responses_say_so_in_their_done_events(mock: MockServer) -> None:
    deltas = [value["delta"] for value in values(play(mock, BY_NAME["responses"], "cumulative")) if "delta" in value]
    assert all(after.startswith(before) and after != before for before, after in pairwise(deltas))


def test_error_after_the_last_token_keeps_what_mistral_holds(mock: MockServer) -> None:
    clean, faulty = (said(play(mock, BY_NAME["mistral"], fault)) for fault in ("", "error-event:6"))
    assert faulty == clean


@pytest.mark.parametrize("profile", ["deepseek", "openrouter"])
def test_comments_break_a_silence(mock: MockServer, profile: str) -> None:
    answer = post(mock.url, CHAT, f"profile={profile} tokens=1 ttft=1100ms")
    comment = f": {PROFILES[profile].comment}\n\n".encode()
    assert [chunk == comment for chunk in answer.chunks] == [True, False, True, False, False, False]


GOOD = {"messages": [{"role": "user", "content": "hi"}]}
TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("path", "body", "param", "code"),
    [
        (CHAT, GOOD | {"n": 2}, "n", "unsupported_value"),
        (CHAT, GOOD | {"n": 0}, "n", "integer_below_min_value"),
        (CHAT, GOOD | {"stop": 7}, "stop", "invalid_type"),
        (CHAT, GOOD | {"stop": list("abcde")}, "stop", "array_above_max_length"),
        (CHAT, GOOD | {"stream_options": {"include_usage": True}}, "stream_options", None),
        (CHAT, GOOD | {"tools": {}}, "tools", "invalid_type"),
        (CHAT, GOOD | {"tools": [7]}, "tools[0]", "invalid_type"),
        (CHAT, GOOD | {"tools": [{"type": "function"}]}, "tools[0].function.name", "missing_required_parameter"),
        (CHAT, GOOD | {"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice", "invalid_value"),
        (CHAT, GOOD | {"tool_choice": "required"}, "tool_choice", None),
        (CHAT, {}, "messages", "missing_required_parameter"),
        (RESPONSES, {}, "input", "missing_required_parameter"),
        (RESPONSES, {"input": 7}, "input", "invalid_type"),
        (RESPONSES, {"input": []}, "input", "empty_array"),
        (RESPONSES, {"input": [7]}, "input[0]", "invalid_type"),
        (RESPONSES, {"input": " "}, "input", "invalid_value"),
        (RESPONSES, {"input": "x", "stream": 1}, "stream", "invalid_type"),
        (RESPONSES, {"input": "x", "max_output_tokens": 0}, "max_output_tokens", "integer_below_min_value"),
        (RESPONSES, {"input": "x", "tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
        (RESPONSES, {"input": "x [[mock profile=azure]]"}, None, "mock_directive"),
        (CHAT, {"messages": [{"role": "user", "content": "[[mock tools=3 tokens=2]]"}]}, None, "mock_directive"),
        (CHAT, {"messages": [{"role": "user", "content": "[[mock profile=acme]]"}]}, None, "mock_directive"),
    ],
)
def test_refusals_are_in_the_vendors_shape(mock: MockServer, path: str, body: Any, param: str, code: str) -> None:
    response = HTTP.post(mock.url + path, json=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


@pytest.mark.parametrize(
    ("path", "code"), [(AZURE.partition("?")[0], "404"), (AZURE.replace("/d/", "/other/"), "DeploymentNotFound")]
)
def test_azure_has_no_such_resource(path: str, code: str) -> None:
    with MockServer(MockConfig(models=("d",))) as server:
        response = HTTP.post(server.url + path, json=GOOD)
    assert (response.status_code, set(response.json()["error"])) == (404, {"code", "message"})
    assert response.json()["error"]["code"] == code


@pytest.mark.parametrize("feature", ["reasoning=1", "tools=1", "answer=refusal", "profile=azure"])
def test_a_dialect_that_cannot_say_it_names_those_that_can(mock: MockServer, feature: str) -> None:
    response = HTTP.post(f"{mock.url}/plain", json={"message": f"[[mock {feature}]]"})
    assert response.status_code == 400
    assert "plain-text has no" in response.json()["detail"]
    assert "openai-chat" in response.json()["detail"]


def test_flags_apply_where_a_dialect_can_say_such_a_thing() -> None:
    with MockServer(MockConfig(tokens=2, ttft="0", itl="0", reasoning=1, tools=1, profile="openrouter")) as server:
        assert HTTP.post(f"{server.url}/plain", json={"message": "x"}).text == "It words"
        body = post(server.url, CHAT, "id=a").body
    assert body.startswith(b": OPENROUTER PROCESSING\n\n")
    assert b'"reasoning":"It"' in body
    assert b'"finish_reason":"tool_calls"' in body


@pytest.mark.parametrize("wrong", [{"reasoning": -1}, {"tools": 101}, {"profile": "acme"}])
def test_a_config_refuses_what_a_directive_would(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        MockConfig(**wrong)
