"""HTTP/2 over real sockets, against a scripted server; each test waits for the socket in both ways."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h2.events
import httpx
import pytest

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Transcript
from streamgauge.scenarios.epoll_driver import epoll_driver
from streamgauge.scenarios.native_driver import native_driver
from streamgauge.transport.connection import Close
from streamgauge.transport.connector import Connector
from streamgauge.transport.exchange import Driver
from streamgauge.transport.http2 import Http2Transport
from streamgauge.transport.proxies import Proxies
from streamgauge.wire import Capture, End, Framing
from tests.builders.forward_proxy import ForwardProxy
from tests.builders.h2_server import H2Server
from tests.builders.wire_server import Do, WireServer
from tests.harness.transport.http2_frames import data, frame, goaway

EVENT = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
DONE = b"data: [DONE]\n\n"

waiting: Driver | None = None


@pytest.fixture(params=[lambda: None, epoll_driver, native_driver], ids=["blocking", "epoll", "native"], autouse=True)
def waits(request: pytest.FixtureRequest) -> Iterator[None]:
    global waiting
    waiting = request.param()
    yield
    waiting = None


def a_client(**options: float | str) -> StreamClient:
    return StreamClient(http2=True, driver=waiting, **options)  # type: ignore[arg-type]


def ask(client: StreamClient, url: str, body: bytes = b"{}", **options: object) -> Transcript:
    return client.run(RequestSpec("POST", url, {"Accept": "text/event-stream"}, body), **options)  # type: ignore[arg-type]


def answer(server: H2Server, stream: int) -> None:
    """A stream of two tokens."""
    server.head(stream)
    for event in (EVENT, EVENT):
        server.h2.send_data(stream, event)
        server.flush()
    server.h2.send_data(stream, DONE, end_stream=True)
    server.flush()


def test_a_stream_is_captured_with_its_stamps_and_its_connection_is_used_again() -> None:
    with H2Server(answer) as server, a_client() as client:
        first, second = (ask(client, server.url) for _ in range(2))
    for transcript in (first, second):
        capture = transcript.capture
        assert (transcript.outcome, transcript.text, capture.framing) == (Outcome.OK, "aa", Framing.STREAM)
        assert capture.wire is not None
        assert [len(piece) for piece in capture.wire] == [read.size for read in capture.reads]
        assert capture.sent_ns is not None
        assert capture.start_ns <= capture.sent_ns <= (capture.end_ns or 0)
        assert capture.end_ns == capture.reads[-1].t_ns
    assert all(read.stamped for read in second.capture.reads)
    assert (server.accepted, first.capture.reused, second.capture.reused) == (1, False, True)


def _resets(server: H2Server, stream: int) -> None:
    server.head(stream)
    server.h2.send_data(stream, EVENT)
    server.h2.reset_stream(stream, error_code=2)
    server.flush()


def _goes_away(server: H2Server, stream: int) -> None:
    server.head(stream)
    server.h2.send_data(stream, EVENT)
    server.flush()
    server.h2.close_connection(error_code=11)
    server.flush()


def _hangs_up(server: H2Server, stream: int) -> None:
    server.head(stream)
    server.h2.send_data(stream, EVENT)
    server.flush()
    server.hang_up()


def _babbles(server: H2Server, stream: int) -> None:
    server.head(stream)
    server.send(data(EVENT, stream=stream) + frame(6, b"no ping", stream=0))


def _is_silent(server: H2Server, stream: int) -> None:
    server.head(stream)
    server.send(data(EVENT, stream=stream) + data(EVENT, stream=stream)[:20])


@pytest.mark.parametrize(
    ("script", "outcome", "end", "words"),
    [
        (_resets, Outcome.TRUNCATED, End.RESET, "INTERNAL_ERROR (RST_STREAM)"),
        (_goes_away, Outcome.TRUNCATED, End.CLOSED, "ENHANCE_YOUR_CALM (GOAWAY)"),
        (_hangs_up, Outcome.TRUNCATED, End.CLOSED, "before the end of the stream"),
        (_babbles, Outcome.PROTOCOL_ERROR, End.MALFORMED, "not valid HTTP/2"),
        (_is_silent, Outcome.STALLED, End.TIMEOUT, "no byte came for 0.7 s"),
    ],
)
def test_each_way_of_breaking_off_has_its_name(
    script: Callable[[H2Server, int], None], outcome: Outcome, end: End, words: str
) -> None:
    with H2Server(script) as server, a_client(read_timeout_s=0.7 if end is End.TIMEOUT else 20.0) as client:
        transcript = ask(client, server.url)
    assert (transcript.outcome, transcript.capture.end) == (outcome, end)
    assert words in (transcript.detail or "")
    assert len(transcript.tokens) == 1


@pytest.mark.parametrize("steps", [[b"HTTP/1.1 400 Bad Request\r\n\r\n", Do.FAREWELL], [Do.CLOSE], [Do.RST]])
def test_a_server_that_does_not_speak_it_is_named(steps: list[bytes | Do]) -> None:
    with WireServer([Do.REQUEST, *steps]) as server, a_client() as client:
        transcript = ask(client, server.url)
    assert transcript.outcome is not Outcome.OK
    assert "does the endpoint speak HTTP/2" in (transcript.detail or "")
    assert transcript.capture.reads == []


def test_pieces_of_one_read_share_its_time_and_leaving_sends_cancel_and_keeps_the_connection() -> None:
    def script(server: H2Server, stream: int) -> None:
        if stream > 1:
            answer(server, stream)
            return
        server.head(stream)
        for _ in range(4):
            server.h2.send_data(stream, EVENT)
        server.flush()
        server.until(h2.events.StreamReset)
        # What was on its way when the client left.
        server.send(data(EVENT, stream=stream) * 3)

    with H2Server(script) as server, a_client() as client:
        left = ask(client, server.url, on_token=lambda r: Close.RST_STREAM if r.token_events >= 4 else None)
        after = ask(client, server.url)
    assert (left.outcome, left.detail) == (Outcome.CANCELLED, "closed by the harness (RST_STREAM)")
    assert [event.read_index for event, _ in left.tokens] == [left.tokens[0][0].read_index] * 4
    assert server.resets[0] == 8  # CANCEL, RFC 9113 section 7
    assert (after.outcome, after.text, after.capture.reused, server.accepted) == (Outcome.OK, "aa", True, 1)


@pytest.mark.parametrize("how", [Close.FIN, Close.RST])
def test_leaving_with_the_connection_takes_a_new_one(how: Close) -> None:
    def script(server: H2Server, stream: int) -> None:
        server.head(stream)
        server.h2.send_data(stream, EVENT)
        server.flush()

    with H2Server(script, connections=2) as server, a_client() as client:
        for _ in range(2):
            transcript = ask(client, server.url, on_token=lambda r: how if r.token_events else None)
            assert (transcript.outcome, transcript.capture.reused) == (Outcome.CANCELLED, False)
    assert server.accepted == 2


def test_a_time_to_leave_and_a_deadline_hold_before_the_answer() -> None:
    def script(server: H2Server, stream: int) -> None:  # noqa: ARG001
        server.until(h2.events.StreamReset)

    with H2Server(script) as server, a_client() as client:
        left = ask(client, server.url, leave_after=(0.05, Close.RST_STREAM), deadline_s=20)
        late = ask(client, server.url, deadline_s=0.1)
    assert (left.outcome, left.capture.reads, server.resets) == (Outcome.CANCELLED, [], [8])
    assert (late.capture.end, late.capture.reused) == (End.TIMEOUT, True)
    assert server.accepted == 1


def test_a_ping_in_a_stream_is_answered_at_once() -> None:
    def script(server: H2Server, stream: int) -> None:
        server.head(stream)
        server.h2.send_data(stream, EVENT)
        server.h2.ping(b"are you?")
        server.flush()
        server.until(h2.events.PingAckReceived)
        server.h2.send_data(stream, EVENT)
        server.h2.send_data(stream, DONE, end_stream=True)
        server.flush()

    with H2Server(script) as server, a_client(read_timeout_s=20.0) as client:
        transcript = ask(client, server.url)
    assert (transcript.outcome, transcript.text, server.pings) == (Outcome.OK, "aa", [b"are you?"])


def test_an_idle_connection_with_a_ping_is_used_again_and_one_that_was_left_is_not() -> None:
    def script(server: H2Server, stream: int) -> None:
        answer(server, stream)
        assert ended.wait(20)
        ended.clear()
        if stream == 1:
            server.h2.ping(b"are you?")
            server.flush()
        else:
            server.send(goaway(last=stream))

    ended = threading.Event()
    reused = []
    with H2Server(script, connections=2) as server, a_client() as client:
        for _ in range(3):
            reused.append(ask(client, server.url).capture.reused)
            ended.set()
            ((connection,),) = client._transport._idle.values()
            patience_s = time.monotonic() + 20
            while connection.idle and time.monotonic() < patience_s:
                time.sleep(0.001)  # until what the server says between two streams has come
    assert reused == [False, True, False]
    assert server.pings[0] == b"are you?"


def test_a_stream_goes_on_after_a_goaway_that_covers_it() -> None:
    def script(server: H2Server, stream: int) -> None:
        server.head(stream)
        server.send(goaway(last=2**31 - 1) + data(EVENT, stream=stream))
        server.h2.send_data(stream, EVENT)
        server.h2.send_data(stream, DONE, end_stream=True)
        server.flush()

    with H2Server(script, connections=2) as server, a_client() as client:
        transcripts = [ask(client, server.url) for _ in range(2)]
    assert [(one.outcome, one.text, one.capture.reused) for one in transcripts] == [(Outcome.OK, "aa", False)] * 2


@pytest.mark.parametrize(("window", "size"), [(65_535, 2_000), (1_000_000, 2_000), (20_000_000, 24_000)])
def test_a_request_larger_than_the_peer_has_room_for_is_sent_as_it_makes_room(window: int, size: int) -> None:
    """The last all at once: more than a socket takes."""
    content = bytes(range(256)) * size
    with H2Server(answer, initial_window_size=window, room=window) as server, a_client() as client:
        transcript = ask(client, server.url, content)
        again = ask(client, server.url, content)
    assert (transcript.outcome, again.outcome) == (Outcome.OK, Outcome.OK)
    assert server.bodies == {1: content, 3: content}
    capture = transcript.capture
    assert capture.sent_ns is not None
    assert capture.sent_ns <= capture.reads[0].user_ns
    if len(content) > 65_535 + 2 * window:
        assert server.room_ns[0] < capture.sent_ns, "the last of it went out after the first was taken"


def test_a_unix_socket_carries_it(tmp_path: Path) -> None:
    path = str(tmp_path / "h2.sock")
    with H2Server(answer, path=path) as server, a_client(unix_socket=path) as client:
        transcript = ask(client, "http://whatever.example/")
    assert (transcript.outcome, server.accepted) == (Outcome.OK, 1)


def test_a_proxy_is_asked_for_a_tunnel_without_tls_too() -> None:
    with H2Server(answer) as server, ForwardProxy(server.port) as proxy:
        connector = Connector(proxies=Proxies({"all": f"http://{proxy.where}"}), http2=True)
        with httpx.Client(transport=Http2Transport(connector=connector), trust_env=False, timeout=20) as client:
            response = client.get("http://endpoint.invalid:8080/")
    assert proxy.heads[0].startswith(b"CONNECT endpoint.invalid:8080 HTTP/1.1\r\n")
    assert response.content == EVENT + EVENT + DONE
    assert response.extensions["capture"].tunnel_ns is not None


def test_httpx_reads_it_as_ever_and_closing_early_leaves_the_connection() -> None:
    def script(server: H2Server, stream: int) -> None:
        if stream == 1:
            server.head(stream)
            server.h2.send_data(stream, EVENT)
            server.flush()
        else:
            answer(server, stream)

    with H2Server(script) as server:
        with httpx.Client(transport=Http2Transport(driver=waiting), trust_env=False, timeout=20) as client:
            with client.stream("POST", server.url, content=b"abc", headers={"Connection": "close"}) as response:
                assert next(response.iter_raw()) == EVENT
            again = client.get(server.url)
        capture = again.extensions["capture"]
    assert (again.http_version, again.status_code, again.content) == ("HTTP/2", 200, EVENT + EVENT + DONE)
    assert (server.bodies, server.resets, server.accepted) == ({1: b"abc"}, [8], 1)
    assert capture.reused
    assert response.extensions["capture"].end is End.CANCELLED


def test_a_header_that_http2_does_not_allow_is_an_outcome_and_no_request() -> None:
    capture = Capture(0)
    with H2Server(answer) as server, httpx.Client(transport=Http2Transport(), trust_env=False) as client:
        assert client.get(server.url).status_code == 200
        with pytest.raises(httpx.LocalProtocolError, match="not valid HTTP/2"):
            client.get(server.url, headers={"TE": "gzip"}, extensions={"capture": capture})
    assert (capture.end, capture.sent_ns, capture.connect_ns) == (End.MALFORMED, None, None)
