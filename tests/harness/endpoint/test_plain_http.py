"""A request beside the measured ones ends in time, whatever answers it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from streamgauge.endpoint.plain_http import PlainClient
from streamgauge.endpoint.target import Target
from streamgauge.transport.connector import Connector
from tests.builders.wire_server import Do, WireServer
from tests.hostile.attack import attacks
from tests.hostile.server import HostileEndpoint

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: "


@pytest.fixture
def client() -> Iterator[PlainClient]:
    with PlainClient(Connector()) as made:
        yield made


@pytest.mark.parametrize("name", ["head_drip", "head_interim_drip", "head_silence"])
def test_a_head_that_does_not_end_is_over_at_the_deadline(client: PlainClient, name: str) -> None:
    with HostileEndpoint(attacks()[name]) as server, pytest.raises(httpx.ReadTimeout):
        client.ask("GET", server.url, most_bytes=1_000, seconds=0.3)


def test_a_body_is_read_to_its_end_or_to_the_limit(client: PlainClient) -> None:
    with WireServer([Do.REQUEST, LENGTH + b"5\r\n\r\nhello"]) as server:
        assert client.ask("GET", server.url, most_bytes=5, seconds=20).body == (b"hello", True)
    with HostileEndpoint(attacks()["page_endless"]) as endless:
        content, whole = client.ask("GET", endless.url, most_bytes=1_000, seconds=20).body
    assert not whole
    assert 1_000 < len(content) < 200_000


def test_a_redirect_is_an_answer_and_not_followed(client: PlainClient) -> None:
    with HostileEndpoint(attacks()["head_redirect_to_itself"]) as server:
        assert client.ask("GET", server.url, most_bytes=1_000, seconds=20).status == 307
        assert server.requests == 1


def test_the_targets_own_origin_is_asked_by_its_unix_socket(tmp_path: Path) -> None:
    target = Target(url="http://model.invalid/v1/chat/completions", unix_socket=str(tmp_path / "nobody"))
    for url, where in (("http://model.invalid/load", "nobody"), ("http://127.0.0.1:2/load", "127.0.0.1:2")):
        with PlainClient.beside(target, url) as client, pytest.raises(httpx.ConnectError, match=where):
            client.ask("GET", url, most_bytes=1_000, seconds=20)
