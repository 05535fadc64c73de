"""The references that requirements cite, with the address of the text."""

from typing import Final, NamedTuple

_HTML: Final = "https://html.spec.whatwg.org/multipage/server-sent-events.html"

EVENTSOURCE: Final = f"WHATWG HTML 9.2.3, Processing model of EventSource: {_HTML}#sse-processing-model"
LAST_EVENT_ID: Final = f"WHATWG HTML 9.2.4, The Last-Event-ID header: {_HTML}#the-last-event-id-header"
PARSING: Final = f"WHATWG HTML 9.2.5, Parsing an event stream: {_HTML}#parsing-an-event-stream"
INTERPRETING: Final = f"WHATWG HTML 9.2.6, Interpreting an event stream: {_HTML}#event-stream-interpretation"
AUTHORING: Final = f"WHATWG HTML 9.2.7, Authoring notes: {_HTML}#authoring-notes"
CORS: Final = "WHATWG Fetch, CORS protocol: https://fetch.spec.whatwg.org/#http-cors-protocol"

OPENAI_CHAT: Final = (
    "OpenAI API reference, Chat Completions streaming: https://platform.openai.com/docs/api-reference/chat-streaming"
)
OPENAI_COMPLETIONS: Final = (
    "OpenAI API reference, Completions: https://platform.openai.com/docs/api-reference/completions/object"
)
OPENAI_RESPONSES: Final = (
    "OpenAI API reference, Responses streaming: https://platform.openai.com/docs/api-reference/responses-streaming"
)
OPENRESPONSES: Final = "OpenResponses specification, streaming: https://www.openresponses.org/specification"
OPENAI_ERRORS: Final = "OpenAI API guide, Error codes: https://platform.openai.com/docs/guides/error-codes"
ANTHROPIC: Final = (
    "Claude API docs, Streaming Messages: https://platform.claude.com/docs/en/build-with-claude/streaming"
)
GEMINI: Final = "Gemini API reference, streamGenerateContent: https://ai.google.dev/api/generate-content"
OLLAMA: Final = "Ollama API reference: https://github.com/ollama/ollama/blob/main/docs/api.md"
COHERE: Final = "Cohere docs, Streaming: https://docs.cohere.com/docs/streaming"

NGINX_PROXY: Final = "nginx, ngx_http_proxy_module: https://nginx.org/en/docs/http/ngx_http_proxy_module.html"
ASPNET_SSE: Final = (
    "ASP.NET Core, Server-Sent Events in minimal APIs:"
    " https://learn.microsoft.com/aspnet/core/fundamentals/minimal-apis/responses"
)


def rfc(number: int, section: str, title: str) -> str:
    """A section of an RFC."""
    return f"RFC {number} {section}, {title}: https://www.rfc-editor.org/rfc/rfc{number}#section-{section}"


def wpt(*tests: str) -> str:
    """Tests of the web platform's suite for EventSource, which say what browsers do."""
    names = ", ".join(tests)
    return f"web-platform-tests eventsource/{names}: https://github.com/web-platform-tests/wpt/tree/master/eventsource"


def issue(repository: str, number: int) -> str:
    """A report of what happens where the rule is broken."""
    return f"{repository}#{number}: https://github.com/{repository}/issues/{number}"


class Practice(NamedTuple):
    """A chapter of docs/application-streams.md, and the public page that the practice is taken from."""

    chapter: str
    address: str


_ASPNET: Final = "https://learn.microsoft.com/aspnet/core"
_RESPONSES: Final = f"{_ASPNET}/fundamentals/minimal-apis/responses"
_CONTEXT: Final = f"{_ASPNET}/fundamentals/use-http-context"
_RATE_LIMIT: Final = f"{_ASPNET}/performance/rate-limit"
_TIMEOUTS: Final = f"{_ASPNET}/performance/timeouts"
_COMPRESSION: Final = f"{_ASPNET}/performance/response-compression"
_ERRORS: Final = f"{_ASPNET}/fundamentals/error-handling"
_CHAT_CLIENT: Final = "https://learn.microsoft.com/dotnet/ai/ichatclient"
_CHAT_STREAM: Final = "https://platform.openai.com/docs/api-reference/chat-streaming"
_STREAM_ERRORS: Final = "https://platform.claude.com/docs/en/build-with-claude/streaming"
_FLUSH: Final = "https://github.com/dotnet/runtime/issues/121003"
_MDN: Final = "https://developer.mozilla.org/en-US/docs/Web/API/Server-sent_events/Using_server-sent_events"
_OWASP: Final = "https://genai.owasp.org/llmrisk/llm102025-unbounded-consumption/"

PRACTICES: Final = {
    "one shape for all tokens": Practice("one-shape-for-every-token", _RESPONSES),
    "token and done": Practice("one-shape-for-every-token", _RESPONSES),
    "event names token, done and error": Practice("one-shape-for-every-token", _RESPONSES),
    "JSON in the data field": Practice("one-shape-for-every-token", _RESPONSES),
    "a marker for the end": Practice("mark-the-end", _CHAT_STREAM),
    "[DONE]": Practice("mark-the-end", _CHAT_STREAM),
    "the handler returns after the last event": Practice("mark-the-end", _RESPONSES),
    "skip empty updates": Practice("send-pieces-of-text", _CHAT_CLIENT),
    "append semantics": Practice("send-pieces-of-text", _CHAT_CLIENT),
    "line breaks in tokens": Practice("send-pieces-of-text", f"{_HTML}#event-stream-interpretation"),
    "every event is flushed": Practice("flush-every-event", _FLUSH),
    "tokens come one by one": Practice("flush-every-event", _FLUSH),
    "no output caching or buffering": Practice("keep-the-path-open", f"{_ASPNET}/performance/caching/output"),
    "no compression of the stream": Practice("keep-the-path-open", _COMPRESSION),
    "Cache-Control: no-cache": Practice("keep-the-path-open", _MDN),
    "X-Accel-Buffering: no": Practice(
        "keep-the-path-open", "https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering"
    ),
    "Connection: keep-alive belongs to HTTP/1.1 alone": Practice(
        "keep-the-path-open", "https://www.rfc-editor.org/rfc/rfc9113#section-8.2.2"
    ),
    "the status is fixed by the first byte": Practice("refuse-before-the-first-byte", _CONTEXT),
    "validate before the stream starts": Practice(
        "refuse-before-the-first-byte", f"{_ASPNET}/fundamentals/minimal-apis"
    ),
    "authenticate before the stream starts": Practice(
        "refuse-before-the-first-byte", f"{_ASPNET}/fundamentals/minimal-apis/security"
    ),
    "an error event after the first token": Practice("report-errors-in-the-stream", _STREAM_ERRORS),
    "errors are events of their own": Practice("report-errors-in-the-stream", _STREAM_ERRORS),
    "no silent truncation": Practice("report-errors-in-the-stream", _STREAM_ERRORS),
    "a message that the client can act on": Practice("report-errors-in-the-stream", _STREAM_ERRORS),
    "a message for the client, the details for the log": Practice("report-errors-in-the-stream", _ERRORS),
    "no raw exceptions of the provider to the client": Practice("report-errors-in-the-stream", _ERRORS),
    "an exception's message can break the event it is written into": Practice("report-errors-in-the-stream", _ERRORS),
    "context limits": Practice("report-errors-in-the-stream", "https://platform.openai.com/docs/guides/error-codes"),
    "content filters end the stream": Practice(
        "report-errors-in-the-stream", "https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter"
    ),
    "cancellation reaches the model": Practice("cancel-the-model", _CONTEXT),
    "network interruptions": Practice("cancel-the-model", _CONTEXT),
    "a cancel is no failure": Practice("cancel-the-model", _CONTEXT),
    "permits are released in any case": Practice("cancel-the-model", _RATE_LIMIT),
    "back-pressure": Practice(
        "let-a-slow-reader-slow-the-writer", "https://learn.microsoft.com/dotnet/standard/io/pipelines"
    ),
    "a timeout of its own around the model": Practice("give-every-wait-a-limit", _TIMEOUTS),
    "timeouts for the upstream": Practice("give-every-wait-a-limit", _TIMEOUTS),
    "a ceiling for every stream: 30, 60 or 120 s": Practice("give-every-wait-a-limit", _TIMEOUTS),
    "an answer without a bound is a cost without one": Practice("give-every-wait-a-limit", _OWASP),
    "heartbeats are comments": Practice("send-heartbeats", f"{_HTML}#authoring-notes"),
    "an empty comment every 15 s": Practice("send-heartbeats", f"{_HTML}#authoring-notes"),
    "a prompt has at most 5,000 characters": Practice("limit-each-user", _OWASP),
    "at most 10 streams at once, and 429 for the next": Practice("limit-each-user", _RATE_LIMIT),
    "a rate limit for each user": Practice("limit-each-user", _RATE_LIMIT),
    "limits for each user": Practice("limit-each-user", _RATE_LIMIT),
    "keys stay on the server": Practice(
        "keep-keys-and-logs-on-the-server",
        "https://help.openai.com/en/articles/5112595-best-practices-for-api-key-safety",
    ),
    "log the request id": Practice(
        "keep-keys-and-logs-on-the-server", "https://platform.openai.com/docs/api-reference/debugging-requests"
    ),
    "close the EventSource on an error": Practice("close-the-eventsource", _MDN),
}


def guides(topic: str) -> str:
    """A practice that guides to streaming from applications agree on. Raises KeyError on one that PRACTICES lacks."""
    chapter, address = PRACTICES[topic]
    return f"Streaming from applications, {topic} (docs/application-streams.md#{chapter}): {address}"


def source(client: str, behaviour: str) -> str:
    """A reference to a client's own behaviour, found by reading or running its code."""
    return f"{client}: {behaviour}"
