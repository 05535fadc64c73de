"""No request becomes two at the upstream, and none is taken for another: `streamgauge proxy` frames each anew."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.mock_provider.embedded import BufferingProxy
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.proxy.config import ProxyConfig
from streamgauge.mock_provider.proxy.forward import refusal, to_upstream
from streamgauge.mock_provider.request_reader import RequestReader
from tests.mock_provider.mock_wire import connect, read_to_end
from tests.mock_provider.smuggling_cases import ATTACKS, Attack, Forwarded

CONFIG = ProxyConfig(upstream="http://upstream:8080")


def requests_in(sent: bytes, size: int) -> tuple[list[Request], bool]:
    """The requests that a server reads when the bytes come in pieces of `size`, and whether it refuses one."""
    reader, requests, refused = RequestReader(lambda: None), [], False
    for at in range(0, len(sent), size):
        refused = reader.feed(sent[at : at + size], 0) is not None
        while (request := reader.take()) is not None:
            requests.append(request)
        if refused:
            break
    return requests, refused


def strictly_one(data: bytes) -> Forwarded:
    """The request in `data`, by a reader of its own that allows one spelling only."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    first = re.fullmatch(rb"([A-Z]+) ([!-~]+) HTTP/1\.1", lines[0])
    assert first is not None, lines[0]
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        field = re.fullmatch(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]+): ([^\r\n\0]*)", line)
        assert field is not None, line
        assert field[1].lower() not in fields, line
        fields[field[1].lower()] = field[2]
    assert not fields.keys() & {b"transfer-encoding", b"upgrade", b"expect", b"te"}
    assert (fields[b"connection"], fields[b"via"]) == (b"close", b"1.1 streamgauge-proxy")
    assert len(body) == int(fields.get(b"content-length", b"0"))
    return first[1].decode(), first[2].decode(), body


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_request_is_cut_in_one_way_or_refused(attack: Attack) -> None:
    for size in (1, 2, 7, len(attack.sent)):
        requests, refused = requests_in(attack.sent, size)
        assert [strictly_one(to_upstream(request, CONFIG)) for request in requests] == attack.forwarded, size
        # A head that never ends is neither refused nor answered: the request's timeout ends it.
        assert refused or attack.forwarded or attack.name == "HTTP/0.9"


class RawUpstream:
    """A server that keeps each connection's bytes as they came."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._arrived: list[bytearray] = []
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                data = bytearray()
                self._arrived.append(data)
                self._threads.append(threading.Thread(target=self._serve, args=(client, data), daemon=True))
                self._threads[-1].start()

    def _serve(self, client: socket.socket, data: bytearray) -> None:
        answered = False
        with client, suppress(OSError):
            while piece := client.recv(65_536):
                data += piece
                head, end, body = bytes(data).partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                if end and not answered and len(body) >= (int(length[1]) if length else 0):
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    answered = True

    def take(self) -> list[bytes]:
        """What has arrived on each connection since the last call; every connection has ended."""
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        arrived = [bytes(data) for data in self._arrived]
        self._threads.clear()
        self._arrived.clear()
        return arrived

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def relay() -> Iterator[tuple[BufferingProxy, RawUpstream]]:
    upstream = RawUpstream()
    with BufferingProxy(ProxyConfig(upstream=f"http://127.0.0.1:{upstream.port}/")) as proxy:
        yield proxy, upstream
    upstream.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_arrives_at_the_upstream(relay: tuple[BufferingProxy, RawUpstream], attack: Attack) -> None:
    proxy, upstream = relay
    with connect(proxy.url) as client:
        client.sendall(attack.sent)
        data = b""
        end_s = time.monotonic() + 5
        while data.count(b"HTTP/1.1 ") < max(len(attack.forwarded), 1) and attack.name != "HTTP/0.9":
            assert time.monotonic() < end_s
            piece = client.recv(65_536)
            if not piece:
                break
            data += piece
        data, how = read_to_end(client, data, silence_s=0.03)  # a smuggled request would be answered now
    assert [strictly_one(request) for request in upstream.take()] == attack.forwarded
    statuses = re.findall(rb"HTTP/1\.1 (\d)", data)
    if attack.forwarded:
        assert statuses == [b"2"] * len(attack.forwarded)
    elif attack.name != "HTTP/0.9":
        assert (len(statuses), how) == (1, "fin")  # what follows on this connection cannot be trusted
        assert statuses[0] in (b"4", b"5")


FIRST_LINES = [b"GET /a HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"POST /a HTTP/1.0\r\n", b"OPTIONS * HTTP/1.1\r\n"]
FIELDS = [
    b"Host: m\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"content-length:3 \r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding:\tchunked\r\n",
    b"Connection: close\r\n", b"Connection: Upgrade, Content-Length\r\n", b"Upgrade: h2c\r\n",
    b"Expect: 100-continue\r\n", b"X: a\r\n", b" b\r\n", b"X : a\r\n", b"X: a\n", b"X: a\r", b"\r", b"\n", b"\0",
]  # fmt: skip
BODIES = [
    b"0\r\n\r\n", b"0\r\nContent-Length: 9\r\n\r\n", b"5\r\nabcde\r\n", b"5;a=b\r\nabcde\r\n", b"3\nabc\r\n", b"abc",
    b"abcde", b"", b" ", b"\r\n", b"GET /smuggled HTTP/1.1\r\nHost: m\r\n\r\n",
]  # fmt: skip
MESSAGE = st.builds(
    lambda first, fields, bodies: b"".join([first, b"Host: m\r\n", *fields, b"\r\n", *bodies]),
    st.sampled_from(FIRST_LINES),
    st.lists(st.sampled_from(FIELDS), max_size=4),
    st.lists(st.sampled_from(BODIES), max_size=4),
)
MIXTURE = st.lists(st.sampled_from(FIRST_LINES + FIELDS + BODIES), min_size=2, max_size=14).map(b"".join)


def by_h11(sent: bytes) -> tuple[list[Forwarded], bool]:
    """The requests that another server, h11, reads in the same bytes, and whether it refuses one."""
    server, found = h11.Connection(h11.SERVER), []
    server.receive_data(sent)
    try:
        while True:
            event, body = server.next_event(), bytearray()
            if not isinstance(event, h11.Request):
                return found, False
            while not isinstance(part := server.next_event(), h11.EndOfMessage):
                if not isinstance(part, h11.Data):
                    return found, False
                body += part.data
            found.append((event.method.decode(), event.target.decode(), bytes(body)))
            server.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            server.send(h11.EndOfMessage())
            if server.our_state is not h11.DONE or server.their_state is not h11.DONE:
                return found, False
            server.start_next_cycle()
    except h11.RemoteProtocolError:
        return found, True


@given(st.lists(MESSAGE, min_size=1, max_size=3).map(b"".join) | MIXTURE, st.sampled_from([1, 3, 10_000]))
def test_any_mixture_of_nasty_pieces_is_cut_in_one_way(sent: bytes, size: int) -> None:
    requests, _ = requests_in(sent, size)
    read = [strictly_one(to_upstream(request, CONFIG)) for request in requests]
    whole, _ = requests_in(sent, 1_000_000)
    assert read[: len(whole)] == [strictly_one(to_upstream(request, CONFIG)) for request in whole]
    theirs, refused = by_h11(sent)
    # Where both servers read a request, it is the same one. What either refuses cannot be smuggled past it.
    both = min(len(read), len(theirs))
    assert read[:both] == theirs[:both]
    assert refused or len(theirs) >= len(read)


CONTROL_PATHS = [
    "/_mock/summary", "/_mock", "//_mock/reset", "/./_mock/reset", "/x/../_mock/reset", "/%5fmock/x", "/%5Fmock%2fx",
    "/%255fmock/x", "/%25255fmock/x", "/%2525252525255fmock/x", "/_MOCK/x", "\\_mock\\x", "/a\\..\\_mock/x",
    "/_mock;v=1/x", "/%20_mock/x", "/_mock%20/x", "http://m/_mock/summary", "HTTP://m//_mock?x", "/_mock?x=1",
]  # fmt: skip


def request_for(target: str) -> Request:
    return Request("GET", target, "1.1", {"host": "m"}, b"", 0, 0, keep_alive=True)


@pytest.mark.parametrize("target", CONTROL_PATHS)
def test_the_control_api_of_a_mock_behind_it_is_not_there(target: str) -> None:
    reply = refusal(request_for(target), CONFIG)
    assert reply is not None
    assert reply.status == 404
    assert refusal(request_for(target), ProxyConfig(upstream=CONFIG.upstream, forward_control=True)) is None


def test_the_upstreams_own_path_counts_as_well() -> None:
    assert refusal(request_for("/summary"), ProxyConfig(upstream="http://m/_mock")) is not None


@pytest.mark.parametrize("target", ["/", "/v1/chat/completions", "/_mocks/x", "/x_mock", "/a?next=/_mock/reset", "*"])
def test_other_paths_are_forwarded(target: str) -> None:
    assert refusal(request_for(target), CONFIG) is None


def test_a_path_below_the_upstreams_path_keeps_its_query() -> None:
    config = ProxyConfig(upstream="http://m:1/base/")
    data = to_upstream(request_for("/a?b=http://c?d"), config)
    assert data.startswith(b"GET /base/a?b=http://c?d HTTP/1.1\r\n")
    assert b"Host: m:1\r\n" in data


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """The URL of a server that answers the first connections with these bytes and closes them."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            for answer in answers:
                client, _ = listener.accept()
                with client:
                    client.recv(65_536)
                    client.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


GET = b"GET /a HTTP/1.1\r\nHost: m\r\n\r\n"
HEAD = b"HEAD /a HTTP/1.1\r\nHost: m\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("request_", "answer", "status"),
    [
        (GET, b"HTTP/1.1 204 No Content\r\nContent-Length: 40\r\n\r\n", 204),
        (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 40\r\n\r\n", 304),
        (GET, OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200),
        (GET, b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok", 200),
        (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502),
        (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\nok", 502),
        (GET, b"HTTP/1.1 200 OK\r\nX: a\r\n Set-Cookie: b\r\n\r\n", 502),
        (GET, b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n", 502),
        (GET, b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + OK, 502),
        (GET, b"HTTP/1.1 200 OK\r\n" + b"X: aaaaaaaaaaaaaa\r\n" * 10_000, 502),
        (GET, b"HTTP/1.1 103 Early Hints\r\nX: aaaaaaaaaaaaaa\r\n\r\n" * 10_000, 502),
        (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n", 200),
        (HEAD, b"nonsense\r\n\r\n", 502),
        (HEAD, b"", 502),
    ],
)  # fmt: skip
def test_an_upstreams_answer_does_not_become_that_of_the_next_request(
    request_: bytes, answer: bytes, status: int
) -> None:
    with answering(answer, OK) as url, BufferingProxy(ProxyConfig(upstream=url)) as proxy, connect(proxy.url) as client:
        client.sendall(request_ + GET)
        raw, _ = read_to_end(client, silence_s=0.15)
    ours = h11.Connection(h11.CLIENT)
    ours.receive_data(raw)
    statuses = []
    for method in (request_[:4].strip().decode(), "GET"):
        ours.send(h11.Request(method=method, target="/a", headers=[("Host", "m")]))
        ours.send(h11.EndOfMessage())
        while not isinstance(event := ours.next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Response | h11.Data), event
            if isinstance(event, h11.Response):
                statuses.append(event.status_code)
        ours.start_next_cycle()
    assert statuses == [status, 200]
    assert ours.trailing_data == (b"", False)
    assert b"evil" not in raw


def test_a_client_that_waits_for_its_turn_gets_no_100_continue_inside_another_answer() -> None:
    with answering(OK, OK) as url, BufferingProxy(ProxyConfig(upstream=url)) as proxy, connect(proxy.url) as client:
        client.sendall(GET + b"POST /a HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        data, _ = read_to_end(client, silence_s=0.1)
        assert data.startswith(b"HTTP/1.1 200 ")
        assert b"100 Continue" not in data


@pytest.mark.parametrize("status", [204, 304, 199, 600])
def test_a_status_without_a_body_cannot_stand_for_errors(status: int) -> None:
    with pytest.raises(ValueError, match="that has a body"):
        ProxyConfig(upstream="http://m", errors_as=status)


def test_slow_and_idle_clients_of_the_proxy_are_given_up() -> None:
    with answering() as url:
        config = ProxyConfig(upstream=url, request_timeout="150ms", idle_timeout="200ms")
        with BufferingProxy(config) as proxy, connect(proxy.url) as slow, connect(proxy.url) as idle:
            slow.sendall(b"POST /a HTTP/1.1\r\nHost: m\r\nContent-Len")
            raw, end = read_to_end(slow)
            assert (raw.split(b" ")[1], end) == (b"408", "fin")
            assert read_to_end(idle) == (b"", "fin")
