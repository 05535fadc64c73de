"""The clean bytes of the vendors' dialects, their refusals, keys and listings.

Cohere is proven by its bytes alone: its SDK would bring tokenizers and huggingface_hub along, so it is no dependency.
"""

import json
import re
from typing import Any

import httpx
import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.routes import Routes
from tests.mock_provider.mock_wire import HTTP
from tests.mock_provider.vendor_wire import GEMINI, VENDORS, Vendor, play

TEXT, PARTS = "[[mock id=t tokens=1 text=newlines]]", "[[mock id=t tokens=2 reasoning=1 tools=1]]"


def event(name: str, payload: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name} | payload, separators=(',', ':'))}\n\n".encode()


def cohere(name: str, message: dict[str, Any], index: int = 0) -> bytes:
    return event(name, {"index": index, "delta": {"message": message}})


def cohere_end(reason: str, output: int, prompt: int) -> bytes:
    counts = {"input_tokens": prompt, "output_tokens": output}
    return event(
        "message-end", {"delta": {"finish_reason": reason, "usage": {"billed_units": counts, "tokens": counts}}}
    )


def block(name: str, index: int, payload: dict[str, Any]) -> bytes:
    return event(f"content_block_{name}", {"index": index} | payload)


def delta(index: int, kind: str, field: str, text: str) -> bytes:
    return block("delta", index, {"delta": {"type": kind, field: text}})


PING = event("ping", {})

CLEAN = {
    "anthropic": [
        block("start", 0, {"content_block": {"type": "text", "text": ""}}) + PING,
        delta(0, "text_delta", "text", " one\n"),
        block("stop", 0, {}),
        event(
            "message_delta",
            {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 1}},
        ),
        event("message_stop", {}),
    ],
    "cohere": [
        cohere("content-start", {"content": {"type": "text", "text": ""}}),
        cohere("content-delta", {"content": {"text": " one\n"}}),
        event("content-end", {"index": 0}),
        cohere_end("COMPLETE", 1, 4),
    ],
}
CALLS = {
    "anthropic": [
        block("start", 0, {"content_block": {"type": "thinking", "thinking": "", "signature": ""}}) + PING,
        delta(0, "thinking_delta", "thinking", "It"),
        delta(0, "signature_delta", "signature", "SIGNATURE") + block("stop", 0, {}),
        block(
            "start", 1, {"content_block": {"type": "tool_use", "id": "toolu_CALL", "name": "get_weather", "input": {}}}
        ),
        delta(1, "input_json_delta", "partial_json", '{"city":"words'),
        delta(1, "input_json_delta", "partial_json", ' buffer"}'),
        block("stop", 1, {}),
        event(
            "message_delta",
            {"delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 3}},
        ),
        event("message_stop", {}),
    ],
    "cohere": [
        cohere("content-start", {"content": {"type": "thinking", "thinking": ""}}),
        cohere("content-delta", {"content": {"thinking": "It"}}),
        event("content-end", {"index": 0}),
        cohere(
            "tool-call-start",
            {
                "tool_calls": {
                    "id": "get_weather_CALL",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": ""},
                }
            },
        ),
        cohere("tool-call-delta", {"tool_calls": {"function": {"arguments": '{"city":"words'}}}),
        cohere("tool-call-delta", {"tool_calls": {"function": {"arguments": ' buffer"}'}}}),
        event("tool-call-end", {"index": 0}),
        cohere_end("TOOL_CALL", 3, 5),
    ],
}


def with_steady_ids(data: bytes) -> bytes:
    data = re.sub(rb"(toolu|get_weather)_[0-9a-f]{24}", rb"\1_CALL", data)
    return re.sub(rb'("signature":")[A-Za-z0-9+/=]{40}"', rb'\1SIGNATURE"', data)


@pytest.mark.parametrize(("prompt", "expected"), [(TEXT, CLEAN), (PARTS, CALLS)], ids=["text", "calls"])
@pytest.mark.parametrize("name", CLEAN)
def test_typed_events(mock: MockServer, name: str, prompt: str, expected: dict[str, list[bytes]]) -> None:
    chunks = play(mock.url, VENDORS[name], prompt).chunks
    start = {"anthropic": b"event: message_start\n", "cohere": b"event: message-start\n"}
    assert chunks[0].startswith(start[name])
    assert [with_steady_ids(chunk) for chunk in chunks[1:]] == expected[name]


def test_anthropic_starts_with_the_message(mock: MockServer) -> None:
    value = json.loads(play(mock.url, VENDORS["anthropic"], TEXT).chunks[0].partition(b"data: ")[2])
    assert value["message"].pop("id").startswith("msg_")
    assert value == {
        "type": "message_start",
        "message": {
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 4, "output_tokens": 1},
        },
    }


def gemini_payloads(mock: MockServer, prompt: str) -> list[dict[str, Any]]:
    chunks = play(mock.url, VENDORS["gemini"], prompt).chunks
    assert all(chunk.startswith(b"data: {") and chunk.endswith(b"}\r\n\r\n") for chunk in chunks)
    assert b"".join(chunks).count(b"\n") == 2 * len(chunks)
    return [json.loads(chunk[6:]) for chunk in chunks]


def test_gemini_events(mock: MockServer) -> None:
    first, last = gemini_payloads(mock, TEXT)
    usage = {"promptTokenCount": 4, "candidatesTokenCount": 1, "totalTokenCount": 5}
    common = {"usageMetadata": usage, "modelVersion": "m", "responseId": first["responseId"]}
    content = {"parts": [{"text": " one\n"}], "role": "model"}
    assert first == {"candidates": [{"content": content, "index": 0}]} | common
    content = {"parts": [{"text": ""}], "role": "model"}
    assert last == {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}]} | common


def test_gemini_says_a_call_whole(mock: MockServer) -> None:
    thought, call, last = gemini_payloads(mock, PARTS)
    assert thought["candidates"][0]["content"]["parts"] == [{"text": "It", "thought": True}]
    said = call["candidates"][0]["content"]["parts"][0]["functionCall"]
    assert (said["name"], said["args"]) == ("get_weather", {"city": "words buffer"})
    assert (last["usageMetadata"]["thoughtsTokenCount"], last["usageMetadata"]["totalTokenCount"]) == (1, 8)


def test_gemini_without_alt_sse_is_one_array_in_pieces(mock: MockServer) -> None:
    answer = play(mock.url, VENDORS["gemini-array"], TEXT)
    assert answer.header("content-type") == ["application/json; charset=UTF-8"]
    assert json.loads(answer.body) == gemini_payloads(mock, TEXT)
    first, last = answer.chunks
    assert (first[:4], last[:5], last[-5:]) == (b"[{\n ", b",\r\n{\n", b"\n}\n]\n")
    assert json.loads(play(mock.url, VENDORS["gemini-array"], "[[mock tokens=0]]").body)[0]["candidates"]


def test_ollama_lines(mock: MockServer) -> None:
    for name, said in (
        ("ollama", lambda text: {"message": {"role": "assistant", "content": text}}),
        ("ollama-generate", lambda text: {"response": text}),
    ):
        answer = play(mock.url, VENDORS[name], TEXT)
        assert answer.header("content-type") == ["application/x-ndjson"]
        assert all(chunk.endswith(b"}\n") and chunk.count(b"\n") == 1 for chunk in answer.chunks)
        first, last = map(json.loads, answer.chunks)
        common = {"model": "m", "created_at": first["created_at"]}
        assert first == common | said(" one\n") | {"done": False}
        assert last == common | said("") | {
            "done": True,
            "done_reason": "stop",
            "total_duration": 11_400_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": 4,
            "prompt_eval_duration": 400_000,
            "eval_count": 1,
            "eval_duration": 10_000_000,
        }


def test_ollama_says_a_call_whole(mock: MockServer) -> None:
    thought, call, last = map(json.loads, play(mock.url, VENDORS["ollama"], PARTS).chunks)
    assert thought["message"] == {"role": "assistant", "content": "", "thinking": "It"}
    function = {"index": 0, "name": "get_weather", "arguments": {"city": "words buffer"}}
    assert call["message"]["tool_calls"] == [{"function": function}]
    assert last["eval_count"] == 3


@pytest.mark.parametrize("prompt", [TEXT, PARTS], ids=["text", "calls"])
def test_cohere_whole(mock: MockServer, prompt: str) -> None:
    value = HTTP.post(f"{mock.url}/v2/chat", json=VENDORS["cohere"].body(prompt, stream=False)).json()
    assert len(value["id"]) == 36
    if prompt == TEXT:
        assert (value["finish_reason"], value["usage"]["tokens"]["output_tokens"]) == ("COMPLETE", 1)
        assert value["message"] == {"role": "assistant", "content": [{"type": "text", "text": " one\n"}]}
    else:
        assert value["finish_reason"] == "TOOL_CALL"
        assert value["message"]["content"] == [{"type": "thinking", "thinking": "It"}]
        function = value["message"]["tool_calls"][0]["function"]
        assert function == {"name": "get_weather", "arguments": '{"city":"words buffer"}'}


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_equal_requests_get_equal_bytes(mock: MockServer, vendor: Vendor) -> None:
    assert play(mock.url, vendor, TEXT).body == play(mock.url, vendor, TEXT).body


def error_of(name: str, value: Any) -> str:
    """The message of an error in the vendor's own shape, whose every key is as it must be."""
    if name == "anthropic":
        assert (set(value), value["type"], set(value["error"])) == ({"type", "error"}, "error", {"type", "message"})
        return value["error"]["message"]
    if name.startswith("gemini"):
        error = (value[0] if name == "gemini-array" else value)["error"]
        assert set(error) == {"code", "message", "status"}
        return error["message"]
    key = "message" if name == "cohere" else "error"
    assert set(value) == {key}
    return value[key]


BAD: dict[str, list[tuple[Any, str]]] = {
    "anthropic": [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens: must be greater than or equal to 1"),
        ({"max_tokens": True}, "max_tokens: expected int"),
        ({"model": None}, "model: Field required"),
        ({"messages": []}, "messages: must not be empty"),
        ({"messages": ["hi"]}, "messages.0: expected an object"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": " "}]}, "non-empty"),
        ({"stream": "yes"}, "stream: expected bool"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
    ],
    "gemini": [
        ({"contents": None}, "contents: Field required"),
        ({"contents": [{"parts": [{"text": ""}]}]}, "non-empty"),
        ({"generationConfig": {"maxOutputTokens": 0}}, "maxOutputTokens"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "functionDeclarations.0.name"),
    ],
    "ollama": [
        ({"model": None}, "model: Field required"),
        ({"messages": ["hi"]}, "messages.0"),
        ({"messages": "hi"}, "messages: expected list"),
        ({"options": []}, "options: expected dict"),
        ({"options": {"num_predict": "2"}}, "num_predict: expected int"),
        ({"tools": [{"function": {}}]}, "tools.0.name"),
    ],
    "ollama-generate": [({"prompt": 7}, "prompt: expected str")],
    "cohere": [
        ({"model": None}, "model: Field required"),
        ({"messages": None}, "messages: Field required"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"tools": [7]}, "tools.0.name"),
    ],
}
BAD["gemini-array"] = BAD["gemini"]


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_refusals_in_the_vendors_shape(mock: MockServer, vendor: Vendor) -> None:
    url = mock.url + vendor.path
    for fields, expected in BAD[vendor.name]:
        response = HTTP.post(url, json=vendor.body("hi", **fields))
        assert (response.status_code, expected in error_of(vendor.name, response.json())) == (400, True), fields
    for body, status in ((b"{,,}", 400), (b"[]", 400)):
        response = HTTP.post(url, content=body, headers={"Content-Type": "application/json"})
        assert (response.status_code, bool(error_of(vendor.name, response.json()))) == (status, True)
    assert "not understood" in error_of(vendor.name, HTTP.post(url, json=vendor.body("[[mock x=1]]")).json())


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_key_and_models(vendor: Vendor) -> None:
    headers = {"anthropic": "x-api-key", "gemini": "x-goog-api-key", "gemini-array": "x-goog-api-key"}
    header = headers.get(vendor.name, "authorization")
    value = "Bearer k-1" if header == "authorization" else "k-1"
    with MockServer(MockConfig(tokens=1, ttft="0", itl="0", api_key="k-1", models=("m",))) as server:
        url = server.url + vendor.path
        for wrong in ({}, {header: f"{value}x"}):
            refused = HTTP.post(url, json=vendor.body("hi"), headers=wrong)
            assert (refused.status_code, "API key" in error_of(vendor.name, refused.json())) == (401, True)
        assert HTTP.post(url, json=vendor.body("hi"), headers={header: value}).status_code == 200
        other = url.replace("models/m:", "models/other:")
        missing = HTTP.post(other, json=vendor.body("hi", model="other"), headers={header: value})
        assert (missing.status_code, "other" in error_of(vendor.name, missing.json())) == (404, True)


def test_gemini_takes_its_key_from_the_query() -> None:
    with MockServer(MockConfig(tokens=1, ttft="0", itl="0", api_key="k-1")) as server:
        body = VENDORS["gemini"].body("hi")
        assert HTTP.post(f"{server.url}{GEMINI}?alt=sse&key=k-1", json=body).status_code == 200
        assert HTTP.post(f"{server.url}{GEMINI}?alt=sse&key=k-2", json=body).status_code == 401


def test_listings() -> None:
    with MockServer(MockConfig(models=("a",), api_key="k-1")) as server:
        key = {"x-goog-api-key": "k-1", "Authorization": "Bearer k-1"}
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/health").json() == {"status": "ok"}
            assert "version" in client.get("/api/version").json()
            assert client.get("/api/tags").json() == {"error": "missing or wrong API key"}
            assert client.get("/api/tags", headers=key).json()["models"][0]["name"] == "a"
            assert client.get("/v1/models", headers=key).json()["data"][0]["id"] == "a"
            assert client.get("/v1beta/models", headers=key).json()["models"][0]["name"] == "models/a"
            assert client.post("/api/tags").headers["allow"] == "GET"


def test_hints_name_every_route(mock: MockServer) -> None:
    message = HTTP.get(f"{mock.url}/nowhere").json()["error"]["message"]
    for path in (
        "/v1/messages",
        "{model}:streamGenerateContent",
        "/api/chat",
        "/api/generate",
        "/v2/chat",
        "/api/tags",
    ):
        assert path in message
    assert HTTP.get(mock.url + GEMINI).headers["allow"] == "POST"


def test_routes_with_places() -> None:
    routes: Routes[str] = Routes()
    routes.add("GET", "/a", "exact")
    routes.add("POST", "/{one}/b/{two}:go", "pattern")
    assert routes.find("/a") == ({"GET": "exact"}, {})
    assert routes.find("/x/b/y%2Fz:go") == ({"POST": "pattern"}, {"one": "x", "two": "y/z"})
    assert routes.find("/x/b/y:gone") is None
    assert routes.find("/x/y/b/z:go") is None
    assert routes.paths == ["/a", "/{one}/b/{two}:go"]
