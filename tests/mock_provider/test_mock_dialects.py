"""The clean bytes of each dialect, its refusals, and the vendor's own client."""

from __future__ import annotations

import json

import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.lazily import Lazily
from tests.mock_provider.mock_wire import HTTP, ROUTES, exchange, request_bytes, steady

openai = Lazily("openai")

CHUNK = 'data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"mock-1","choices":'

DETAILS = '"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}'


def choice(delta: str, finish: str) -> bytes:
    return f'{CHUNK}[{{"index":0,"delta":{delta},"finish_reason":{finish}}}],"usage":null}}\n\n'.encode()


TEXT = CHUNK.replace("chat", "").replace(".completion.chunk", "text_completion")


def text_choice(text: str, finish: str) -> bytes:
    return f'{TEXT}[{{"index":0,"text":{text},"logprobs":null,"finish_reason":{finish}}}],"usage":null}}\n\n'.encode()


def usage(chunk: str) -> bytes:
    return f'{chunk}[],"usage":{{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7,{DETAILS}}}}}\n\n'.encode()


# The text is the kind "newlines", which starts " one\n", "\n", "\n\n".
CLEAN = {
    "openai-chat": [
        choice('{"role":"assistant","content":""}', "null"),
        choice('{"content":" one\\n"}', "null"),
        choice('{"content":"\\n"}', "null"),
        choice('{"content":"\\n\\n"}', "null"),
        choice("{}", '"stop"'),
        usage(CHUNK),
        b"data: [DONE]\n\n",
    ],
    "openai-completions": [
        text_choice('" one\\n"', "null"),
        text_choice('"\\n"', "null"),
        text_choice('"\\n\\n"', "null"),
        text_choice('""', '"stop"'),
        usage(TEXT),
        b"data: [DONE]\n\n",
    ],
    "json-string": [b'data: " one\\n"\n\n', b'data: "\\n"\n\n', b'data: "\\n\\n"\n\n', b"data: [DONE]\n\n"],
    "token-done": [
        b'data: {"token":" one\\n","done":false}\n\n',
        b'data: {"token":"\\n","done":false}\n\n',
        b'data: {"token":"\\n\\n","done":false}\n\n',
        b'data: {"token":"","done":true}\n\n',
    ],
    "event-text": [
        b"event: token\ndata:  one\ndata: \n\n",
        b"event: token\ndata: \ndata: \n\n",
        b"event: token\ndata: \ndata: \ndata: \n\n",
    ],
    "raw-text": [b"data:  one\ndata: \n\n", b"data: \ndata: \n\n", b"data: \ndata: \ndata: \n\n"],
    "event-json": [
        b'event: token\ndata: {"token":" one\\n"}\n\n',
        b'event: token\ndata: {"token":"\\n"}\n\n',
        b'event: token\ndata: {"token":"\\n\\n"}\n\n',
        b"event: done\ndata: {}\n\n",
    ],
    "plain-text": [b" one\n", b"\n", b"\n\n"],
}


@pytest.mark.parametrize("dialect", CLEAN)
def test_clean_stream(mock: MockServer, dialect: str) -> None:
    answer = exchange(mock.url, request_bytes(dialect, "a [[mock tokens=3 text=newlines]]"))
    assert [steady(chunk) for chunk in answer.chunks] == CLEAN[dialect]
    assert (answer.status, answer.whole, answer.end) == (200, True, "fin")
    assert answer.header("x-accel-buffering") == ["no"]
    assert "no-cache" in answer.header("cache-control")[0]
    expected = "text/plain; charset=utf-8" if dialect == "plain-text" else "text/event-stream"
    assert answer.header("content-type") == [expected]


def test_every_dialect_has_its_clean_bytes_here() -> None:
    assert set(CLEAN) == set(ROUTES)


def test_ids_are_constant_in_a_response_and_differ_between_responses(mock: MockServer) -> None:
    ids = []
    for _ in range(2):
        answer = exchange(mock.url, request_bytes("openai-chat", "hi"))
        payloads = [json.loads(chunk[6:]) for chunk in answer.chunks[:-1]]
        assert len({(value["id"], value["created"]) for value in payloads}) == 1
        ids.append(payloads[0]["id"])
        ids.append(answer.header("x-request-id")[0])
    assert len(set(ids)) == 4


def test_json_escapes_line_separators(mock: MockServer) -> None:
    answer = exchange(mock.url, request_bytes("json-string", "[[mock tokens=6 text=separators]]"))
    assert answer.body.isascii()
    assert json.loads(answer.chunks[0][6:]) == " a\u2028b"


def test_http10_gets_a_body_that_ends_with_the_connection(mock: MockServer) -> None:
    answer = exchange(mock.url, request_bytes("json-string", "[[mock tokens=1]]", version="1.0", headers=()))
    assert answer.header("transfer-encoding") == []
    assert answer.rest.endswith(b"data: [DONE]\n\n")
    assert answer.end == "fin"


def test_max_tokens_cuts_and_says_so(mock: MockServer) -> None:
    request = request_bytes("openai-chat", "hi [[mock tokens=50]]", max_tokens=2)
    payloads = [json.loads(chunk[6:]) for chunk in exchange(mock.url, request).chunks[:-1]]
    assert payloads[-2]["choices"][0]["finish_reason"] == "length"
    assert payloads[-1]["usage"]["completion_tokens"] == 2


def test_whole_text_completion(mock: MockServer) -> None:
    answer = exchange(mock.url, request_bytes("openai-completions", "hi [[mock tokens=3]]", stream=False))
    value = json.loads(answer.rest)
    assert answer.header("content-type") == ["application/json"]
    assert (value["object"], value["id"][:5]) == ("text_completion", "cmpl-")
    assert value["choices"] == [{"index": 0, "text": "It words buffer", "logprobs": None, "finish_reason": "stop"}]
    assert value["usage"]["completion_tokens"] == 3


def test_whole_completion(mock: MockServer) -> None:
    answer = exchange(mock.url, request_bytes("openai-chat", "hi [[mock tokens=3]]", stream=False))
    value = json.loads(answer.rest)
    assert answer.header("content-type") == ["application/json"]
    assert value["object"] == "chat.completion"
    assert len(value["choices"][0]["message"]["content"].split()) == 3
    assert value["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize(
    ("directive", "fields"),
    [("script=endless", {"max_tokens": 10**12}), ("tokens=1000000 text=big", {}), ("tokens=600 text=big", None)],
)
def test_a_whole_answer_fits_in_memory(mock: MockServer, directive: str, fields: dict | None) -> None:
    request = request_bytes("openai-chat", f"[[mock {directive}]]", stream=False, **(fields or {}))
    answer = exchange(mock.url, request)
    assert answer.status == (200 if fields is None else 400)
    assert fields is None or b"a whole answer of" in answer.rest


GOOD = {"messages": [{"role": "user", "content": "hi"}], "stream": True}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{,,}", None),
        (b"[]", None),
        ({"stream": True}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "messages"),
        (GOOD | {"stream": "yes"}, "stream"),
        (GOOD | {"max_tokens": -1}, "max_tokens"),
        (GOOD | {"max_tokens": 0}, "max_tokens"),
        (GOOD | {"max_completion_tokens": True}, "max_completion_tokens"),
        (GOOD | {"model": 7}, "model"),
        (GOOD | {"stream_options": []}, "stream_options"),
        ({"messages": [{"role": "user", "content": "[[mock speed=9]]"}]}, None),
    ],
)
def test_openai_refuses_in_its_own_shape(mock: MockServer, body: object, param: str | None) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = HTTP.post(f"{mock.url}/v1/chat/completions", content=data, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.headers["content-type"]) == (400, "application/json")
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param


ASKED = {"prompt": "hi", "stream": True}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{,,}", None),
        (b"[]", None),
        ({"stream": True}, "prompt"),
        ({"messages": GOOD["messages"]}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": [""]}, "prompt"),
        (ASKED | {"n": 2}, "n"),
        (ASKED | {"stream": "yes"}, "stream"),
        (ASKED | {"max_tokens": 0}, "max_tokens"),
        (ASKED | {"model": 7}, "model"),
        (ASKED | {"stop": 7}, "stop"),
        ({"prompt": "hi", "stream_options": {"include_usage": True}}, "stream_options"),
        ({"prompt": "[[mock tools=1 speed=9]]"}, None),
    ],
)
def test_openai_s_older_api_refuses_in_the_same_shape(mock: MockServer, body: object, param: str | None) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = HTTP.post(f"{mock.url}/v1/completions", content=data, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.headers["content-type"]) == (400, "application/json")
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat/stream", "/chat/stream", "/plain"])
def test_wrong_media_type_is_415(mock: MockServer, path: str) -> None:
    response = HTTP.post(f"{mock.url}{path}", content=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415


@pytest.mark.parametrize("path", ["/api/chat/stream", "/api/chat/events", "/api/chat/stream?message=%20"])
def test_a_missing_message_is_refused_with_a_problem(mock: MockServer, path: str) -> None:
    response = HTTP.get(f"{mock.url}{path}")
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/plain", "GET, POST"),
        ("HEAD", "/stream", "GET"),
        ("HEAD", "/v1/chat/completions", "POST"),
        ("POST", "/health", "GET"),
    ],
)
def test_wrong_method_is_405_with_allow(mock: MockServer, method: str, path: str, allow: str) -> None:
    response = HTTP.request(method, mock.url + path)
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    assert bool(response.content) == (method != "HEAD")


def test_unknown_path_is_404_json(mock: MockServer) -> None:
    response = HTTP.get(f"{mock.url}/v9/chat")
    assert (response.status_code, "error" in response.json()) == (404, True)


def test_health_and_models(mock: MockServer) -> None:
    assert HTTP.get(f"{mock.url}/health").json() == {"status": "ok"}
    assert HTTP.get(f"{mock.url}/v1/models").json()["data"][0]["id"] == "mock-1"


def test_api_key_and_model_list() -> None:
    with MockServer(MockConfig(tokens=1, ttft="0", itl="0", api_key="k-1", models=("m",))) as server:
        url = f"{server.url}/v1/chat/completions"
        refused = HTTP.post(url, json=GOOD)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert refused.json()["error"]["code"] == "invalid_api_key"
        assert HTTP.get(f"{server.url}/v1/models").status_code == 401
        assert HTTP.get(f"{server.url}/health").status_code == 200
        key = {"Authorization": "Bearer k-1"}
        assert HTTP.post(url, json=GOOD | {"model": "other"}, headers=key).status_code == 404
        assert HTTP.post(url, json=GOOD | {"model": "m"}, headers=key).status_code == 200


def test_heartbeats_break_a_silence(mock: MockServer) -> None:
    answer = exchange(mock.url, request_bytes("event-json", "[[mock tokens=1 ttft=200ms heartbeat=50ms]]"))
    assert answer.chunks[:2] == [b": heartbeat\n\n"] * 2
    assert answer.chunks[-1] == b"event: done\ndata: {}\n\n"


def test_openai_sdk_streams_every_token(mock: MockServer) -> None:
    with openai.OpenAI(base_url=f"{mock.url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="mock-1",
            messages=[{"role": "user", "content": "hi [[mock tokens=20 text=unicode]]"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
        assert len(texts) == 20
        assert texts[0] == " caf\u00e9"
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 20


def test_openai_sdk_raises_its_own_errors(mock: MockServer) -> None:
    with openai.OpenAI(base_url=f"{mock.url}/v1", api_key="none", max_retries=0) as client:

        def ask(directive: str) -> None:
            message = {"role": "user", "content": f"hi [[mock {directive}]]"}
            list(client.chat.completions.create(model="m", messages=[message], stream=True))

        with pytest.raises(openai.APIError, match="failed while"):
            ask("fault=error-event:2")
        with pytest.raises(openai.RateLimitError):
            ask("fault=status:429")
        with pytest.raises(openai.BadRequestError, match="not understood"):
            ask("speed=9")
