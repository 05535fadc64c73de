"""The real OpenAI SDK for Python, whose HTTP transport answers from the capture: its raw stream, and `stream()`.

`stream()` adds the events up to one message. It needs fields that the raw stream hands on unread.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, Body, Client, Message, ReportedError, speaks

if TYPE_CHECKING:
    import openai


@contextmanager
def _replaying(body: Body) -> Iterator["openai.OpenAI"]:
    """A client of the SDK whose requests are answered with `body`. Raises ReportedError for an error in the stream."""
    import openai  # an optional package that takes one second to import

    from streamgauge.conformance.clients.sdk import http_client

    http = http_client(body)
    with openai.OpenAI(api_key="none", base_url="http://replay", max_retries=0, http_client=http) as client:
        try:
            yield client
        except openai.APIStatusError:
            raise
        except openai.APIError as error:
            raise ReportedError(f"{type(error).__name__}: {error.message}") from None


def _read(body: Body) -> Iterator[Message]:
    import openai

    with _replaying(body) as client:
        stream = client.post(
            "/chat/completions", body={}, cast_to=object, stream=True, stream_cls=openai.Stream[object]
        )
        for payload in stream:
            yield Message(json.dumps(payload))


def _gather(body: Body) -> Iterator[Message]:
    with _replaying(body) as client:
        yield from _gather_response(client) if body.dialect == "openai-responses" else _gather_chat(client)


def _gather_chat(client: "openai.OpenAI") -> Iterator[Message]:
    with client.chat.completions.stream(model="replay", messages=[]) as stream:
        stream.until_done()
        # Not get_final_completion(), which raises by design when the answer ends at max_tokens.
        choices = stream.current_completion_snapshot.choices
    for choice in choices:
        yield Message((choice.message.content or "") + (choice.message.refusal or ""), TEXT)
        for call in choice.message.tool_calls or ():
            yield Message(_arguments(call.function.arguments), ARGUMENTS)


def _gather_response(client: "openai.OpenAI") -> Iterator[Message]:
    with client.responses.stream(model="replay", input="") as stream:
        incomplete: Any = None
        for event in stream:
            if event.type == "error":
                raise ReportedError(f"the event error: {event.message}")
            if event.type == "response.failed":
                raise ReportedError(f"the event response.failed: {event.response.error}")
            if event.type == "response.incomplete":
                incomplete = event.response
        # get_final_response() raises by design when the answer ends at max_output_tokens.
        response: Any = incomplete or stream.get_final_response()
    for item in response.output:
        if item.type == "message":
            yield Message("".join(_text_of(part) for part in item.content), TEXT)
        elif item.type == "function_call":
            yield Message(_arguments(item.arguments), ARGUMENTS)


def _arguments(value: Any) -> str:
    """The SDK hands on values of other types as they are; marked with their type, they are not JSON for the matrix."""
    return value if isinstance(value, str) else "" if value is None else f"<{type(value).__name__}> {value}"


def _text_of(part: Any) -> str:
    text = part.text if part.type == "output_text" else part.refusal if part.type == "refusal" else ""
    return text or ""


RAW = Client(
    name="openai-python raw",
    source="openai itself: openai/_streaming.py",
    read=_read,
    applies=speaks("openai-chat", "openai-completions", "openai-responses"),
    package="openai",
    least="3.52",
    events=False,
)
STREAM = RAW._replace(
    name="openai-python stream()",
    source="openai itself: openai/lib/streaming/",
    read=_gather,
    applies=speaks("openai-chat", "openai-responses"),
    events=True,
    gathers=True,
)
