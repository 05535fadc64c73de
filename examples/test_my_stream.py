"""Tests of a streaming endpoint: replace `start_my_app` by a fixture that starts your application.

The application must use the mock as its upstream, for example through its base URL. The fixtures come with streamgauge.
"""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def start_my_app() -> Callable[[str], str]:
    """Start the application with this upstream and give the address of its chat endpoint.

    Here there is no application: the mock itself is the endpoint.
    """
    return lambda upstream: f"{upstream}/v1/chat/completions"


def test_the_first_token_comes_soon(
    streamgauge_mock: Any, streamgauge_stream: Any, start_my_app: Callable[[str], str]
) -> None:
    upstream = streamgauge_mock(tokens=20, ttft="50ms", itl="5ms")

    stream = streamgauge_stream(start_my_app(upstream.url), prompt="Hi")

    assert stream.ok, stream.detail
    assert stream.ttft_ns < 1_000_000_000
    assert "".join(stream.tokens) == stream.text


def test_an_upstream_that_breaks_is_not_hidden(
    streamgauge_mock: Any, streamgauge_stream: Any, start_my_app: Callable[[str], str]
) -> None:
    upstream = streamgauge_mock(tokens=20, faults=["rst:5"])

    stream = streamgauge_stream(start_my_app(upstream.url))

    assert not stream.ok
    assert stream.outcome in ("truncated", "error_event")
