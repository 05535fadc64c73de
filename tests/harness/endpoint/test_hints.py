"""The hint names the option that the endpoint's own answer asks for."""

import json
from typing import Any

import pytest

from streamgauge.endpoint.hints import hint_for, message_of, nearest_paths
from streamgauge.wire import Head

CHAT = "http://host:8000/v1/chat/completions"


def hint(status: int, value: Any, url: str = CHAT, *headers: tuple[str, str]) -> str:
    body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    return hint_for(Head(status, "", "1.1", headers), body, url)


def openai(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"}}


@pytest.mark.parametrize(
    ("status", "body", "named"),
    [
        (401, openai("Incorrect API key provided"), "--api-key-env"),
        (403, "", "--api-key-env"),
        (400, openai("No API key was given"), "--api-key-env"),
        (401, {"detail": "Missing x-api-key header"}, "--header 'x-api-key: VALUE'"),
        (404, openai("The model `gpt-4o` does not exist or you do not have access to it"), "--model NAME"),
        (404, {"error": 'model "llama3.2" not found, try pulling it first'}, "--model NAME"),
        (400, {"detail": "model is required"}, "--model NAME"),
        (400, {"error": {"message": "unknown model: mock-1"}}, "--model NAME"),
        (500, {"error": "Invalid model name passed in model=x"}, "--model NAME"),
        (400, {"error": "missing required header: anthropic-version"}, "--header 'anthropic-version: VALUE'"),
        (400, {"message": "The X-Tenant-Id header is required"}, "--header 'X-Tenant-Id: VALUE'"),
        (400, {"error": "Missing required field 'question'"}, "'question'"),
        (400, {"error": "'input' is required"}, "--body FILE"),
        (422, {"detail": [{"loc": ["body", "question"], "msg": "Field required", "type": "missing"}]}, "'question'"),
        (422, {"detail": [{"loc": ["header", "x-session"], "msg": "Field required"}]}, "--header 'x-session: VALUE'"),
        (422, {"detail": [{"loc": ["query", "q"], "msg": "Field required"}]}, "parameter 'q' in the URL"),
        (400, "bad request", "--body FILE"),
        (415, "", "--header 'Content-Type"),
        (429, openai("Rate limit reached"), "rate limit"),
        (502, "<html>Bad Gateway</html>", "the endpoint itself failed"),
        (400, openai("anthropic-version: header is required"), "--header 'anthropic-version: VALUE'"),
        (400, openai("This model's maximum context length is 10 tokens"), "--max-tokens"),
        (400, openai("stream must be true"), '"stream": true'),
        (400, {"error": "Only streaming is supported"}, '"stream": true'),
        (400, "<html>The plain HTTP request was sent to HTTPS port</html>", "https://"),
        (400, {"title": "Validation", "errors": {"Message": ["The Message field is required."]}}, "lacks 'Message'"),
        (422, {"detail": [{"loc": ["body", "model"], "msg": "Field required"}]}, "--model NAME"),
        (422, {"detail": [{"loc": ["body", "top_k"], "type": "extra_forbidden", "msg": "no"}]}, "not accept 'top_k'"),
        (400, openai("max_tokens: Field required"), "lacks 'max_tokens'"),
        (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 5000"}, "--max-tokens"),
        (402, openai("Insufficient credits"), "credit"),
        (403, openai("You do not have access to this model"), "--model NAME"),
        (405, "", "--method"),
        (406, {"detail": "Not Acceptable"}, "--header 'Accept: TYPE'"),
        (413, "<html><title>413 Request Entity Too Large</title></html>", "--prompt"),
        (426, "Upgrade Required", "--http2"),
        (429, openai("You exceeded your current quota"), "quota"),
    ],
)
def test_the_hint_names_the_option(status: int, body: Any, named: str) -> None:
    assert named in hint(status, body)


@pytest.mark.parametrize(
    ("status", "body", "other"),
    [
        (401, openai("Incorrect API key provided"), "--body"),
        (404, openai("The model `x` does not exist"), "path"),
        (400, openai("No API key was given"), "--body"),
        (400, {"error": "missing required header: anthropic-version"}, "--body"),
        (422, {"detail": [{"loc": ["body", "question"], "msg": "Field required"}]}, "--dialect"),
        (422, {"detail": [{"loc": ["body", "top_k"], "type": "extra_forbidden", "msg": "no"}]}, "lacks"),
        (422, {"detail": [{"loc": ["body", 1], "type": "json_invalid", "msg": "JSON decode error"}]}, "lacks"),
        (403, "<html><p>CSRF verification failed. Request aborted.</p></html>", "--api-key-env"),
        (403, openai("Your country, region, or territory is not supported"), "--api-key-env"),
        (403, openai("You do not have access to this model"), "--api-key-env"),
        (400, openai("This model's maximum context length is 10 tokens"), "--dialect"),
        (400, openai("The field is required"), "'The'"),
        (429, openai("You exceeded your current quota"), "try again"),
        (429, "the load balancer has no room", "quota"),
    ],
)
def test_the_hint_names_no_option_that_does_not_help(status: int, body: Any, other: str) -> None:
    assert other not in hint(status, body)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://host:8000", "http://host:8000/v1/chat/completions"),
        ("http://host:8000/", "http://host:8000/api/chat"),
        ("http://host:8000/v1", "http://host:8000/v1/chat/completions"),
        ("http://host:8000/v1/", "http://host:8000/v1/messages"),
        ("http://host:8000/openai/v1", "http://host:8000/openai/v1/chat/completions"),
        ("http://host:8000/v1/chat", "http://host:8000/v1/chat/completions"),
        ("http://host:8000/api", "http://host:8000/api/chat"),
        ("http://host:8000/v1/chat/completion", "http://host:8000/v1/chat/completions"),
    ],
)
@pytest.mark.parametrize("status", [404, 405])
def test_a_base_url_gets_the_path_that_was_meant(url: str, meant: str, status: int) -> None:
    assert meant in nearest_paths(url)
    assert meant in hint(status, {"detail": "Not Found"}, url)


def test_a_base_url_that_greets_gets_a_path_too() -> None:
    assert "http://host:8000/api/chat" in hint(200, "Ollama is running", "http://host:8000")
    assert "http://host:8000/v1/messages" in hint(400, openai("messages: blank"), "http://host:8000/v1")
    assert "http://host:8000/v1/messages" not in hint(401, openai("no key"), "http://host:8000/v1")
    assert "is the path" not in hint(200, "hello", "http://host:8000/ask")


def test_a_path_that_is_one_of_them_is_not_guessed_at() -> None:
    assert nearest_paths(CHAT) == []
    assert "is the path right?" in hint(404, {"detail": "Not Found"})


def test_an_answer_to_the_wrong_method_names_the_right_one() -> None:
    assert "it allows GET" in hint(405, "", "http://host/ask", ("Allow", "GET"))


def test_a_key_that_was_sent_is_not_called_missing() -> None:
    refused = Head(401, "", "1.1", ())
    sent = b"POST / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer k\r\n\r\n{}"
    assert "does not accept the key that was sent" in hint_for(refused, b"", CHAT, sent)
    assert "does not accept" not in hint_for(refused, b"", CHAT, b"POST / HTTP/1.1\r\n\r\nAuthorization: k\r\n")


def test_what_the_refusal_says_of_time_and_protocol_is_said() -> None:
    assert "in 20 s" in hint(429, openai("Rate limit reached"), CHAT, ("Retry-After", "20"))
    assert "later" in hint(429, openai("Rate limit reached"), CHAT, ("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT"))
    assert "WebSocket" in hint(426, "", CHAT, ("Upgrade", "websocket"))
    assert "https://" in hint(426, "", CHAT, ("Upgrade", "TLS/1.2, HTTP/1.1"))


def test_a_redirect_is_quoted() -> None:
    assert "/elsewhere" in hint(307, "", CHAT, ("Location", "/elsewhere"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"no"}}', "no"),
        (b'{"error":"no"}', "no"),
        (b'{"detail":[{"msg":"a"},{"msg":"b"}]}', "a b"),
        (b'{"title":"no","status":400}', "no"),
        (b'{"Message":"no"}', "no"),
        (b'{"title":"Invalid","errors":{"Text":["a"],"Id":["b"]}}', "Invalid a b"),
        (b'{"statusCode":400,"message":["question is empty"],"error":"Bad Request"}', "Bad Request question is empty"),
        (b'{"error":"no","message":"no"}', "no"),
        (b"no\nway", "no way"),
        (b"<html>no</html>", ""),
        (b"[" * 100_000, "[" * 100_000),
        (b"\xff", "\ufffd"),
    ],
)
def test_the_message_of_an_error_is_found(body: bytes, message: str) -> None:
    assert message_of(body) == message


def test_a_redirect_is_quoted_without_its_secrets() -> None:
    shown = hint(302, "", CHAT, ("Location", "http://u:s3cr3t@host/cb?api_key=s3cr3t&x=1"))
    assert "'http://host/cb?api_key=***&x=1'" in shown
