"""Emptying a server's prefix cache: only an answer that says so counts."""

import pytest

from streamgauge.endpoint.target import Target
from streamgauge.errors import UsageError
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.fleet.settings import FleetSettings
from streamgauge.serverlane.reset import reset_cache
from tests.builders.wire_server import Do, WireServer

TARGET = Target(url="http://127.0.0.1:9/")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: "


@pytest.mark.parametrize(("engine", "path"), [("vllm", "/reset_prefix_cache"), ("sglang", "/flush_cache")])
def test_a_server_that_empties_its_cache(engine: str, path: str) -> None:
    fleet = FleetSettings(engine=engine, prefix_cache=100)  # type: ignore[arg-type]
    with MockServer(MockConfig(fleet=fleet)) as server:
        assert reset_cache(TARGET, f"{server.url}{path}") is None
        assert (reset_cache(TARGET, f"{server.url}/nothing") or "").startswith("HTTP 404")


@pytest.mark.parametrize(
    ("body", "done"), [(b'{"success": false}', False), (b'{"success": true}', True), (b"Cache flushed.", True)]
)
def test_vllm_says_in_its_200_whether_it_did(body: bytes, done: bool) -> None:
    with WireServer([Do.REQUEST, HEAD + str(len(body)).encode() + b"\r\n\r\n" + body]) as server:
        assert (reset_cache(TARGET, server.url) is None) is done


def test_nobody_there_is_a_reason() -> None:
    assert reset_cache(TARGET, "http://127.0.0.1:2/reset_prefix_cache") is not None


def test_user_and_password_are_refused() -> None:
    with pytest.raises(UsageError, match="--reset-cache"):
        reset_cache(TARGET, "http://user:secret@127.0.0.1:2/")
