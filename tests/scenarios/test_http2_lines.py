"""Shared HTTP/2 connections over real sockets, against a scripted server, with and without the native reader."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import gevent
import h2.events
import pytest

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Transcript
from streamgauge.scenarios.http2_lines import Lines, SharedTransport
from streamgauge.scenarios.native_driver import NativeDriver, native_driver
from streamgauge.scenarios.turns import turns
from streamgauge.transport.connection import Close
from streamgauge.wire import End
from tests.builders.h2_server import H2Server
from tests.harness.transport.http2_frames import data, goaway

EVENT = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
FAR_S = 20.0


@pytest.fixture(params=[None, native_driver], ids=["python", "native"])
def native(request: pytest.FixtureRequest) -> NativeDriver | None:
    return request.param() if request.param else None


@pytest.fixture
def shared(native: NativeDriver | None) -> Iterator[Callable[..., StreamClient]]:
    """Makes clients that share `count` connections."""
    made: dict[int, Lines] = {}

    def client(count: int = 1, **options: float) -> StreamClient:
        lines = made.setdefault(count, Lines(count, gevent.get_hub(), turns(), native))
        return StreamClient(http2=True, kind=partial(SharedTransport, lines), **options)

    yield client
    for lines in made.values():
        lines.close()


def ask(client: StreamClient, url: str, body: bytes = b"{}", **options: object) -> Transcript:
    return client.run(
        RequestSpec("POST", url, {"Accept": "text/event-stream"}, body),
        keep=False,
        **{"deadline_s": FAR_S, **options},  # type: ignore[arg-type]
    )


def together(*asks: Callable[[], Transcript]) -> list[Transcript]:
    return [greenlet.get(timeout=FAR_S) for greenlet in [gevent.spawn(each) for each in asks]]


def gather(count: int, then: Callable[[H2Server, list[int]], None]) -> Callable[[H2Server, int], None]:
    """A script that waits for that many requests, and then answers them together."""
    streams: list[int] = []

    def script(server: H2Server, stream: int) -> None:
        streams.append(stream)
        if len(streams) == count:
            then(server, streams)

    return script


def answer(server: H2Server, streams: list[int]) -> None:
    """Two tokens each, in turns."""
    for stream in streams:
        server.head(stream)
    for _ in range(2):
        for stream in streams:
            server.h2.send_data(stream, EVENT)
        server.flush()
    for stream in streams:
        server.h2.send_data(stream, DONE, end_stream=True)
        server.flush()


def test_streams_of_many_clients_run_at_once_on_one_connection(shared: Callable[..., StreamClient]) -> None:
    with H2Server(gather(20, answer)) as server:
        clients = [shared() for _ in range(20)]
        transcripts = together(*[partial(ask, client, server.url) for client in clients])
        assert [(each.outcome, each.text) for each in transcripts] == [(Outcome.OK, "aa")] * 20
        captures = [each.capture for each in transcripts]
        assert sum(not capture.reused for capture in captures) == 1
        assert all(capture.wanted_ns is not None and capture.wanted_ns <= capture.start_ns for capture in captures)
        assert all(capture.start_ns <= (capture.sent_ns or 0) <= capture.reads[0].user_ns for capture in captures)
        assert all(read.empty_ns is None or read.empty_ns <= read.user_ns for c in captures for read in c.reads)
        clients[0]._transport._lines.close()  # type: ignore[attr-defined]
    assert server.accepted == 1


def test_cancelling_one_stream_leaves_the_others(shared: Callable[..., StreamClient]) -> None:
    def then(server: H2Server, streams: list[int]) -> None:
        for stream in streams:
            server.head(stream)
            server.h2.send_data(stream, EVENT)
        server.flush()
        server.until(h2.events.StreamReset)
        for stream in streams[1:]:
            server.h2.send_data(stream, EVENT)
            server.h2.send_data(stream, DONE, end_stream=True)
        server.flush()

    with H2Server(gather(3, then)) as server:
        leaves = partial(ask, shared(), server.url, on_token=lambda _: Close.FIN)
        transcripts = together(leaves, *[partial(ask, shared(), server.url) for _ in range(2)])
        shared()._transport._lines.close()  # type: ignore[attr-defined]
    assert [each.outcome for each in transcripts] == [Outcome.CANCELLED, Outcome.OK, Outcome.OK]
    assert transcripts[1].text == transcripts[2].text == "aa"
    assert (server.resets, server.accepted) == ([8], 1)


def test_a_stream_waits_for_room_and_its_wait_is_not_its_ttft(shared: Callable[..., StreamClient]) -> None:
    pause_s = 0.2

    def script(server: H2Server, stream: int) -> None:
        time.sleep(pause_s)
        answer(server, [stream])

    with H2Server(script, max_concurrent_streams=1) as server:
        warm = ask(shared(), server.url)  # the limit is known afterwards
        transcripts = together(*[partial(ask, shared(), server.url) for _ in range(3)])
        shared()._transport._lines.close()  # type: ignore[attr-defined]
    assert [each.outcome for each in (warm, *transcripts)] == [Outcome.OK] * 4
    waits_s = sorted((each.capture.start_ns - (each.capture.wanted_ns or 0)) / 1e9 for each in transcripts)
    assert waits_s[0] < pause_s < waits_s[1] < 2 * pause_s < waits_s[2]
    lengths_s = [((each.capture.first_byte_ns or 0) - each.capture.start_ns) / 1e9 for each in transcripts]
    assert max(lengths_s) < 2 * pause_s, "it waited at the server"
    assert server.accepted == 1


def test_a_deadline_ends_the_wait_for_room(shared: Callable[..., StreamClient]) -> None:
    def script(server: H2Server, stream: int) -> None:
        if stream == 1:
            answer(server, [stream])
        else:
            server.until(h2.events.StreamReset)

    with H2Server(script, max_concurrent_streams=1) as server:
        ask(shared(), server.url)
        asks = [partial(ask, shared(), server.url, deadline_s=limit_s) for limit_s in (0.6, 0.2)]
        transcripts = together(*asks)
        shared()._transport._lines.close()  # type: ignore[attr-defined]
    assert [each.capture.end for each in transcripts] == [End.TIMEOUT, End.TIMEOUT]
    assert [each.capture.sent_ns is None for each in transcripts] == [False, True]


def test_the_room_that_a_stream_leaves_goes_to_the_next_that_still_waits(shared: Callable[..., StreamClient]) -> None:
    """And not to one whose deadline has passed while it waited: nobody would use the room."""

    def script(server: H2Server, stream: int) -> None:
        if stream == 3:
            time.sleep(0.4)
        answer(server, [stream])

    with H2Server(script, max_concurrent_streams=1) as server:
        ask(shared(), server.url)  # the limit is known afterwards
        asks = [partial(ask, shared(), server.url, deadline_s=limit_s) for limit_s in (FAR_S, 0.1, 5.0)]
        transcripts = together(*asks)
        shared()._transport._lines.close()  # type: ignore[attr-defined]
    assert [each.capture.end for each in transcripts] == [End.COMPLETE, End.TIMEOUT, End.COMPLETE]


def test_silence_is_that_of_the_stream_and_not_of_the_connection(shared: Callable[..., StreamClient]) -> None:
    def then(server: H2Server, streams: list[int]) -> None:
        for stream in streams:
            server.head(stream)
        for _ in range(12):
            time.sleep(0.05)
            server.h2.send_data(streams[0], EVENT)
            server.flush()
        server.h2.send_data(streams[0], DONE, end_stream=True)
        server.flush()

    with H2Server(gather(2, then)) as server:
        transcripts = together(*[partial(ask, shared(read_timeout_s=0.4), server.url) for _ in range(2)])
        shared()._transport._lines.close()  # type: ignore[attr-defined]
    assert sorted(each.capture.end or "" for each in transcripts) == [End.COMPLETE, End.TIMEOUT]


def test_a_connection_that_breaks_ends_its_streams_and_the_next_stream_opens_another(
    shared: Callable[..., StreamClient],
) -> None:
    def then(server: H2Server, streams: list[int]) -> None:
        if len(streams) == 2:
            for stream in streams:
                server.head(stream)
                server.h2.send_data(stream, EVENT)
            server.flush()
            server.hang_up()

    streams: list[int] = []

    def script(server: H2Server, stream: int) -> None:
        if server.accepted == 2:
            answer(server, [stream])
            return
        streams.append(stream)
        then(server, streams)

    with H2Server(script, connections=2) as server:
        broken = together(*[partial(ask, shared(), server.url) for _ in range(2)])
        after = ask(shared(), server.url)
        shared()._transport._lines.close()  # type: ignore[attr-defined]
    assert [(each.outcome, each.capture.end) for each in broken] == [(Outcome.TRUNCATED, End.CLOSED)] * 2
    assert (after.outcome, after.capture.reused, server.accepted) == (Outcome.OK, False, 2)


def test_after_a_goaway_taken_streams_end_and_the_next_one_opens_another_connection(
    shared: Callable[..., StreamClient],
) -> None:
    told = threading.Event()

    def script(server: H2Server, stream: int) -> None:
        if server.accepted == 2:
            answer(server, [stream])
            return
        server.head(stream)
        server.send(data(EVENT, stream=stream) + goaway(last=stream))
        told.wait(0.3)
        server.h2.send_data(stream, EVENT)
        server.h2.send_data(stream, DONE, end_stream=True)
        server.flush()

    with H2Server(script, connections=2) as server:
        transcripts = [ask(shared(), server.url) for _ in range(2)]
        shared()._transport._lines.close()  # type: ignore[attr-defined]
    assert [(each.outcome, each.text, each.capture.reused) for each in transcripts] == [(Outcome.OK, "aa", False)] * 2
    assert server.accepted == 2


def test_request_bodies_that_need_more_than_the_window_all_arrive(shared: Callable[..., StreamClient]) -> None:
    content = bytes(range(256)) * 400
    with H2Server(gather(3, answer)) as server:
        transcripts = together(*[partial(ask, shared(), server.url, content) for _ in range(3)])
        shared()._transport._lines.close()  # type: ignore[attr-defined]
    assert [each.outcome for each in transcripts] == [Outcome.OK] * 3
    assert server.bodies == {1: content, 3: content, 5: content}


def test_nobody_listening_is_a_failure_of_each_stream(shared: Callable[..., StreamClient]) -> None:
    transcripts = together(*[partial(ask, shared(), "http://127.0.0.1:9/") for _ in range(3)])
    assert [each.outcome for each in transcripts] == [Outcome.CONNECT_ERROR] * 3
    assert all("cannot connect to 127.0.0.1:9" in (each.detail or "") for each in transcripts)


def test_a_greenlet_that_is_killed_resets_its_stream_and_keeps_what_came(shared: Callable[..., StreamClient]) -> None:
    sent = threading.Event()

    def then(server: H2Server, streams: list[int]) -> None:
        for stream in streams:
            server.head(stream)
            server.h2.send_data(stream, EVENT)
        server.flush()
        sent.set()
        server.until(h2.events.StreamReset)
        server.h2.send_data(streams[1], DONE, end_stream=True)
        server.flush()

    with H2Server(gather(2, then)) as server:
        clients = [shared(), shared()]
        first, second = [gevent.spawn(ask, client, server.url) for client in clients]
        while not sent.is_set():
            gevent.sleep(0.01)
        gevent.sleep(0.1)  # until it has come
        first.kill()
        answered = clients[0].cut()
        assert second.get(timeout=FAR_S).outcome is Outcome.OK
        clients[0]._transport._lines.close()  # type: ignore[attr-defined]
    assert answered is not None
    assert (answered.capture.end, len(answered.capture.body)) == (End.INTERRUPTED, 1)
