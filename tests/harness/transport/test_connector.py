"""Every way to open a connection: names, IPv6, Unix sockets, proxies of the environment; and each of them bounded."""

import base64
import errno
import os
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.target import Target
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.listening import Listening
from streamgauge.protocol.outcome import Outcome
from streamgauge.transport.connector import Connector, Origin, connect_failure
from streamgauge.transport.http1 import CaptureTransport
from streamgauge.transport.proxies import Proxies
from streamgauge.wire import Capture, End
from tests.builders.forward_proxy import ForwardProxy
from tests.builders.tapes import head
from tests.builders.wire_server import PATIENCE_S, Do, WireServer

FRAMED = head("Content-Length: 5") + b"abcde"
NAME = "endpoint.invalid"


def through(proxy: str, tls: ssl.SSLContext | None = None) -> httpx.Client:
    """A client with the proxy for everything, as HTTP_PROXY and HTTPS_PROXY would say."""
    connector = Connector(tls, proxies=Proxies({"all": proxy}))
    return httpx.Client(transport=CaptureTransport(connector=connector), trust_env=False, timeout=20)


def test_plain_http_is_asked_of_the_proxy_in_absolute_form_with_its_credentials() -> None:
    with (
        WireServer([Do.REQUEST, FRAMED]) as server,
        ForwardProxy(server.port) as proxy,
        through(f"http://us%40er:pw@{proxy.where}") as client,
    ):
        assert client.get(f"http://{NAME}:8080/s?q=x").content == b"abcde"
    lines = proxy.heads[0].split(b"\r\n")
    assert lines[0] == f"GET http://{NAME}:8080/s?q=x HTTP/1.1".encode()
    assert f"Host: {NAME}:8080".encode() in lines
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"us@er:pw") in lines


def test_https_is_tunnelled_and_the_endpoint_never_sees_the_credentials() -> None:
    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(NAME).configure_cert(serving)
    authority.configure_trust(trusting)
    with (
        WireServer([Do.REQUEST, FRAMED], tls=serving) as server,
        ForwardProxy(server.port) as proxy,
        through(f"http://user:pw@{proxy.where}", trusting) as client,
    ):
        capture = client.get(f"https://{NAME}/").extensions["capture"]
    assert proxy.heads[0].startswith(f"CONNECT {NAME}:443 HTTP/1.1\r\nHost: {NAME}:443\r\nProxy-Auth".encode())
    assert b"Proxy-Auth" not in server.requests[0]
    assert capture.end is End.COMPLETE
    assert None not in (capture.connect_ns, capture.tunnel_ns, capture.tls_ns)
    assert capture.dns_ns is None, "the proxy looks the name up, not the client"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", r"407 .*user:password@"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"),
        (b"SSH-2.0-x\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n", "a head that ends"),
    ],
)
def test_a_proxy_that_refuses_is_named_without_its_password(answer: bytes, words: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ForwardProxy(listener.getsockname()[1], answer) as proxy,
        through(f"http://user:hunter2@{proxy.where}") as client,
        pytest.raises(httpx.ConnectError, match=words) as caught,
    ):
        client.get(f"https://{NAME}/")
    assert proxy.where in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["socks5", "https"])
def test_a_kind_of_proxy_that_cannot_be_used_is_an_outcome_and_says_so(scheme: str) -> None:
    capture = Capture(0)
    with through(f"{scheme}://user:hunter2@127.0.0.1:1") as client:
        with pytest.raises(httpx.ConnectError, match=f"scheme {scheme!r}.*NO_PROXY") as caught:
            client.get(f"http://{NAME}/", extensions={"capture": capture})
        assert "hunter2" not in str(caught.value)
    assert (capture.end, capture.sent_ns) == (End.RESET, None)


@pytest.fixture(scope="module")
def uds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("uds") / "mock.sock"
    with MockServer(MockConfig(tokens=5, ttft="0", itl="1ms", listening=Listening(uds=str(path)))):
        yield path


def test_a_unix_socket_carries_a_stream(uds: Path) -> None:
    target = Target(url="http://whatever.example/v1/chat/completions", unix_socket=str(uds))
    with StreamClient.to(target) as client:
        transcript = client.run(target.request(), deadline_s=20)
    assert transcript.outcome is Outcome.OK
    assert transcript.capture.connect_ns is not None
    assert transcript.capture.dns_ns is None


def test_a_unix_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    target = Target(url="http://x.example/v1/chat/completions", unix_socket=str(tmp_path / "none.sock"))
    with StreamClient.to(target) as client:
        transcript = client.run(target.request(), deadline_s=20)
    assert transcript.outcome is Outcome.CONNECT_ERROR
    assert f"cannot connect to {tmp_path}/none.sock: No such file" in (transcript.detail or "")


def test_an_ipv6_literal_is_reached_and_named_in_brackets() -> None:
    try:
        server = MockServer(MockConfig(host="::1", tokens=3, ttft="0", itl="0"))
        server.start()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    try:
        target = Target(url=server.url + "/v1/chat/completions")
        assert "[::1]" in target.url
        with StreamClient.to(target) as client:
            transcript = client.run(target.request(), deadline_s=20)
    finally:
        server.stop()
    assert transcript.outcome is Outcome.OK
    assert f"host: {httpx.URL(target.url).netloc.decode()}".encode() in transcript.capture.request.lower()
    with StreamClient.to(target) as client:
        refused = client.run(target.request(), deadline_s=20)
    assert "cannot connect to [::1]:" in (refused.detail or "")


def test_a_name_is_looked_up_and_timed_and_an_address_is_not() -> None:
    with WireServer([Do.REQUEST, FRAMED], [Do.REQUEST, FRAMED]) as server:
        captures = []
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            with httpx.Client(transport=CaptureTransport(), trust_env=False, timeout=20) as client:
                captures.append(client.get(url).extensions["capture"])
    assert [capture.dns_ns is None for capture in captures] == [True, False]


def test_the_deadline_of_the_stream_bounds_a_handshake_that_drips() -> None:
    """Each byte is in time for the timeout of a read; together they would never end."""
    drip = b"\x16\x03\x03\x40\x00" + bytes(200)
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            for byte in drip:
                if done.wait(0.02):
                    return
                try:
                    sock.send(bytes([byte]))
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        capture = Capture(0)
        transport = CaptureTransport()
        request = httpx.Request("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/")
        request.extensions = {
            "capture": capture, "timeout": {"connect": 20.0}, "deadline": time.monotonic() + 0.1,
        }  # fmt: skip
        with pytest.raises(httpx.ConnectTimeout):
            transport.handle_request(request)
        assert not done.is_set()
        assert thread.is_alive(), "the server had not even said half of it"
        done.set()
        thread.join(PATIENCE_S)
    assert capture.end is End.TIMEOUT


def test_parts_of_a_tls_record_do_not_restart_the_read_timeout() -> None:
    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(trusting)
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = serving.wrap_bio(incoming, outgoing, server_side=True)
        with sock:
            asked = False
            while not asked:
                try:
                    tls.do_handshake()
                    asked = bool(tls.read(65536))
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
            tls.write(FRAMED + bytes(4000))
            for byte in outgoing.read():
                if stop.wait(0.02):
                    return
                sock.send(bytes([byte]))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with httpx.Client(transport=CaptureTransport(trusting), trust_env=False) as client:
            with pytest.raises(httpx.ReadTimeout):
                client.get(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=httpx.Timeout(20, read=0.2))
            assert thread.is_alive(), "the record was whole before the timeout"
        stop.set()
        thread.join(PATIENCE_S)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "fs.file-max"),
        (errno.EADDRNOTAVAIL, "net.ipv4.ip_local_port_range"),
        (errno.ENOBUFS, "no buffers left"),
        (errno.ENOMEM, "no memory left"),
    ],
)
def test_a_limit_of_this_machine_is_told_from_a_failure_of_the_endpoint(number: int, words: str) -> None:
    failure = connect_failure(OSError(number, os.strerror(number)), Origin("http", "a", 1), None, None)
    assert failure.end is End.NO_MEANS
    assert words in failure.detail


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        BlockingIOError(errno.EAGAIN, "the backlog of a Unix socket is full"),
        socket.gaierror(socket.EAI_AGAIN, "try again"),
    ],
)
def test_a_failure_of_the_endpoint_is_not_taken_for_a_limit_of_this_machine(error: OSError) -> None:
    assert connect_failure(error, Origin("http", "a", 1), None, None).end is End.RESET


def test_a_name_that_cannot_be_resolved_for_want_of_a_descriptor_says_so() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        failure = connect_failure(socket.gaierror(socket.EAI_AGAIN, "x"), Origin("http", "a", 1), None, None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert failure.end is End.NO_MEANS
    assert "ulimit -n" in failure.detail
