"""Ollama's own client against the mock: its objects, its exceptions. Its host is the only one it may reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.lazily import Lazily

ollama = Lazily("ollama")

pytestmark = pytest.mark.usefixtures("loopback_only")

LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "d",
        "parameters": {"type": "object", "required": ["place"], "properties": {"place": {"type": "string"}}},
    },
}


@pytest.fixture
def client(mock: MockServer) -> Iterator[ollama.Client]:
    with ollama.Client(host=mock.url) as client:
        yield client


def chat(client: ollama.Client, prompt: str, **fields: object) -> list[ollama.ChatResponse]:
    return list(client.chat(model="m", messages=[{"role": "user", "content": prompt}], stream=True, **fields))


def test_text_and_counts(client: ollama.Client) -> None:
    *tokens, last = chat(client, "hi [[mock tokens=20 text=unicode]]")
    assert (len(tokens), tokens[0].message.content) == (20, " caf\u00e9")
    assert not any(token.done for token in tokens)
    assert (last.done, last.done_reason, last.prompt_eval_count, last.eval_count) == (True, "stop", 4, 20)
    assert last.total_duration == last.load_duration + last.prompt_eval_duration + last.eval_duration


def test_thinking(client: ollama.Client) -> None:
    parts = [part.message for part in chat(client, "hi [[mock reasoning=4 tokens=3]]", think=True)]
    assert [bool(part.thinking) for part in parts] == [True] * 4 + [False] * 4
    generated = list(client.generate(model="m", prompt="hi [[mock reasoning=4 tokens=3]]", stream=True))
    assert [part.thinking for part in generated[:4]] == [part.thinking for part in parts[:4]]


def test_tool_calls(client: ollama.Client) -> None:
    parts = [part.message for part in chat(client, "hi [[mock tools=2 tokens=8]]", tools=[LOOK_UP])]
    calls = [call.function for part in parts for call in part.tool_calls or []]
    assert [(call.name, list(call.arguments)) for call in calls] == [("look_up", ["place"])] * 2
    assert calls[0].arguments["place"].strip()


def test_an_agents_loop_ends(client: ollama.Client) -> None:
    turns = [{"role": "user", "content": "hi"}]
    answer = client.chat(model="m", messages=turns, tools=[LOOK_UP])
    assert answer.message.tool_calls
    turns += [answer.message.model_dump(), {"role": "tool", "content": "sunny", "tool_name": "look_up"}]
    assert not client.chat(model="m", messages=turns, tools=[LOOK_UP]).message.tool_calls


def test_whole(client: ollama.Client) -> None:
    answer = client.chat(model="m", messages=[{"role": "user", "content": "hi [[mock tokens=5 reasoning=2]]"}])
    assert (len(answer.message.content.split()), len(answer.message.thinking.split())) == (5, 2)
    assert (answer.done, answer.eval_count) == (True, 7)
    generated = client.generate(model="m", prompt="hi [[mock tokens=5]]")
    assert (len(generated.response.split()), generated.done) == (5, True)


@pytest.mark.parametrize(("most", "count", "reason"), [(2, 2, "length"), (-1, 6, "stop")])
def test_num_predict(client: ollama.Client, most: int, count: int, reason: str) -> None:
    last = list(client.generate(model="m", prompt="hi", stream=True, options={"num_predict": most}))[-1]
    assert (last.eval_count, last.done_reason) == (count, reason)


def test_error_in_mid_stream(client: ollama.Client) -> None:
    messages = [{"role": "user", "content": "hi [[mock fault=error-event:2]]"}]
    stream = client.chat(model="m", messages=messages, stream=True)
    assert [bool(next(stream).message.content) for _ in range(2)] == [True, True]
    with pytest.raises(ollama.ResponseError, match="failed while"):
        next(stream)


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_statuses(client: ollama.Client, status: int) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        chat(client, f"hi [[mock fault=status:{status}]]")
    assert caught.value.status_code == status
    assert "{" not in caught.value.error  # the message itself, out of its JSON


def test_refusal_of_a_request(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="not understood") as caught:
        chat(client, "hi [[mock speed=9]]")
    assert caught.value.status_code == 400


def test_a_blank_line_stops_it(client: ollama.Client) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        chat(client, "hi [[mock fault=blank-line]]")


def test_models_and_key() -> None:
    with MockServer(MockConfig(tokens=1, ttft="0", itl="0", api_key="k-1", models=("a",))) as server:
        with ollama.Client(host=server.url, headers={"Authorization": "Bearer k-1"}) as client:
            assert [model.model for model in client.list().models] == ["a"]
            with pytest.raises(ollama.ResponseError, match="'m' not found") as caught:
                chat(client, "hi")
            assert caught.value.status_code == 404
        with ollama.Client(host=server.url) as client, pytest.raises(ollama.ResponseError) as caught:
            chat(client, "hi")
        assert caught.value.status_code == 401
