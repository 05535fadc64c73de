"""Where rules are written: the references that requirements cite, with the address where the text can be read."""

from typing import Final

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


def guides(topic: str) -> str:
    """What the published guides to streaming LLM answers from application code agree on."""
    return f"Guides to streaming LLM answers from applications: {topic}"


def source(client: str, what: str) -> str:
    """What the code of a client does, read or run."""
    return f"{client}: {what}"
