"""Both drivers of gevent's hub over real sockets; nothing is monkey-patched here.

tests/harness/endpoint/test_client.py runs the client with each driver, one stream at a time.
"""

import gc
import ssl
import threading
import time
import weakref

import gevent
import msgspec
import pytest
import trustme

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.scenarios.epoll_driver import MANY, epoll_driver
from streamgauge.scenarios.native_driver import native_driver
from streamgauge.transport.blocking import Blocking
from streamgauge.transport.connection import Close
from streamgauge.transport.exchange import TICK_S, Driver
from streamgauge.transport.native import READER, WHY_NOT
from tests.builders.mock_streams import writes
from tests.builders.tapes import chunk, head
from tests.builders.wire_server import Do, Step, WireServer

PATIENCE_S = 20.0
needs_reader = pytest.mark.skipif(READER is None, reason=str(WHY_NOT))
HUB = [epoll_driver, pytest.param(native_driver, marks=needs_reader)]
NAMES = ["epoll", "native"]

SSE = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
LAST = b"0\r\n\r\n"
DONE = chunk(b"data: [DONE]\n\n") + LAST


EVENT = 'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"TEXT"}}]}\n\n'


def token(text: str) -> bytes:
    return chunk(EVENT.replace("TEXT", text).encode())


@pytest.fixture(params=HUB, ids=NAMES)
def driver(request: pytest.FixtureRequest) -> Driver:
    made: Driver = request.param()
    return made


def fetch(client: StreamClient, url: str, **options: object) -> StreamRecord:
    """One request, its answer read to the end."""
    request = client.prepare(RequestSpec("GET", url, {}, None), **options)  # type: ignore[arg-type]
    return client.fetch(request).record("id", None, url=url)


class Crowd:
    """Many clients of one server, each in its greenlet; every answer waits for its event before it goes on."""

    def __init__(self, driver: Driver, count: int) -> None:
        self.goes_on = [threading.Event() for _ in range(count)]
        scripts: list[list[Step]] = [
            [Do.REQUEST, SSE + token(f"{n}:"), token("a"), event, token("b"), DONE, Do.FAREWELL]
            for n, event in enumerate(self.goes_on)
        ]
        self.server = WireServer(*scripts)
        self.clients = [StreamClient(driver=driver) for _ in range(count)]

    def __enter__(self) -> "Crowd":
        self.server.__enter__()
        self.greenlets = [gevent.spawn(self._ask, client) for client in self.clients]
        return self

    def _ask(self, client: StreamClient) -> str:
        transcript = client.ask(client.prepare(RequestSpec("GET", self.server.url, {}, None)), keep=False)
        assert transcript.outcome is Outcome.OK, transcript.detail
        return transcript.text

    def __exit__(self, *_: object) -> None:
        for event in self.goes_on:
            event.set()
        gevent.killall(self.greenlets)
        for client in self.clients:
            client.cut()
            client.close()
        self.server.__exit__(None, None, None)


@pytest.mark.parametrize("count", [1, MANY - 1, MANY, 3 * MANY])
def test_each_waits_for_its_own_end(driver: Driver, count: int) -> None:
    with Crowd(driver, count) as crowd:
        for event in reversed(crowd.goes_on):
            gevent.sleep(0.001)
            event.set()
        gevent.joinall(crowd.greenlets, timeout=PATIENCE_S, raise_error=True)
        assert sorted(greenlet.value for greenlet in crowd.greenlets) == sorted(f"{n}:ab" for n in range(count))


def test_a_killed_waiter_leaves_nothing_behind(driver: Driver) -> None:
    with Crowd(driver, 2) as crowd:
        gevent.sleep(0.02)
        killed, other = crowd.greenlets
        killed.kill()
        cut = crowd.clients[0].cut()
        assert cut is not None
        assert cut.interpreted().outcome is Outcome.INCOMPLETE
        for event in crowd.goes_on:
            event.set()
        other.join(PATIENCE_S)
        assert other.value in ("0:ab", "1:ab")
        assert waiting(driver) == 0


def test_a_killed_waiter_keeps_what_has_come(driver: Driver) -> None:
    with Crowd(driver, 1) as crowd:
        gevent.sleep(0.05)
        crowd.greenlets[0].kill()
        cut = crowd.clients[0].cut()
        assert cut is not None
        assert cut.interpreted().text == "0:a"


def test_one_end_may_end_the_others(driver: Driver) -> None:
    """What a greenlet does after its end runs while others wait for their turn."""
    with Crowd(driver, 2 * MANY) as crowd:
        gevent.sleep(0.05)
        first, *others = crowd.greenlets
        first.link(lambda _: gevent.killall(others, block=False))
        for event in crowd.goes_on:
            event.set()
        gevent.joinall(crowd.greenlets, timeout=PATIENCE_S)
        assert all(greenlet.dead for greenlet in crowd.greenlets)
        assert first.value.endswith(":ab")
        assert waiting(driver) == 0


def waiting(driver: Driver) -> int:
    """How many exchanges a driver waits for."""
    for name in ("_watched", "_waiting"):
        if hasattr(driver, name):
            return len(getattr(driver, name))
    raise AssertionError(driver)


def test_an_exchange_that_is_over_keeps_nothing(driver: Driver) -> None:
    """A cycle would keep the stream until a collection, and that stops every other stream for its time."""
    kept: list[weakref.ref[object]] = []
    with WireServer([Do.REQUEST, SSE + token("a"), token("b"), DONE]) as server, StreamClient(driver=driver) as client:
        gc.collect()
        gc.disable()
        try:
            answer = client.fetch(client.prepare(RequestSpec("GET", server.url, {}, None)))
            assert client._exchange is not None
            kept.append(weakref.ref(client._exchange))
            kept.append(weakref.ref(client._exchange._parser))
            client._exchange = None
            del answer
            gevent.sleep(0.01)  # the hub holds its last callback until its next turn
            assert [ref() for ref in kept] == [None, None]
        finally:
            gc.enable()


# Limits of time


def test_silence_ends_a_stream(driver: Driver) -> None:
    goes_on = threading.Event()
    with (
        WireServer([Do.REQUEST, SSE + token("a"), goes_on]) as server,
        StreamClient(driver=driver, read_timeout_s=1.0) as client,
    ):
        record = fetch(client, server.url)
        goes_on.set()
    assert (record.outcome, record.detail) == (Outcome.STALLED, "no byte came for 1.0 s")
    assert 1e9 <= (record.closed_ns or 0) < PATIENCE_S * 1e9


def test_bytes_put_the_end_by_silence_off(driver: Driver) -> None:
    steps: list[Step] = [Do.REQUEST, SSE]
    pauses = [threading.Event() for _ in range(6)]
    for number, pause in enumerate(pauses):
        steps += [token(str(number)), pause]
    with WireServer([*steps, DONE]) as server, StreamClient(driver=driver, read_timeout_s=1.5) as client:
        greenlet = gevent.spawn(fetch, client, server.url)
        for pause in pauses:
            gevent.sleep(0.3)
            pause.set()
        greenlet.join(PATIENCE_S)
    assert greenlet.value.outcome is Outcome.OK


def test_a_deadline_ends_a_stream_that_goes_on(driver: Driver) -> None:
    pauses = [threading.Event() for _ in range(30)]
    tokens: list[Step] = [step for pause in pauses for step in (token("a"), pause)]
    with WireServer([Do.REQUEST, SSE, *tokens, Do.FAREWELL]) as server, StreamClient(driver=driver) as client:
        greenlet = gevent.spawn(fetch, client, server.url, deadline=time.monotonic() + 0.4)
        for number, pause in enumerate(pauses):
            # A stream whose last silence is its longest gap would be stalled. The second gap is far longer than others.
            gevent.sleep(0.25 if number == 1 else 0.01)
            pause.set()
        greenlet.join(PATIENCE_S)
    record = greenlet.value
    assert (record.outcome, record.detail) == (Outcome.TIMEOUT, "the stream was still running at the deadline")
    assert len(record.token_reads) < len(pauses)


@pytest.mark.parametrize(("how", "farewell"), [(Close.FIN, "fin"), (Close.RST, "rst")])
def test_the_client_leaves_at_its_time(driver: Driver, how: Close, farewell: str) -> None:
    with (
        WireServer([Do.REQUEST, SSE + token("a"), Do.FAREWELL]) as server,
        StreamClient(driver=driver) as client,
    ):
        record = fetch(client, server.url, leave_after=(0.05, how))
        assert (record.outcome, len(record.token_reads)) == (Outcome.CANCELLED, 1)
        assert server.farewell() == farewell


# Ends that do not look like ends


@pytest.mark.parametrize("stalls", [False, True])
def test_an_end_with_bytes_behind_it_is_found_after_a_second_of_silence(driver: Driver, stalls: bool) -> None:
    """The read does not end as a body ends. After a stall of more than a second, too."""
    goes_on, over = threading.Event(), threading.Event()
    script = [Do.REQUEST, SSE + token("a"), goes_on, DONE + b"more", over]
    with WireServer(script) as server, StreamClient(driver=driver, read_timeout_s=30.0) as client:
        greenlet = gevent.spawn(fetch, client, server.url)
        gevent.sleep(1.5 * TICK_S if stalls else 0.05)
        began_s = time.monotonic()
        goes_on.set()
        greenlet.join(PATIENCE_S)
        took_s = time.monotonic() - began_s
        over.set()
    assert greenlet.value.outcome is Outcome.OK
    assert took_s < 10 * TICK_S


def test_a_half_sent_body_is_truncated_and_keeps_its_tokens(driver: Driver) -> None:
    script = [Do.REQUEST, SSE + token("a"), token("b")[:20], Do.CLOSE]
    with WireServer(script) as server, StreamClient(driver=driver) as client:
        record = fetch(client, server.url)
    assert (record.outcome, len(record.token_reads)) == (Outcome.TRUNCATED, 1)


def test_a_reset_keeps_the_tokens_before_it(driver: Driver) -> None:
    seen = threading.Event()
    with WireServer([Do.REQUEST, SSE + token("a"), seen, Do.RST]) as server, StreamClient(driver=driver) as client:
        greenlet = gevent.spawn(fetch, client, server.url)
        gevent.sleep(0.05)
        seen.set()
        greenlet.join(PATIENCE_S)
    assert (greenlet.value.outcome, len(greenlet.value.token_reads)) == (Outcome.TRUNCATED, 1)


# The next request


def test_a_connection_is_used_again(driver: Driver) -> None:
    answer = [Do.REQUEST, SSE + token("a"), DONE]
    with WireServer(answer * 3) as server, StreamClient(driver=driver) as client:
        records = [fetch(client, server.url) for _ in range(3)]
    assert [(record.outcome, record.reused) for record in records] == [
        (Outcome.OK, False), (Outcome.OK, True), (Outcome.OK, True),
    ]  # fmt: skip
    assert server.accepted == 1


def test_bytes_between_two_responses_close_the_connection(driver: Driver) -> None:
    stray = threading.Event()
    first = [Do.REQUEST, SSE + token("a"), DONE, stray, b"stray", Do.FAREWELL]
    with WireServer(first, [Do.REQUEST, SSE + token("b"), DONE]) as server, StreamClient(driver=driver) as client:
        fetch(client, server.url)
        stray.set()
        time.sleep(0.05)
        record = fetch(client, server.url)
    assert (record.outcome, record.reused, server.accepted) == (Outcome.OK, False, 2)


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_streams_over_tls_are_read_and_end_at_once(
    driver: Driver, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """The end must not wait for a tick of silence: the reader sees only what is encrypted."""
    goes_on = [threading.Event() for _ in range(4)]
    script: list[Step] = []
    for event in goes_on:
        script += [Do.REQUEST, SSE + token("a"), token("b"), event, token("c"), DONE]
    records, took_s = [], []
    with (
        WireServer([*script, Do.FAREWELL], tls=server_tls) as server,
        StreamClient(driver=driver, tls=client_tls) as client,
    ):
        for event in goes_on:
            greenlet = gevent.spawn(fetch, client, server.url)
            gevent.sleep(0.05)
            began_s = time.monotonic()
            event.set()
            greenlet.join(PATIENCE_S)
            took_s.append(time.monotonic() - began_s)
            records.append(greenlet.value)
    assert [(record.outcome, len(record.token_reads)) for record in records] == [(Outcome.OK, 3)] * 4
    assert [record.reused for record in records] == [False, True, True, True]
    assert min(took_s) < TICK_S / 2


def test_a_close_notify_ends_a_body_while_tcp_stays_open(
    driver: Driver, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    body = head("Content-Type: text/event-stream") + EVENT.encode() + b"data: [DONE]\n\n"
    with (
        WireServer([Do.REQUEST, Do.NOTIFY_AND_SEND, body, Do.FAREWELL], tls=server_tls) as server,
        StreamClient(driver=driver, tls=client_tls) as client,
    ):
        record = fetch(client, server.url, deadline=time.monotonic() + PATIENCE_S)
    assert record.outcome is Outcome.OK


# All drivers

VARY = ("start_ns", "connect_ns", "handshake_ns", "sent_ns", "first_byte_ns", "headers_ns", "first_event_ns", "reads",
        "first_chunk_ns", "first_answer_ns", "end_ns", "closed_ns", "unstamped_reads", "stamp_source", "token_reads",
        "url")  # fmt: skip


@needs_reader
@pytest.mark.parametrize("dialect", ["openai-chat", "openai-completions", "anthropic", "ollama"])
@pytest.mark.parametrize("cut", [None, -20])
def test_all_drivers_give_the_same_record_but_for_times(dialect: str, cut: int | None) -> None:
    """A clean response, and one that stops within its last writes."""
    wire = b"".join(writes(dialect, "tokens=30"))[:cut]
    pieces = [wire[at : at + 97] for at in range(0, len(wire), 97)]
    records = []
    for made in (Blocking(), epoll_driver(), native_driver()):
        with WireServer([Do.REQUEST, *pieces, Do.CLOSE]) as server, StreamClient(driver=made) as client:
            records.append(msgspec.to_builtins(fetch(client, server.url)))
    same = [{key: value for key, value in record.items() if key not in VARY} for record in records]
    assert same[0] == same[1] == same[2]
    assert same[0]["outcome"] == (Outcome.OK if cut is None else Outcome.TRUNCATED)
    assert [sum(record["reads"]["bytes"]) for record in records] == [len(wire)] * 3
