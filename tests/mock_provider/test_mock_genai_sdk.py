"""Google's own client against the mock: its objects, its exceptions. Its base URL is the only host it may reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.lazily import Lazily

genai, errors, types = (Lazily(name) for name in ("google.genai", "google.genai.errors", "google.genai.types"))

pytestmark = pytest.mark.usefixtures("loopback_only")

LOOK_UP = {
    "function_declarations": [
        {
            "name": "look_up",
            "description": "d",
            "parameters": {"type": "OBJECT", "properties": {"place": {"type": "STRING"}}},
        }
    ]
}


def connected(url: str, key: str = "none", version: str | None = None) -> genai.Client:
    options = types.HttpOptions(base_url=url, api_version=version)
    return genai.Client(api_key=key, vertexai=False, http_options=options)


@pytest.fixture
def client(mock: MockServer) -> Iterator[genai.Client]:
    with connected(mock.url) as client:
        yield client


def ask(client: genai.Client, prompt: str, **config: object) -> list[types.GenerateContentResponse]:
    settings = types.GenerateContentConfig(
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **config
    )
    return list(client.models.generate_content_stream(model="m", contents=prompt, config=settings))


def test_text_and_usage(client: genai.Client) -> None:
    responses = ask(client, "hi [[mock tokens=20 text=unicode]]")
    texts = [response.text for response in responses[:-1]]
    assert (len(texts), texts[0]) == (20, " caf\u00e9")
    last = responses[-1]
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    usage = last.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (4, 20, 24)
    assert len({response.response_id for response in responses}) == 1
    assert last.model_version == "m"


def test_line_separators_survive(client: genai.Client) -> None:
    assert ask(client, "[[mock tokens=3 text=separators]]")[0].text == " a\u2028b"


def test_thoughts(client: genai.Client) -> None:
    responses = ask(client, "hi [[mock reasoning=4 tokens=3]]")
    parts = [part for response in responses for part in response.candidates[0].content.parts]
    assert [bool(part.thought) for part in parts] == [True] * 4 + [False] * 4
    assert responses[-1].usage_metadata.thoughts_token_count == 4


def test_function_calls(client: genai.Client) -> None:
    responses = ask(client, "hi [[mock tools=2 tokens=8]]", tools=[LOOK_UP])
    calls = [call for response in responses for call in response.function_calls or []]
    assert [(call.name, list(call.args)) for call in calls] == [("look_up", ["place"])] * 2
    assert calls[0].args["place"].strip()
    assert calls[0].id != calls[1].id
    mode = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="NONE"))
    assert not any(response.function_calls for response in ask(client, "hi", tools=[LOOK_UP], tool_config=mode))


def test_whole(client: genai.Client) -> None:
    response = client.models.generate_content(model="m", contents="hi [[mock tokens=5]]")
    assert len(response.text.split()) == 5
    assert response.usage_metadata.candidates_token_count == 5


def test_max_output_tokens(client: genai.Client) -> None:
    responses = ask(client, "hi [[mock tokens=50]]", max_output_tokens=2)
    assert responses[-1].candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert len(responses) == 3


def test_error_in_mid_stream(client: genai.Client) -> None:
    stream = client.models.generate_content_stream(model="m", contents="hi [[mock fault=error-event:2]]")
    assert [bool(next(stream).text) for _ in range(2)] == [True, True]
    with pytest.raises(errors.ServerError, match="failed while") as caught:
        next(stream)
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


@pytest.mark.parametrize(
    ("status", "error", "name"),
    [
        (429, "ClientError", "RESOURCE_EXHAUSTED"),
        (401, "ClientError", "UNAUTHENTICATED"),
        (500, "ServerError", "INTERNAL"),
        (503, "ServerError", "UNAVAILABLE"),
    ],
)
def test_statuses(client: genai.Client, status: int, error: str, name: str) -> None:
    with pytest.raises(getattr(errors, error)) as caught:
        ask(client, f"hi [[mock fault=status:{status}]]")
    assert (caught.value.code, caught.value.status) == (status, name)


def test_refusal_of_a_request(client: genai.Client) -> None:
    with pytest.raises(errors.ClientError, match="not understood") as caught:
        ask(client, "hi [[mock speed=9]]")
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")


def test_api_key_and_models() -> None:
    with MockServer(MockConfig(tokens=1, ttft="0", itl="0", api_key="k-1", models=("a", "b"))) as server:
        with connected(server.url, "k-1", "v1beta") as client:
            assert [model.name for model in client.models.list()] == ["models/a", "models/b"]
            with pytest.raises(errors.ClientError, match="not found") as caught:
                ask(client, "hi")
            assert caught.value.status == "NOT_FOUND"
        with connected(server.url, "k-2") as client, pytest.raises(errors.ClientError) as caught:
            ask(client, "hi")
        assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
