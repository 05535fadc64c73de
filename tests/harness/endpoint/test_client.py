"""The client turns every behaviour of an endpoint into an outcome; it raises no exception."""

import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from streamgauge.endpoint.client import StreamClient, not_a_stream, settle
from streamgauge.endpoint.content_limit import Patience
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure, OutOfTime
from streamgauge.protocol import dialects
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import StreamReader, interpret
from streamgauge.protocol.record import record_of
from streamgauge.scenarios.epoll_driver import epoll_driver
from streamgauge.scenarios.native_driver import native_driver
from streamgauge.transport.blocking import Blocking
from streamgauge.transport.connection import Close
from streamgauge.transport.exchange import Driver, Exchange
from streamgauge.wire import End, Framing
from tests.builders.encoding import encoder
from tests.builders.tapes import chunk, head, play
from tests.builders.wire_server import Do, Pulse, Step, WireServer

SSE = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
TOKEN = chunk(b'data: {"token":"a","done":false}\n\n')
LAST = chunk(b'data: {"token":"","done":true}\n\n')
END = b"0\r\n\r\n"


@pytest.fixture(params=[lambda: None, epoll_driver, native_driver], ids=["blocking", "epoll", "native"], autouse=True)
def waits(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs with each driver; where the native reader is absent, its tests block."""
    global waiting
    waiting = request.param()
    yield
    waiting = None


waiting: Driver | None = None


@pytest.fixture
def looks_often(waits: None) -> Iterator[None]:  # noqa: ARG001
    """A driver of many exchanges looks for content every 5 s (CONTENT_LOOK_S). Here it does so every 0.1 s."""
    if waiting is not None:
        waiting.look_s = 0.1
    yield
    if waiting is not None:
        del waiting.look_s


def a_client(**options: float) -> StreamClient:
    return StreamClient(driver=waiting, **options)


def spec(url: str, method: str = "GET", version: str = "1.1") -> RequestSpec:
    return RequestSpec(method, url, {"Accept": "text/event-stream"}, None, version)


def run(*steps: Step, method: str = "GET", **options: float):
    """The transcript of one exchange with a server that plays these steps after the request."""
    with WireServer([Do.REQUEST, *steps]) as server, a_client(**options) as client:
        return client.run(spec(server.url, method))


def test_a_chunked_stream_is_read_to_its_end() -> None:
    transcript = run(SSE, TOKEN, TOKEN, LAST, END)
    assert (transcript.outcome, transcript.text) == (Outcome.OK, "aa")
    assert (transcript.capture.framing, transcript.capture.end) == (Framing.CHUNKED, End.COMPLETE)


def test_a_stream_with_a_length_is_read_to_its_end() -> None:
    body = b"data: hello\n\n"
    transcript = run(head("Content-Type: text/event-stream", f"Content-Length: {len(body)}"), body)
    assert (transcript.outcome, transcript.text, transcript.capture.framing) == (Outcome.OK, "hello", Framing.LENGTH)


def test_a_close_delimited_stream_ends_with_its_connection() -> None:
    transcript = run(head("Content-Type: text/event-stream"), b"data: hello\n\n", Do.CLOSE)
    assert (transcript.outcome, transcript.text, transcript.capture.framing) == (Outcome.OK, "hello", Framing.CLOSE)


def test_an_http_1_0_stream_is_read() -> None:
    wire = head("Content-Type: text/event-stream").replace(b"HTTP/1.1", b"HTTP/1.0")
    transcript = run(wire + b"data: hello\n\n", Do.CLOSE)
    assert transcript.outcome is Outcome.OK
    assert transcript.capture.head is not None
    assert transcript.capture.head.http_version == "1.0"


def test_an_informational_answer_comes_before_the_answer() -> None:
    transcript = run(head("Link: </x>", status="103 Early Hints"), SSE + TOKEN + LAST + END)
    assert transcript.outcome is Outcome.OK


def test_an_answer_to_head_has_no_body() -> None:
    transcript = run(SSE, Do.FAREWELL, method="HEAD")
    assert transcript.capture.end is End.COMPLETE
    assert transcript.capture.body == []


@pytest.mark.parametrize(
    ("steps", "end", "outcome"),
    [
        ([SSE + TOKEN, Do.CLOSE], End.CLOSED, Outcome.TRUNCATED),
        ([Do.CLOSE], End.CLOSED, Outcome.TRUNCATED),
        ([Do.RST], End.RESET, Outcome.TRUNCATED),
        ([b"garbage\r\n\r\n", Do.FAREWELL], End.MALFORMED, Outcome.PROTOCOL_ERROR),
        ([SSE + TOKEN + b"zz\r\n", Do.FAREWELL], End.MALFORMED, Outcome.PROTOCOL_ERROR),
        ([head("Content-Length: 3", "Transfer-Encoding: chunked") + END, Do.FAREWELL], End.MALFORMED,
         Outcome.PROTOCOL_ERROR),
        ([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000, Do.FAREWELL], End.TOO_LARGE, Outcome.PROTOCOL_ERROR),
        ([head("Content-Length: 2", status="503 Busy") + b"no"], End.COMPLETE, Outcome.HTTP_ERROR),
        ([head("Location: /elsewhere", "Content-Length: 0", status="302 Found")], End.COMPLETE, Outcome.HTTP_ERROR),
        ([head("Location: http://h:port/", "Content-Length: 0", status="302 Found")], End.COMPLETE, Outcome.HTTP_ERROR),
        ([head("Location: http://h:port/", status="302 Found"), Do.CLOSE], End.COMPLETE, Outcome.HTTP_ERROR),
        ([head("Connection: upgrade", "Upgrade: x", status="101 Switching"), Do.FAREWELL], End.COMPLETE,
         Outcome.HTTP_ERROR),
    ],
)  # fmt: skip
def test_every_mistake_of_the_endpoint_is_an_outcome(steps: list[Step], end: End, outcome: Outcome) -> None:
    transcript = run(*steps)
    assert (transcript.capture.end, transcript.outcome) == (end, outcome)
    assert transcript.detail


def test_a_reset_after_a_token_is_truncated_and_keeps_the_token() -> None:
    seen = threading.Event()

    def on_token(reader: StreamReader) -> None:
        if reader.token_events:
            seen.set()

    with WireServer([Do.REQUEST, SSE + TOKEN, seen, Do.RST]) as server, a_client() as client:
        transcript = client.run(spec(server.url), on_token=on_token)
    assert (transcript.capture.end, transcript.outcome, transcript.text) == (End.RESET, Outcome.TRUNCATED, "a")


def test_a_reset_after_the_end_marker_is_ok_and_noted() -> None:
    seen = threading.Event()

    def on_token(reader: StreamReader) -> None:
        if reader.token_events == 2:
            seen.set()

    with WireServer([Do.REQUEST, SSE + TOKEN + LAST + TOKEN, seen, Do.RST]) as server, a_client() as client:
        transcript = client.run(spec(server.url), on_token=on_token)
    assert transcript.outcome is Outcome.OK
    assert transcript.detail == "after the end marker: the connection was reset by the peer"


def test_bytes_after_the_end_are_kept_as_evidence() -> None:
    transcript = run(SSE + TOKEN + LAST + END + b"MORE")
    assert transcript.outcome is Outcome.OK
    assert transcript.capture.trailing.endswith(b"MORE")


def test_silence_is_a_timeout_before_the_first_token_and_a_stall_after() -> None:
    assert run(Do.FAREWELL, read_timeout_s=0.05).outcome is Outcome.TIMEOUT
    assert run(SSE, Do.FAREWELL, read_timeout_s=0.05).outcome is Outcome.TIMEOUT
    stalled = run(SSE + TOKEN, Do.FAREWELL, read_timeout_s=0.05)
    assert (stalled.outcome, stalled.capture.end) == (Outcome.STALLED, End.TIMEOUT)
    assert "no byte came" in (stalled.detail or "")


PING = chunk(b": keep-alive\n\n")
EMPTY = chunk(b'data: {"token":"","done":false}\n\n')


@pytest.mark.parametrize("pulse", [PING, EMPTY, b"1\r\n:\r\n", b"1\r\nx\r\n"])
def test_heartbeats_do_not_hide_that_no_content_comes(pulse: bytes) -> None:
    stalled = run(SSE, TOKEN, Pulse(pulse), read_timeout_s=20, content_timeout_s=0.3)
    assert (stalled.outcome, stalled.capture.end) == (Outcome.STALLED, End.TIMEOUT)
    assert (stalled.detail or "").startswith("no content came for 0.3 s")
    silent = run(SSE, Pulse(pulse), content_timeout_s=0.3)
    assert (silent.outcome, silent.capture.end) == (Outcome.TIMEOUT, End.TIMEOUT)


def test_the_detail_names_what_came_in_place_of_content() -> None:
    """Without counts: `load` counts equal details together."""
    transcript = run(SSE, TOKEN, EMPTY, Pulse(PING), content_timeout_s=0.3)
    assert transcript.detail == "no content came for 0.3 s, only comments and events without text"


def test_the_time_for_all_requests_together_ends_a_stream_and_refuses_the_next() -> None:
    with WireServer([Do.REQUEST, SSE, TOKEN, Pulse(TOKEN)]) as server, a_client(total_s=0.5) as client:
        transcript = client.run(spec(server.url), deadline_s=60)
        assert transcript.capture.end is End.TIMEOUT
        assert transcript.outcome in (Outcome.TIMEOUT, Outcome.STALLED)  # by how long ago its last token was just then
        with client.another() as other, pytest.raises(OutOfTime, match="for all requests of this command are over"):
            other.run(spec(server.url))


def test_a_head_that_drips_is_a_timeout() -> None:
    transcript = run(b"HTTP/1.1 200 OK\r\nX: ", Pulse(b"x"), content_timeout_s=0.3)
    assert (transcript.outcome, transcript.detail) == (Outcome.TIMEOUT, "no response head came for 0.3 s")


def test_content_puts_the_end_by_silence_of_content_off() -> None:
    events = [threading.Event() for _ in range(5)]
    for number, event in enumerate(events):
        threading.Timer(0.2 * (number + 1), event.set).start()
    steps = [step for event in events for step in (event, PING + TOKEN)]
    assert run(SSE, *steps, LAST, END, content_timeout_s=0.5).outcome is Outcome.OK


@pytest.mark.usefixtures("looks_often")
@pytest.mark.parametrize(
    ("end", "outcome", "begins"),
    [
        (chunk(b"data: [DONE]\n\n"), Outcome.OK, "after the end marker: the body did not end in 0.3 s"),
        (
            chunk(b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'),
            Outcome.TRUNCATED,
            "the content ended, but neither the end marker (data: [DONE]) nor the end of the body came: ",
        ),
        (chunk(b'data: {"error":{"message":"boom"}}\n\n'), Outcome.ERROR_EVENT, "boom"),
    ],
)
@pytest.mark.parametrize("then", [Pulse(PING), Do.FAREWELL])
def test_after_the_end_of_the_content_the_body_has_a_short_grace(
    end: bytes, outcome: Outcome, begins: str, then: Step
) -> None:
    token = chunk(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
    with WireServer([Do.REQUEST, SSE, token, end, then]) as server, a_client() as client:
        transcript = client.run(spec(server.url), patience=Patience(60, grace_s=0.3))
    assert transcript.outcome is outcome
    assert (transcript.detail or "").startswith(begins)


def test_the_grace_counts_where_content_is_looked_for_as_seldom_as_in_a_load() -> None:
    token = chunk(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
    with WireServer([Do.REQUEST, SSE, token, chunk(b"data: [DONE]\n\n"), Do.FAREWELL]) as server, a_client() as client:
        transcript = client.run(spec(server.url), patience=Patience(60, grace_s=0.3))
    assert transcript.detail == "after the end marker: the body did not end in 0.3 s after the end marker"


def test_a_reason_that_asks_for_a_tool_is_not_the_end_of_the_content() -> None:
    """A gateway may run the tool itself, and go on in the same stream."""
    goes_on = threading.Event()
    tool = chunk(b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"tool_calls"}]}\n\n')
    stop = chunk(b'data: {"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    with WireServer([Do.REQUEST, SSE, tool, goes_on, stop, END]) as server, a_client() as client:
        threading.Timer(1.0, goes_on.set).start()
        transcript = client.run(spec(server.url), patience=Patience(60, grace_s=0.3))
    assert (transcript.outcome, transcript.text) == (Outcome.OK, "ab")


@pytest.mark.parametrize(
    "steps", [[Do.FAREWELL], [head(status="100 Continue"), Do.FAREWELL], [SSE + TOKEN, Do.FAREWELL]]
)
def test_a_deadline_ends_the_stream_before_and_after_the_head(steps: list[Step]) -> None:
    with WireServer([Do.REQUEST, *steps]) as server, a_client(read_timeout_s=60) as client:
        transcript = client.run(spec(server.url), deadline_s=0.05)
        assert server.farewell() == "fin"
    assert transcript.capture.end is End.TIMEOUT
    assert transcript.detail == "the stream was still running at the deadline"


@pytest.mark.parametrize(("how", "farewell"), [(Close.FIN, "fin"), (Close.RST, "rst")])
@pytest.mark.parametrize("steps", [[], [SSE], [SSE + TOKEN]])
def test_leave_after_closes_with_the_chosen_segment(how: Close, farewell: str, steps: list[Step]) -> None:
    with WireServer([Do.REQUEST, *steps, Do.FAREWELL]) as server, a_client() as client:
        transcript = client.run(spec(server.url), leave_after=(0.05, how))
        assert server.farewell() == farewell
    assert (transcript.outcome, transcript.capture.end) == (Outcome.CANCELLED, End.CANCELLED)
    assert transcript.detail == f"closed by the harness ({farewell.upper()})"


def test_a_stream_that_ends_before_the_leave_is_not_cancelled() -> None:
    with WireServer([Do.REQUEST, SSE + TOKEN + LAST + END]) as server, a_client() as client:
        assert client.run(spec(server.url), leave_after=(60, Close.RST)).outcome is Outcome.OK


@pytest.mark.parametrize(("how", "farewell"), [(Close.FIN, "fin"), (Close.RST, "rst")])
def test_on_token_can_close_the_stream_at_any_token(how: Close, farewell: str) -> None:
    counts: list[int] = []
    more = threading.Event()

    def on_token(reader: StreamReader) -> Close | None:
        counts.append(reader.token_events)
        more.set()
        return how if reader.token_events >= 2 else None

    with WireServer([Do.REQUEST, SSE, more, TOKEN + TOKEN, Do.FAREWELL]) as server, a_client() as client:
        transcript = client.run(spec(server.url), on_token=on_token)
        assert server.farewell() == farewell
    assert counts[0] == 0
    assert counts[-1] == 2
    assert (transcript.outcome, transcript.text) == (Outcome.CANCELLED, "aa")


def test_on_token_does_not_change_the_tokens_of_a_stream() -> None:
    wire = head("Content-Type: text/plain", "Transfer-Encoding: chunked") + chunk(b"one ") + chunk(b"two") + END
    seen: list[int] = []
    with WireServer([Do.REQUEST, wire]) as server, a_client() as client:
        followed = client.run(spec(server.url), on_token=lambda reader: seen.append(reader.token_events))
    with WireServer([Do.REQUEST, wire]) as server, a_client() as client:
        whole = client.run(spec(server.url))
    assert seen[-1] == 1
    assert [text for _, text in followed.tokens] == [text for _, text in whole.tokens] == ["one two"]


def test_keep_decides_whether_the_wire_stays() -> None:
    wire = SSE + TOKEN + LAST + END
    with WireServer([Do.REQUEST, wire, Do.REQUEST, wire]) as server, a_client() as client:
        kept, bare = client.run(spec(server.url)), client.run(spec(server.url), keep=False)
    assert kept.capture.wire is not None
    assert b"".join(kept.capture.wire) == wire
    assert (bare.capture.wire, bare.body, bare.lines) == (None, b"", [])
    assert bare.outcome is Outcome.OK
    assert bare.capture.reused


def test_a_closed_port_and_an_unknown_host_are_connect_errors() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with a_client() as client:
        refused = client.run(spec(f"http://127.0.0.1:{port}/"))
        unknown = client.run(spec("http://nowhere.invalid/"))
        impossible = client.run(spec(f"http://{'a' * 64}.invalid/"))
    assert {refused.outcome, unknown.outcome, impossible.outcome} == {Outcome.CONNECT_ERROR}
    assert "refused" in (refused.detail or "")
    assert "cannot be resolved" in (unknown.detail or "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops a SYN when the backlog is full")
def test_a_connection_that_is_never_accepted_is_a_connect_error() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address), a_client(connect_timeout_s=0.05) as client:
            transcript = client.run(spec(f"http://127.0.0.1:{address[1]}/"))
    assert transcript.outcome is Outcome.CONNECT_ERROR
    assert "within the connect timeout" in (transcript.detail or "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps arrivals")
def test_every_read_is_stamped_or_counted_as_unstamped() -> None:
    acks = [threading.Event() for _ in range(30)]
    steps: list[Step] = []
    for ack in acks:
        steps += [TOKEN, ack]

    def on_token(reader: StreamReader) -> None:
        for ack in acks[: reader.token_events]:
            ack.set()

    with WireServer([Do.REQUEST, SSE, *steps, LAST, END]) as server, a_client() as client:
        transcript = client.run(spec(server.url), on_token=on_token)
    reads = transcript.capture.reads
    record = record_of(transcript, "s", url="u")

    assert len(transcript.tokens) == len({event.read_index for event, _ in transcript.tokens}) == 30
    assert all(read.t_ns <= read.user_ns for read in reads)
    assert all(read.t_ns == read.user_ns for read in reads if not read.stamped)
    assert record.unstamped_reads == sum(not read.stamped for read in reads)
    stamps = [read.t_ns for read in reads if read.stamped]
    assert stamps == sorted(stamps)
    assert stamps, "the kernel was asked for stamps and gave none"


def test_cut_returns_the_tokens_that_arrived_before_the_interruption() -> None:
    def interrupt(reader: StreamReader) -> None:
        if reader.token_events:
            raise KeyboardInterrupt

    with WireServer([Do.REQUEST, SSE + TOKEN, Do.FAREWELL]) as server, a_client() as client:
        with pytest.raises(KeyboardInterrupt):
            client.run(spec(server.url), on_token=interrupt)
        cut = client.cut()
        assert server.farewell() == "fin"
    assert cut is not None
    assert (cut.interpreted().outcome, cut.interpreted().text) == (Outcome.INCOMPLETE, "a")


def test_a_stream_that_ended_just_before_the_interruption_is_whole() -> None:
    class Interrupting(Blocking):
        def drive(self, exchange: Exchange) -> None:
            super().drive(exchange)
            ended.append(exchange.capture.end)
            raise KeyboardInterrupt

    ended: list[End | None] = []
    with WireServer([Do.REQUEST, SSE + TOKEN + LAST + END]) as server, StreamClient(driver=Interrupting()) as client:
        with pytest.raises(KeyboardInterrupt):
            client.run(spec(server.url))
        cut = client.cut()
    assert ended == [End.COMPLETE]
    assert cut is not None
    assert cut.interpreted().outcome is Outcome.OK


def test_there_is_nothing_to_cut_before_or_after_a_stream() -> None:
    with WireServer([Do.REQUEST, SSE + TOKEN + LAST + END]) as server, a_client() as client:
        assert client.cut() is None
        client.run(spec(server.url))
        assert client.cut() is None


def test_a_wrong_dialect_reads_no_end_marker() -> None:
    with WireServer([Do.REQUEST, SSE + TOKEN + LAST + END]) as server, a_client() as client:
        transcript = client.run(spec(server.url), dialect=dialects.by_name("json-string"))
    assert transcript.outcome is Outcome.EMPTY


def test_settling_finds_the_request_that_gives_a_stream() -> None:
    refused = head("Content-Length: 0", "Connection: close", status="405 Method Not Allowed")
    with WireServer([Do.REQUEST, refused], [Do.REQUEST, SSE + TOKEN, Do.FAREWELL]) as server, a_client() as client:
        settled = settle(client, Target(url=f"http://127.0.0.1:{server.port}/s"))
        assert server.farewell() == "fin"
    assert settled.method == "GET"
    assert [request.split()[0] for request in server.requests] == [b"POST", b"GET"]


def test_settling_raises_when_the_endpoint_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with a_client() as client, pytest.raises(CannotMeasure, match="refused"):
        settle(client, Target(url=f"http://127.0.0.1:{port}/s"))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (head("Content-Length: 2", status="401 Unauthorized") + b"no", "--api-key-env"),
        (head("Content-Length: 2", status="404 Not Found") + b"no", "is the path right?"),
        (head("Content-Length: 0", status="500 Oops"), "the body is empty"),
        (head("Content-Length: 6", "Content-Type: text/html") + b"<html>", "the body begins: '<html>'"),
    ],
)
def test_the_error_for_an_answer_without_a_stream_has_a_hint(answer: bytes, hint: str) -> None:
    error = not_a_stream(run(answer))
    assert hint in (error.hint or "")
    assert "no stream came from" in error.message


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("X-Replica: a\x1b[31m", "a proxy in front of it, writes this line"),
        ("Content-Length: -5", "set neither Transfer-Encoding nor Content-Length"),
    ],
)
def test_the_error_for_a_defect_of_the_head_says_who_can_mend_it(field: str, hint: str) -> None:
    error = not_a_stream(run(head("Content-Type: text/event-stream", field) + b"data: a\n\n"))
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("end", "detail", "hint"),
    [
        (End.TIMEOUT, "no answer came for 2.0 s", "--timeout"),
        (End.MALFORMED, "the answer is not valid HTTP/2", "--http2"),
        (End.CLOSED, "the TLS certificate of a:443 is not accepted: self-signed certificate", "--insecure"),
        (End.CLOSED, "cannot connect to a:443 through the proxy b:1: Connection refused", "NO_PROXY"),
        (End.CLOSED, "cannot connect to a:443: Connection refused", "host and port"),
    ],
)
def test_the_error_without_an_answer_has_a_hint(end: End, detail: str, hint: str) -> None:
    capture = play([], then=None)
    capture.end, capture.detail = end, detail
    capture.sent_ns = None if end is End.CLOSED else capture.sent_ns
    error = not_a_stream(interpret(capture))
    assert hint in (error.hint or "")
    assert error.message == detail


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_each_token_of_a_compressed_body_has_the_time_of_the_read_that_completed_it(coding: str) -> None:
    """The server sends one byte of the second token; it sends the rest after the client has read the first token."""
    compress, finish = encoder(coding)
    first, second = (compress(b'data: {"token":"a","done":false}\n\n') for _ in range(2))
    seen = threading.Event()
    coded = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked", f"Content-Encoding: {coding}")
    last = compress(b'data: {"token":"","done":true}\n\n') + finish()
    script = [Do.REQUEST, coded + chunk(first), chunk(second[:1]), seen, chunk(second[1:]), chunk(last) + END]

    def on_token(reader: StreamReader) -> None:
        if reader.token_events:
            seen.set()

    with WireServer(script) as server, a_client() as client:
        target = Target(url=server.url, dialect="token-done", compressed=True)
        transcript = client.run(target.request(), dialect=target.reader(), on_token=on_token, deadline_s=20)
    assert transcript.outcome is Outcome.OK
    assert b"\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" in server.requests[0]
    assert len(transcript.tokens) == 2
    assert transcript.tokens[0][0].read_index < transcript.tokens[1][0].read_index
