"""The endpoint, how it is asked, and where the prompt goes."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.endpoint.credentials import with_key, without_key
from streamgauge.endpoint.target import DEFAULT_PROMPT, Target, directive, with_directive
from streamgauge.endpoint.target_input import at_vendor_path
from streamgauge.errors import UsageError
from streamgauge.mock_provider.directive import find_directive

HARD = 'a "b" \\ ü\u2028 {{x}} & = ?\n[[mock id=1]]'


PROMPTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


@given(PROMPTS)
def test_a_placeholder_in_the_url_takes_the_prompt_encoded(prompt: str) -> None:
    for url in ("http://h/ask?text={{prompt}}&n=1", "http://h/ask?text=%7B%7Bprompt%7D%7D&n=1"):
        spec = Target(url=url).request(prompt)
        assert query(spec.url) == {"text": prompt, "n": "1"}
        assert (spec.method, spec.body, spec.prompt) == ("GET", None, prompt)


@given(PROMPTS)
def test_a_placeholder_in_the_body_takes_the_prompt_described(prompt: str) -> None:
    spec = Target(url="http://h/", body='{"deep": [{"q": "x {{prompt}} y"}]}').request(prompt)
    assert json.loads(spec.body or b"") == {"deep": [{"q": f"x {prompt} y"}]}
    assert (spec.method, spec.prompt) == ("POST", prompt)
    assert spec.headers["Content-Type"] == "application/json"


def test_the_last_user_message_takes_the_prompt() -> None:
    body = {
        "messages": [
            {"role": "user", "content": "old"},
            {"role": "assistant", "content": "hm"},
            {"role": "user", "content": "new"},
            {"role": "tool", "content": "x"},
        ],
        "message": "untouched",
    }
    spec = Target(url="http://h/", body=json.dumps(body)).request(HARD)
    sent = json.loads(spec.body or b"")
    assert [message["content"] for message in sent["messages"]] == ["old", "hm", HARD, "x"]
    assert sent["message"] == "untouched"


@pytest.mark.parametrize("name", ["message", "prompt", "input", "query", "question", "text", "q"])
def test_an_application_field_takes_the_prompt(name: str) -> None:
    spec = Target(url="http://h/", body=json.dumps({name: "old", "n": 1})).request(HARD)
    assert json.loads(spec.body or b"") == {name: HARD, "n": 1}
    assert spec.prompt == HARD


@pytest.mark.parametrize("body", ["hello", "[1]", '{"n": 1}', '{"message": 5}', '{"messages": [{"role": "system"}]}'])
def test_a_body_without_a_place_is_sent_as_it_is_and_says_so(body: str) -> None:
    spec = Target(url="http://h/", body=body).request(HARD)
    assert (spec.body, spec.prompt) == (body.encode(), None)


@pytest.mark.parametrize("name", ["message", "Prompt", "q"])
def test_a_query_parameter_takes_the_prompt(name: str) -> None:
    spec = Target(url=f"http://h/a?v=1&{name}=old").request(HARD)
    assert query(spec.url) == {"v": "1", name: HARD}
    assert (spec.method, spec.body, spec.prompt) == ("GET", None, HARD)


def test_a_query_without_a_prompt_parameter_is_left_alone() -> None:
    spec = Target(url="http://h/a?v=1").request(HARD)
    assert (spec.url, spec.method, spec.prompt) == ("http://h/a?v=1", "GET", None)


def test_a_path_can_tell_the_dialect() -> None:
    spec = Target(url="http://h/v1/chat/completions", model="m", max_tokens=9).request(HARD)
    sent = json.loads(spec.body or b"")
    assert (sent["messages"], sent["model"], sent["max_tokens"]) == ([{"role": "user", "content": HARD}], "m", 9)


def test_a_path_that_tells_the_dialect_keeps_its_query() -> None:
    spec = Target(url="http://h/v1/chat/completions?api-version=1").request(HARD)
    assert query(spec.url) == {"api-version": "1"}
    assert json.loads(spec.body or b"")["messages"][0]["content"] == HARD


def test_a_dialect_tells_how_to_ask() -> None:
    asked = Target(url="http://h/s", dialect="json-string").request(HARD)
    posted = Target(url="http://h/s", dialect="token-done").request(HARD)
    assert (asked.method, query(asked.url)) == ("GET", {"message": HARD})
    assert (posted.method, json.loads(posted.body or b"")) == ("POST", {"message": HARD})


def test_get_with_a_dialect_that_posts_asks_in_the_query() -> None:
    spec = Target(url="http://h/s", dialect="token-done", method="GET").request(HARD)
    assert (spec.method, spec.body, query(spec.url)) == ("GET", None, {"message": HARD})


def test_the_prompt_of_the_target_is_used_when_none_is_given() -> None:
    assert Target(url="http://h/?q=").request().prompt == DEFAULT_PROMPT
    assert Target(url="http://h/?q=", prompt="mine").request().prompt == "mine"
    assert Target(url="http://h/?q=").request("").prompt == ""


def test_a_bare_url_can_be_asked_in_two_ways_and_a_settled_one_in_one() -> None:
    bare = Target(url="http://h/stream")
    post, get = [way.request(HARD) for way in bare.alternatives()]
    assert (post.method, json.loads(post.body or b"")) == ("POST", {"message": HARD})
    assert (get.method, query(get.url)) == ("GET", {"message": HARD})

    for settled in (
        Target(url="http://h/stream?v=1"),
        Target(url="http://h/stream", method="GET"),
        Target(url="http://h/stream", body="x"),
        Target(url="http://h/stream", dialect="raw-text"),
        Target(url="http://h/v1/chat/completions"),
    ):
        assert settled.alternatives() == [settled]


def test_headers_replace_in_any_case_add_and_remove() -> None:
    target = Target(url="http://h/?q=", headers={"accept": "*/*", "X-A": "1"})
    headers = target.request("p", headers={"x-a": "2", "Accept-Encoding": None, "X-B": "3"}).headers
    assert headers["accept"] == "*/*"
    assert headers["x-a"] == "2"
    assert headers["X-B"] == "3"
    assert not {"Accept", "X-A", "Accept-Encoding"} & headers.keys()


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("hi", "hi [[mock id=a tokens=4]]"),
        ('[[mock say="one two"]]', '[[mock id=a tokens=4 say="one two"]]'),
        ("hi [[mock tokens=9]] there", "hi [[mock id=a tokens=9]] there"),
        ("[[mock id=z]] hi", "[[mock id=z]] hi [[mock id=a tokens=4]]"),
        ("[[mock is open", "[[mock is open [[mock id=a tokens=4]]"),
        ("[[mocked]]", "[[mocked]] [[mock id=a tokens=4]]"),
    ],
)
def test_a_directive_of_the_users_own_is_kept(text: str, sent: str) -> None:
    assert with_directive(text, id="a", tokens=4, seed=None) == sent
    assert find_directive(sent).id == "a"


def test_the_directive_leaves_out_what_is_none() -> None:
    assert directive(id="a", tokens=4, fault=None) == "[[mock id=a tokens=4]]"


def test_an_unknown_dialect_in_a_target_is_a_usage_error() -> None:
    assert Target(url="http://h/").reader() is None
    with pytest.raises(UsageError, match="unknown dialect"):
        Target(url="http://h/", dialect="nope").reader()


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Rivers?"}]


def sent(target: Target, **asked: Any) -> Any:
    return json.loads(target.request(**asked).body or b"null")


@pytest.mark.parametrize("body", [None, json.dumps({"messages": [], "stream": True, "top_p": 1})])
def test_messages_and_a_length_go_where_chat_endpoints_take_them(body: str | None) -> None:
    target = Target(url="http://h/v1/chat/completions", body=body, max_tokens=5)
    found = sent(target, messages=MESSAGES, max_tokens=77)
    assert (found["messages"], found["max_tokens"]) == (MESSAGES, 77)
    assert found["stream"] is True


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"messages": [], "max_completion_tokens": 1}, {"messages": [], "max_completion_tokens": 77}),
        ({"input": "{{prompt}}", "max_output_tokens": 1}, {"input": "Hi", "max_output_tokens": 77}),
        (
            {"contents": "{{prompt}}", "generationConfig": {"maxOutputTokens": 1, "topK": 2}},
            {"contents": "Hi", "generationConfig": {"maxOutputTokens": 77, "topK": 2}},
        ),
        ({"prompt": "", "options": {"num_predict": 1}}, {"prompt": "Hi", "options": {"num_predict": 77}}),
    ],
)
def test_a_length_goes_into_the_field_that_the_body_has_for_it(body: Any, expected: Any) -> None:
    assert sent(Target(url="http://h/x", body=json.dumps(body)), prompt="Hi", max_tokens=77) == expected


@pytest.mark.parametrize("body", [None, '{"message": "{{prompt}}"}', "not json {{prompt}}", "[1]"])
def test_what_has_no_place_in_the_request_is_a_usage_error(body: str | None) -> None:
    target = Target(url="http://h/chat", method="POST", body=body)
    with pytest.raises(UsageError, match="no list of messages"):
        target.request(messages=MESSAGES)
    with pytest.raises(UsageError, match="no field for the answer's length"):
        target.request(max_tokens=7)


def test_a_mock_upstream_is_told_the_length_otherwise() -> None:
    target = Target(url="http://h/chat", body='{"message": "{{prompt}}"}', mock="http://m")
    assert sent(target, prompt="Hi", max_tokens=7) == {"message": "Hi"}


VENDORS = {
    "openai-chat": ("/v1/chat/completions", {}, "Authorization"),
    "openai-completions": ("/v1/completions", {}, "Authorization"),
    "openai-responses": ("/v1/responses", {}, "Authorization"),
    "anthropic": ("/v1/messages", {"anthropic-version": "2023-06-01"}, "x-api-key"),
    "gemini": ("/v1beta/models/m%2F1:streamGenerateContent", {}, "x-goog-api-key"),
    "ollama": ("/api/chat", {"Accept": "application/x-ndjson"}, "Authorization"),
    "ollama-generate": ("/api/generate", {"Accept": "application/x-ndjson"}, "Authorization"),
    "cohere": ("/v2/chat", {}, "Authorization"),
}


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendor_is_asked_at_its_own_path_with_its_own_headers(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("KEY", "k1")
    path, headers, key_header = VENDORS[name]
    target = with_key(at_vendor_path(Target(url="http://h/", dialect=name, model="m/1", api_key_env="KEY")))
    spec = target.request(HARD)

    assert urlsplit(spec.url).path == path
    assert spec.headers | headers == spec.headers
    assert spec.headers[key_header] == ("Bearer k1" if key_header == "Authorization" else "k1")
    assert "k1" not in spec.curl()
    assert without_key(target).headers == {}
    assert (spec.method, spec.prompt) == ("POST", HARD)
    assert json.dumps(HARD) in json.dumps(json.loads(spec.body or b""))


@pytest.mark.parametrize(
    "body",
    [
        {"contents": [{"role": "user", "parts": [{"text": "old"}]}, {"role": "model", "parts": []}]},
        {"input": [{"role": "user", "content": "old"}, {"type": "function_call_output"}]},
        {"input": "old"},
    ],
)
def test_the_turns_of_other_vendors_take_the_prompt(body: dict[str, Any]) -> None:
    spec = Target(url="http://h/", body=json.dumps(body)).request("new")
    assert spec.prompt == "new"
    assert "old" not in (spec.body or b"").decode()


@pytest.mark.parametrize("name", VENDORS)
def test_every_vendor_can_be_told_the_length_of_an_answer(name: str) -> None:
    body = json.loads(Target(url="http://h/", dialect=name).request("x", max_tokens=77).body or b"")
    assert json.dumps(body).count("77") == 1


def test_a_path_like_ollama_s_is_asked_its_way_last() -> None:
    *_, last = Target(url="http://h/api/chat").alternatives()
    sent = json.loads(last.request("x").body or b"")
    assert (sent["messages"], sent["stream"]) == ([{"role": "user", "content": "x"}], True)
