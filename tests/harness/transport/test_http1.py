"""The capture transport under httpx's own API, and connections one by one, against a scripted server."""

import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
import trustme

from streamgauge.transport.connection import Arrived, Close, Connection
from streamgauge.transport.exchange import Exchange, Kept
from streamgauge.transport.http1 import CaptureTransport
from streamgauge.units import MS
from streamgauge.wire import Capture, End
from tests.builders.exchanges import NOTHING, Held
from tests.builders.tapes import chunk, head
from tests.builders.wire_server import Do, WireServer

SSE = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
WHOLE = SSE + chunk(b"data: a\n\n") + chunk(b"data: b\n\n") + b"0\r\n\r\n"
FRAMED = head("Content-Length: 5") + b"abcde"


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(transport=CaptureTransport(), trust_env=False, timeout=20) as made:
        yield made


def capture_of(response: httpx.Response) -> Capture:
    capture = response.extensions["capture"]
    assert isinstance(capture, Capture)
    return capture


def test_httpx_iterates_the_body(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, WHOLE, Do.FAREWELL]) as server:
        with client.stream("GET", server.url) as response:
            assert b"".join(response.iter_raw()) == b"data: a\n\ndata: b\n\n"
        client.close()
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
        assert response.http_version == "HTTP/1.1"
        assert server.farewell() == "fin"


def test_httpx_gets_the_piece_that_comes_with_the_end_and_each_piece_when_it_comes(client: httpx.Client) -> None:
    first, second = threading.Event(), threading.Event()
    script = [Do.REQUEST, SSE + chunk(b"a"), first, chunk(b"b"), second, chunk(b"c") + b"0\r\n\r\n"]
    with WireServer(script) as server, client.stream("GET", server.url) as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"a"
        first.set()
        assert next(pieces) == b"b"
        second.set()
        assert list(pieces) == [b"c"]


def test_what_came_before_a_cut_is_given_out_before_the_error(client: httpx.Client) -> None:
    seen = threading.Event()
    got: list[bytes] = []
    with (
        WireServer([Do.REQUEST, SSE, seen, chunk(b"a") + b"zz\r\n", Do.FAREWELL]) as server,
        client.stream("GET", server.url) as response,
    ):
        seen.set()
        with pytest.raises(httpx.RemoteProtocolError):
            got.extend(response.iter_raw())
    assert got == [b"a"]


def test_httpx_reads_posts_and_decodes_as_ever(client: httpx.Client) -> None:
    answer = b'{"ok": true}'
    with WireServer(
        [Do.REQUEST, head(f"Content-Length: {len(answer)}", "Content-Type: application/json") + answer]
    ) as server:
        assert client.post(server.url, json={"a": 1}, headers={"X-Case": "Kept"}).json() == {"ok": True}
    request_head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert request_head.startswith(b"POST /s?q=x HTTP/1.1\r\n")
    assert b"\r\nX-Case: Kept" in request_head
    assert json.loads(body) == {"a": 1}


def test_the_capture_holds_each_step_in_order(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, WHOLE]) as server:
        response = client.get(server.url)
    capture = capture_of(response)
    assert capture.end is End.COMPLETE
    assert capture.request == server.requests[0]
    assert capture.connect_ns is not None
    assert capture.tls_ns is None
    assert capture.sent_ns is not None
    assert capture.end_ns is not None
    assert capture.start_ns <= capture.sent_ns <= capture.reads[0].user_ns
    assert capture.reads[0].t_ns <= capture.end_ns == capture.reads[-1].t_ns
    assert sum(read.size for read in capture.reads) == len(WHOLE)


def test_a_capture_given_along_is_filled_even_when_the_exchange_fails(client: httpx.Client) -> None:
    capture = Capture(0)
    with (
        WireServer([Do.REQUEST, Do.CLOSE]) as server,
        pytest.raises(httpx.RemoteProtocolError, match="without an answer"),
    ):
        client.get(server.url, extensions={"capture": capture})
    assert capture.end is End.CLOSED
    assert capture.sent_ns is not None


def test_the_wire_is_kept_read_by_read_when_asked(client: httpx.Client) -> None:
    capture = Capture(0, wire=[])
    with WireServer([Do.REQUEST, WHOLE]) as server:
        client.get(server.url, extensions={"capture": capture})
    assert capture.wire is not None
    assert b"".join(capture.wire) == WHOLE
    assert [len(data) for data in capture.wire] == [read.size for read in capture.reads]


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([SSE + chunk(b"x"), Do.CLOSE], httpx.RemoteProtocolError),
        ([SSE + b"garbage\r\n", Do.CLOSE], httpx.RemoteProtocolError),
        ([SSE + chunk(b"x"), Do.FAREWELL], httpx.ReadTimeout),
    ],
)
def test_an_unfinished_body_raises_what_httpx_callers_expect(
    client: httpx.Client, steps: list[bytes | Do], error: type[Exception]
) -> None:
    with (
        WireServer([Do.REQUEST, *steps]) as server,
        client.stream("GET", server.url, timeout=httpx.Timeout(20, read=0.05)) as response,
        pytest.raises(error),
    ):
        list(response.iter_raw())


def test_a_reset_in_the_body_is_a_read_error(client: httpx.Client) -> None:
    seen = threading.Event()
    with (
        WireServer([Do.REQUEST, SSE + chunk(b"x"), seen, Do.RST]) as server,
        client.stream("GET", server.url) as response,
    ):
        pieces = response.iter_raw()
        assert next(pieces) == b"x"
        seen.set()
        with pytest.raises(httpx.ReadError, match="reset"):
            next(pieces)
    assert capture_of(response).end is End.RESET


def test_a_head_that_never_comes_is_a_read_timeout(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, Do.FAREWELL]) as server:
        with pytest.raises(httpx.ReadTimeout, match="no answer came"):
            client.get(server.url, timeout=httpx.Timeout(20, read=0.05))
        assert server.farewell() == "fin"


def test_closing_a_response_early_closes_the_connection_in_order(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, SSE + chunk(b"x"), Do.FAREWELL]) as server:
        with client.stream("GET", server.url) as response:
            pass
        assert server.farewell() == "fin"
    assert capture_of(response).end is End.CANCELLED


def test_unread_bytes_do_not_turn_an_orderly_close_into_a_reset(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, SSE + chunk(b"x" * 200_000), Do.FAREWELL]) as server:
        with client.stream("GET", server.url) as response:
            got = sum(read.size for read in capture_of(response).reads)
        assert server.farewell() == "fin"
    assert got < 200_000


def test_leaving_a_flood_returns(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, head("Content-Type: text/event-stream"), Do.FLOOD]) as server:
        with client.stream("GET", server.url) as response:
            response.extensions["exchange"].leave(Close.FIN)
        assert server.farewell() in ("fin", "rst")


def test_a_kept_connection_is_used_again(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, FRAMED, Do.REQUEST, WHOLE, Do.REQUEST, FRAMED]) as server:
        captures = [capture_of(client.get(server.url)) for _ in range(3)]
    assert server.accepted == 1
    assert [capture.reused for capture in captures] == [False, True, True]
    assert {capture.peer for capture in captures} == {urlsplit(captures[0].url).netloc}
    assert [capture.connect_ns is None for capture in captures] == [False, True, True]


def test_a_connection_closed_while_idle_is_not_used_again(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, FRAMED, Do.CLOSE], [Do.REQUEST, FRAMED]) as server:
        first = capture_of(client.get(server.url))
        for thread in list(server._threads):
            thread.join()  # the FIN is on its way before the second request
        second = capture_of(client.get(server.url))
    assert (first.reused, second.reused, second.end) == (False, False, End.COMPLETE)


def watched(client: httpx.Client, server: WireServer, until_ms: int) -> Kept | None:
    exchange = client.get(server.url).extensions["exchange"]
    assert isinstance(exchange, Exchange)
    return exchange.watch_kept(until_ms * MS)


def test_a_kept_connection_that_the_peer_closes_is_noticed(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, FRAMED, Do.CLOSE]) as server:
        kept = watched(client, server, 20_000)
    assert kept is not None
    assert kept.closed_ns == kept.watched_ns < 20_000 * MS


def test_a_kept_connection_that_stays_open_is_watched_to_the_end_and_used_again(client: httpx.Client) -> None:
    over = threading.Event()
    with WireServer([Do.REQUEST, FRAMED, over, Do.REQUEST, FRAMED]) as server:
        kept = watched(client, server, 30)
        over.set()
        assert capture_of(client.get(server.url)).reused
    assert kept is not None
    assert (kept.closed_ns, kept.watched_ns >= 30 * MS) == (None, True)


@pytest.mark.parametrize("answer", [head("Content-Length: 5", "Connection: close") + b"abcde", head() + b"abcde"])
def test_a_connection_that_was_not_kept_is_not_watched(client: httpx.Client, answer: bytes) -> None:
    with WireServer([Do.REQUEST, answer, Do.CLOSE]) as server:
        assert watched(client, server, 20_000) is None


@pytest.mark.parametrize("how", [Do.CLOSE, Do.RST])
def test_a_connection_that_ends_under_the_next_request_is_named_as_reused(client: httpx.Client, how: Do) -> None:
    with WireServer([Do.REQUEST, FRAMED, Do.REQUEST, how]) as server:
        client.get(server.url)
        with pytest.raises(httpx.HTTPError, match="it was reused: the answer before it did not say Connection: close"):
            client.get(server.url)


@pytest.mark.parametrize(
    "answer",
    [
        FRAMED + b"trailing",
        head("Content-Length: 5", "Connection: close") + b"abcde",
        FRAMED.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_a_connection_that_is_out_of_step_or_ended_is_not_used_again(client: httpx.Client, answer: bytes) -> None:
    with WireServer([Do.REQUEST, answer, Do.FAREWELL], [Do.REQUEST, FRAMED]) as server:
        assert client.get(server.url).content == b"abcde"
        assert server.farewell() in ("fin", "rst")
        assert not capture_of(client.get(server.url)).reused


def test_an_answer_to_head_leaves_no_connection_behind(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, head("Content-Length: 5"), Do.FAREWELL]) as server:
        response = client.head(server.url)
        assert server.farewell() == "fin"
    assert (response.content, response.headers["content-length"]) == (b"", "5")


def test_closing_the_client_closes_idle_connections() -> None:
    with WireServer([Do.REQUEST, FRAMED, Do.FAREWELL]) as server:
        with httpx.Client(transport=CaptureTransport(), trust_env=False) as client:
            client.get(server.url)
        assert server.farewell() == "fin"


def test_http_1_0_can_be_asked_for(client: httpx.Client) -> None:
    with WireServer([Do.REQUEST, head().replace(b"1.1", b"1.0") + b"abc", Do.CLOSE]) as server:
        response = client.get(server.url, extensions={"http_version_asked": "1.0"})
    assert server.requests[0].startswith(b"GET /s?q=x HTTP/1.0\r\n")
    assert (response.content, response.http_version) == (b"abc", "HTTP/1.0")


def test_a_refused_connection_is_a_connect_error_that_says_where(client: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(httpx.ConnectError, match=f"cannot connect to 127.0.0.1:{port}: Connection refused"):
        client.get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".invalid"])
def test_a_name_that_cannot_be_resolved_is_a_connect_error_that_names_it(client: httpx.Client, host: str) -> None:
    with pytest.raises(httpx.ConnectError, match=host):
        client.get(f"http://{host}/")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> Iterator[httpx.Client]:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with httpx.Client(transport=CaptureTransport(context), trust_env=False, timeout=20) as made:
        yield made


def test_tls_is_spoken_and_timed(trusting: httpx.Client, server_tls: ssl.SSLContext) -> None:
    with WireServer([Do.REQUEST, WHOLE, Do.REQUEST, FRAMED], tls=server_tls) as server:
        first, second = trusting.get(server.url), trusting.get(server.url)
    assert (first.content, second.content) == (b"data: a\n\ndata: b\n\n", b"abcde")
    assert capture_of(first).tls_ns is not None
    assert (capture_of(second).reused, capture_of(second).tls_ns) == (True, None)
    assert sum(read.size for read in capture_of(first).reads) == len(WHOLE)


def test_a_large_body_over_tls_is_whole(trusting: httpx.Client, server_tls: ssl.SSLContext) -> None:
    content = bytes(range(256)) * 4000
    with WireServer([Do.REQUEST, head(f"Content-Length: {len(content)}") + content], tls=server_tls) as server:
        assert trusting.get(server.url).content == content


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_CORK puts data and close_notify into one segment")
def test_a_close_notify_in_the_segment_of_the_last_bytes_ends_the_body(
    trusting: httpx.Client, server_tls: ssl.SSLContext
) -> None:
    """The server keeps TCP open until it sees the client leave: waiting for its FIN would be waiting for ourselves."""
    script = [Do.REQUEST, Do.NOTIFY_AND_SEND, head("Content-Type: text/plain") + b"hello", Do.FAREWELL]
    with WireServer(script, tls=server_tls) as server:
        assert trusting.get(server.url).text == "hello"


def test_an_untrusted_certificate_is_refused_and_says_so(client: httpx.Client, server_tls: ssl.SSLContext) -> None:
    with (
        WireServer([], tls=server_tls) as server,
        pytest.raises(httpx.ConnectError, match=f"certificate of 127.0.0.1:{server.port} is not accepted"),
    ):
        client.get(server.url)


def test_a_plain_text_port_is_recognised(client: httpx.Client) -> None:
    with (
        WireServer([Do.SOMETHING, head("Content-Length: 0", status="400 Bad Request"), Do.FAREWELL]) as server,
        pytest.raises(httpx.ConnectError, match="is it a plain-text port"),
    ):
        client.get(server.url.replace("http:", "https:"))


def test_a_server_that_leaves_within_the_handshake_is_a_connect_error(client: httpx.Client) -> None:
    with (
        WireServer([Do.SOMETHING, Do.CLOSE]) as server,
        pytest.raises(httpx.ConnectError, match="during the TLS handshake"),
    ):
        client.get(server.url.replace("http:", "https:"))


def test_a_handshake_without_an_answer_is_a_connect_timeout(client: httpx.Client) -> None:
    with WireServer([Do.FAREWELL]) as server, pytest.raises(httpx.ConnectTimeout):
        client.get(server.url.replace("http:", "https:"), timeout=httpx.Timeout(20, connect=0.05))


def test_a_connection_that_nobody_closed_leaves_its_descriptor_alone() -> None:
    """The system gives the number to the next socket, and a reader would take that one's bytes."""
    removed: list[bool] = []

    class Registered(Held):
        def remove(self) -> None:
            removed.append(sock.fileno() == descriptor)

    sock, peer = socket.socketpair()
    connection = Connection(sock)
    descriptor = connection.watched()
    connection.registration = Registered(Arrived(NOTHING))
    del connection
    assert removed == [True]
    assert sock.fileno() == descriptor
    peer.sendall(b"a")
    assert sock.recv(1) == b"a"  # still open
    sock.close()
    peer.close()
