"""The mock says a given text, of a directive, a header or a file: as the answer, a refusal or arguments of calls."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.directive import DirectiveError, find_directive, read_directive
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.text import split

HTML = '<img src=x onerror=alert(1)> [1] "quoted" é\n'
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def mock() -> Iterator[MockServer]:
    with MockServer(MockConfig(ttft="1ms", itl="1ms")) as server:
        yield server


def quoted(text: str) -> str:
    return json.dumps(text).replace("[", "\\u005b").replace("]", "\\u005d")


def answer(url: str, directive: str, **fields: Any) -> dict[str, Any]:
    """The whole answer to a prompt."""
    messages = [{"role": "user", "content": f"Hi [[mock {directive}]]"}]
    choice = httpx.post(url + CHAT, json={"messages": messages, **fields}).raise_for_status().json()["choices"][0]
    return {**choice["message"], "finish": choice["finish_reason"]}


def pieces(url: str, directive: str) -> list[str]:
    """The texts of the tokens of a stream."""
    body = httpx.post(f"{url}/api/chat/stream", json={"message": f"Hi [[mock {directive}]]"}).raise_for_status().text
    found = [json.loads(line.removeprefix("data: "))["token"] for line in body.splitlines() if line]
    return found[:-1]


@pytest.mark.parametrize("text", ["", "two words", HTML, "a" * 40, "  ends in blanks  "])
def test_tokens_of_a_text_are_short_and_make_the_text(text: str) -> None:
    tokens = split(text)

    assert "".join(tokens) == text
    assert all(0 < len(token.strip() or " ") <= 12 for token in tokens)


def test_a_text_is_quoted_or_percent_encoded() -> None:
    assert find_directive(f"[[mock say={quoted(HTML)} tokens=3]]").say == HTML
    assert find_directive("[[mock say=%5Bone%20two%5D]]").say == "[one two]"
    assert read_directive("", {"x-mock-directive": 'say="two words" seed=4'}).say == "two words"
    assert find_directive("[[mock say=]]").say == ""


@pytest.mark.parametrize("value", ['"', '"open', '"a"b', r'"\x"', "%ff"])
def test_a_text_that_is_neither_is_refused(value: str) -> None:
    with pytest.raises(DirectiveError, match="say"):
        find_directive(f"[[mock say={value}]]")


def test_the_stream_and_the_whole_answer_say_it(mock: MockServer) -> None:
    assert "".join(pieces(mock.url, f"say={quoted(HTML)}")) == HTML
    assert answer(mock.url, f"say={quoted(HTML)}")["content"] == HTML
    assert pieces(mock.url, "say=") == []


def test_a_number_of_tokens_cuts_or_repeats_it(mock: MockServer) -> None:
    assert pieces(mock.url, 'say="one two three" tokens=2') == ["one", " two"]
    assert pieces(mock.url, "say=ha tokens=3") == ["ha"] * 3
    assert answer(mock.url, 'say="one two three"', max_tokens=1) == {
        "role": "assistant", "content": "one", "refusal": None, "finish": "length",
    }  # fmt: skip


def test_it_can_be_a_refusal_a_filtered_answer_and_the_arguments_of_calls(mock: MockServer) -> None:
    assert answer(mock.url, 'say="I cannot." answer=refusal')["refusal"] == "I cannot."
    assert answer(mock.url, 'say="Half of it" finish=content_filter')["finish"] == "content_filter"
    arguments = quoted('{"cities": ["Oslo", "Bern"]}')
    calls = answer(mock.url, f"tools=2 say={arguments}")["tool_calls"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"cities": ["Oslo", "Bern"]}] * 2


def test_thoughts_come_before_it_and_are_not_part_of_it(mock: MockServer) -> None:
    found = answer(mock.url, 'say="The answer" reasoning=3')

    assert found["content"] == "The answer"
    assert len(found["reasoning_content"].split()) == 3


def test_a_file_is_the_answer_unless_the_prompt_names_a_text() -> None:
    with MockServer(MockConfig(say="from a file", ttft="1ms", itl="1ms")) as server:
        assert answer(server.url, "seed=1")["content"] == "from a file"
        assert answer(server.url, "say=mine")["content"] == "mine"
        assert answer(server.url, "text=unicode tokens=1")["content"] == " café"


def test_the_ledger_shows_what_was_asked_of_the_model(mock: MockServer) -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "One"}]},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "x" * 300 + " [[mock id=asked]]"},
    ]
    body = {
        "model": "m",
        "max_tokens": 7,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    httpx.post(mock.url + CHAT, json=body).raise_for_status()
    entry = httpx.get(f"{mock.url}/_mock/streams/asked").json()["streams"][0]
    found = entry["received"]

    assert (found["model"], found["max_tokens"], found["stream"], found["include_usage"]) == ("m", 7, True, True)
    assert [(one["role"], one["characters"]) for one in found["messages"]] == [
        ("system", 8), ("user", 3), ("assistant", 3), ("user", 318),
    ]  # fmt: skip
    assert [one["text"] for one in found["messages"]] == ["Be kind.", "One", "Two", "x" * 200]
    assert entry["prompt_tokens"] == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"max_tokens": 5, "system": "S", "messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/responses", {"max_output_tokens": 5, "instructions": "S", "input": "Hi"}),
        ("/v1beta/models/m:generateContent", {
            "generationConfig": {"maxOutputTokens": 5},
            "systemInstruction": {"parts": [{"text": "S"}]},
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        }),
        ("/api/chat", {"options": {"num_predict": 5}, "messages": [
            {"role": "system", "content": "S"}, {"role": "user", "content": "Hi"},
        ]}),
    ],
)  # fmt: skip
def test_the_ledger_reads_every_vendors_names(mock: MockServer, path: str, body: dict[str, Any]) -> None:
    httpx.post(mock.url + path, json={"model": "m", **body}).raise_for_status()
    found = httpx.get(f"{mock.url}/_mock/streams?limit=1").json()["streams"][0]["received"]

    assert (found["model"], found["max_tokens"], found["message_count"]) == ("m", 5, 2)
    assert [(one["role"], one["text"]) for one in found["messages"]] == [("system", "S"), ("user", "Hi")]


def test_embeddings_are_fixed_and_of_length_one(mock: MockServer) -> None:
    def ask(**fields: Any) -> httpx.Response:
        return httpx.post(f"{mock.url}/v1/embeddings", json={"model": "e", **fields})

    first, second = (one["embedding"] for one in ask(input=["one", "two"]).json()["data"])
    assert ask(input="one").json()["data"][0]["embedding"] == first
    assert len(first) == 1536
    assert abs(sum(value * value for value in first) - 1) < 1e-4
    assert abs(sum(a * b for a, b in zip(first, second, strict=True))) < 0.2
    assert len(ask(input="one", dimensions=8).json()["data"][0]["embedding"]) == 8
    assert isinstance(ask(input="one", encoding_format="base64").json()["data"][0]["embedding"], str)
    assert ask(input="").status_code == ask(input=5).status_code == ask(input="x", dimensions=10_000).status_code == 400
    assert httpx.get(f"{mock.url}/v1/embeddings").status_code == 405


@pytest.mark.parametrize("value", ['"a [b] c"', '"[1]" tools=1', '"a] b"'])
def test_a_bracket_in_a_text_is_refused_with_the_way_to_write_it(value: str) -> None:
    """The answer would be the mock's own text, without a word."""
    with pytest.raises(DirectiveError, match="u005b"):
        find_directive(f"hi [[mock say={value}]]")
    assert find_directive(f"an earlier [[mock say={value}]] [[mock id=a]]").id == "a"


def test_brackets_elsewhere_are_no_directive() -> None:
    assert find_directive('a list [1] and [[mockery say="[x]"]]') == find_directive("")


def test_the_text_of_a_server_is_no_arguments_of_calls_unless_it_makes_calls() -> None:
    with MockServer(MockConfig(say="from a file", ttft="1ms", itl="1ms")) as server:
        (call,) = answer(server.url, "tools=1")["tool_calls"]
        assert isinstance(json.loads(call["function"]["arguments"]), dict)
        assert answer(server.url, "seed=1")["content"] == "from a file"
    with MockServer(MockConfig(say='{"a": 1}', tools=1, ttft="1ms", itl="1ms")) as server:
        (call,) = answer(server.url, "seed=1")["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {"a": 1}
