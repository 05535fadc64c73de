"""The real OpenAI SDK for Python. Its HTTP transport answers the request from the capture."""

import json
from collections.abc import Iterator

from streamgauge.conformance.clients.base import Body, Client, Message, ReportedError, speaks


def _read(body: Body) -> Iterator[Message]:
    import openai  # an optional package that takes one second to import

    from streamgauge.conformance.clients.sdk import http_client

    http = http_client(body)
    with openai.OpenAI(api_key="none", base_url="http://replay", max_retries=0, http_client=http) as client:
        stream = client.post(
            "/chat/completions", body={}, cast_to=object, stream=True, stream_cls=openai.Stream[object]
        )
        try:
            for payload in stream:
                yield Message(json.dumps(payload))
        except openai.APIStatusError:
            raise
        except openai.APIError as error:
            raise ReportedError(f"{type(error).__name__}: {error.message}") from None


CLIENT = Client(
    name="openai-python",
    source="openai itself: openai/_streaming.py",
    read=_read,
    applies=speaks("openai-chat", "openai-responses"),
    package="openai",
    least="3.52",
    events=False,
)
