"""The Anthropic SDK for Python itself: a request through its client, with a transport that answers from the capture."""

import json
from collections.abc import Iterator

from streamgauge.conformance.clients.base import Body, Client, Message, ReportedError, speaks


def _read(body: Body) -> Iterator[Message]:
    import anthropic  # an extra, and a second to import

    from streamgauge.conformance.clients.sdk import http_client

    http = http_client(body)
    with anthropic.Anthropic(api_key="none", base_url="http://replay", max_retries=0, http_client=http) as client:
        stream = client.post("/v1/messages", body={}, cast_to=object, stream=True, stream_cls=anthropic.Stream[object])
        try:
            for payload in stream:
                yield Message(json.dumps(payload))
        except anthropic.APIStatusError as error:
            raise ReportedError(f"{type(error).__name__}: {error.message}") from None


CLIENT = Client(
    name="anthropic-python",
    source="anthropic itself: anthropic/_streaming.py",
    read=_read,
    applies=speaks("anthropic"),
    package="anthropic",
    least="2.12",
    events=False,
)
