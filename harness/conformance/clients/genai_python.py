"""Google's Gen AI SDK for Python itself: its stream of a request that a transport answers from the capture."""

from collections.abc import Iterator

from streamgauge.conformance.clients.base import Body, Client, Message, ReportedError, speaks


def _read(body: Body) -> Iterator[Message]:
    from google import genai  # an extra, and seconds to import
    from google.genai import errors, types

    from streamgauge.conformance.clients.sdk import http_client

    # Nothing is connected to, so no certificates need be loaded, which it would do three times.
    unverified = {"verify": False}
    options = types.HttpOptions(
        httpx_client=http_client(body),
        client_args=unverified,
        async_client_args=unverified,
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    client = genai.Client(api_key="none", http_options=options)
    try:
        for chunk in client._api_client.request_streamed("POST", "models/m:streamGenerateContent?alt=sse", {}):
            yield Message(chunk.body or "")
    except errors.UnknownApiResponseError:
        raise
    except errors.APIError as error:
        raise ReportedError(f"{type(error).__name__}: {error.message}") from None


CLIENT = Client(
    name="genai-python",
    source="google-genai itself: google/genai/_api_client.py",
    read=_read,
    applies=speaks("gemini"),
    package="google-genai",
    least="3.4",
    events=False,
)
