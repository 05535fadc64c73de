"""Google's real Gen AI SDK for Python, whose HTTP transport answers from the capture: its raw stream, and its chat.

The chat's send_message_stream() makes typed responses of the payloads, which refuse wrong types.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamgauge.conformance.clients.base import ARGUMENTS, TEXT, Body, Client, Message, ReportedError, speaks

if TYPE_CHECKING:
    from google import genai


@contextmanager
def _replaying(body: Body) -> Iterator["genai.Client"]:
    """A client of the SDK whose requests are answered with `body`. Raises ReportedError for an error in the stream."""
    from google import genai  # an optional package that takes seconds to import
    from google.genai import errors, types

    from streamgauge.conformance.clients.sdk import http_client

    # No connection is opened. Without these the SDK loads the certificates three times.
    unverified = {"verify": False}
    options = types.HttpOptions(
        httpx_client=http_client(body),
        client_args=unverified,
        async_client_args=unverified,
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    try:
        yield genai.Client(api_key="none", http_options=options)
    except errors.UnknownApiResponseError:
        raise
    except errors.APIError as error:
        raise ReportedError(f"{type(error).__name__}: {error.message}") from None


def _read(body: Body) -> Iterator[Message]:
    with _replaying(body) as client:
        for chunk in client._api_client.request_streamed("POST", "models/m:streamGenerateContent?alt=sse", {}):
            yield Message(chunk.body or "")


def _gather(body: Body) -> Iterator[Message]:
    with _replaying(body) as client:
        text: list[str] = []
        for chunk in client.chats.create(model="replay").send_message_stream("replay"):
            for candidate in chunk.candidates or ():
                for part in (candidate.content and candidate.content.parts) or ():
                    if part.text and not part.thought:
                        text.append(part.text)
                    if part.function_call is not None:
                        yield Message(json.dumps(part.function_call.args or {}), ARGUMENTS)
        yield Message("".join(text), TEXT)


RAW = Client(
    name="genai-python raw",
    source="google-genai itself: google/genai/_api_client.py",
    read=_read,
    applies=speaks("gemini"),
    package="google-genai",
    least="3.4",
    events=False,
)
CHAT = RAW._replace(
    name="genai-python chat",
    source="google-genai itself: google/genai/chats.py, types.py",
    read=_gather,
    events=True,
    gathers=True,
)
