"""The buffering proxy: harmless without knobs, and bad in exactly the way a knob says."""

import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal
from uuid import uuid4

import httpx
import pytest

from streamgauge.mock_provider.embedded import BufferingProxy, MockServer
from streamgauge.mock_provider.proxy.comments import CommentFilter
from streamgauge.mock_provider.proxy.config import ProxyConfig
from streamgauge.mock_provider.proxy.holding import MOST_HELD, Holder
from streamgauge.mock_provider.proxy.narrow import SpacedData, WholeEvents
from streamgauge.mock_provider.proxy.relay import ERROR_EVENT
from streamgauge.mock_provider.request_reader import HEAD_LIMIT, RequestReader
from tests.mock_provider.mock_wire import (
    HTTP,
    ROUTES,
    connect,
    exchange,
    parse,
    read_to_end,
    read_until,
    request_bytes,
    steady,
    wait_for,
)

BASE = "[[mock seed=3 tokens=6 ttft=10ms itl=10ms"


def entry(control: httpx.Client, stream_id: str) -> dict:
    return control.get(f"/streams/{stream_id}", params={"wait": 5}).json()["streams"][-1]


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("dialect", ROUTES)
def test_without_knobs_it_passes_everything_through(mock: MockServer, dialect: str) -> None:
    request = request_bytes(dialect, f"{BASE}]]")
    direct = exchange(mock.url, request)
    with BufferingProxy(ProxyConfig(upstream=mock.url)) as proxy:
        proxied = exchange(proxy.url, request)
    assert [steady(chunk) for chunk in proxied.chunks] == [steady(chunk) for chunk in direct.chunks]
    assert (proxied.status, proxied.whole, proxied.end) == (200, True, "fin")
    assert proxied.header("via") == ["1.1 streamgauge-proxy"]
    assert proxied.header("x-accel-buffering") == ["no"]
    assert proxied.header("transfer-encoding") == ["chunked"]


def test_lockstep_passes_through_and_not_one_behind(mock: MockServer, control: httpx.Client) -> None:
    for one_behind in (False, True):
        stream_id = f"p-{uuid4().hex[:8]}"
        prompt = f"[[mock id={stream_id} script=lockstep tokens=3]]"
        with (
            BufferingProxy(ProxyConfig(upstream=mock.url, one_behind=one_behind)) as proxy,
            connect(proxy.url) as client,
        ):
            client.sendall(request_bytes("json-string", prompt))
            data = read_until(client, b"\r\n\r\n")
            control.post(f"/streams/{stream_id}/release", params={"upto": 1})
            if one_behind:
                assert read_to_end(client, data, silence_s=0.2) == (data, "open")
            else:
                data = read_until(client, b"data: ", data)
            control.post(f"/streams/{stream_id}/release", params={"upto": 4})
            answer = parse(*read_to_end(client, data))
        assert (answer.whole, len(answer.chunks)) == (True, 4)


def test_until_close_makes_one_piece(mock: MockServer) -> None:
    request = request_bytes("event-json", f"{BASE}]]")
    with BufferingProxy(ProxyConfig(upstream=mock.url, until_close=True)) as proxy:
        answer = exchange(proxy.url, request)
    assert answer.chunks == [exchange(mock.url, request).body]


def test_hold_bytes_holds_that_many(mock: MockServer) -> None:
    request = request_bytes("event-json", f"{BASE}]]")
    with BufferingProxy(ProxyConfig(upstream=mock.url, hold_bytes=100)) as proxy:
        answer = exchange(proxy.url, request)
    assert answer.body == exchange(mock.url, request).body
    assert all(len(chunk) >= 100 for chunk in answer.chunks[:-1])


def test_hold_ms_coalesces(mock: MockServer) -> None:
    request = request_bytes("event-json", f"{BASE}]]")
    with BufferingProxy(ProxyConfig(upstream=mock.url, hold_ms=40)) as proxy:
        answer = exchange(proxy.url, request)
    direct = exchange(mock.url, request)
    assert answer.body == direct.body
    assert len(answer.chunks) < len(direct.chunks)


def test_gzip_without_flush_holds_what_a_client_offers_to_take(mock: MockServer) -> None:
    request = request_bytes("event-json", f"{BASE}]]", headers=("Connection: close", "Accept-Encoding: gzip"))
    with BufferingProxy(ProxyConfig(upstream=mock.url, gzip_no_flush=True)) as proxy:
        answer = exchange(proxy.url, request)
        plain = exchange(proxy.url, request_bytes("event-json", f"{BASE}]]"))
    assert answer.header("content-encoding") == ["gzip"]
    assert zlib.decompress(answer.body, 31) == plain.body
    assert zlib.decompressobj(31).decompress(b"".join(answer.chunks[:-1])) == b""
    assert plain.header("content-encoding") == []


def test_strip_accel(mock: MockServer) -> None:
    with BufferingProxy(ProxyConfig(upstream=mock.url, strip_accel=True)) as proxy:
        assert exchange(proxy.url, request_bytes("raw-text", "x")).header("x-accel-buffering") == []


@pytest.mark.parametrize("kind", ["fin", "rst"])
def test_a_clients_abort_goes_upstream_as_it_is(mock: MockServer, control: httpx.Client, kind: str) -> None:
    stream_id = f"p-{uuid4().hex[:8]}"
    with BufferingProxy(ProxyConfig(upstream=mock.url)) as proxy:
        client = connect(proxy.url)
        client.sendall(request_bytes("raw-text", f"[[mock id={stream_id} script=silent]]"))
        read_until(client, b"\r\n\r\n")
        if kind == "rst":
            reset(client)
        else:
            client.close()
        gone = entry(control, stream_id)
    assert (gone["end"], gone["disconnect"]["kind"]) == ("disconnected", kind)


def test_ignore_abort_reads_to_the_end(mock: MockServer, control: httpx.Client) -> None:
    stream_id = f"p-{uuid4().hex[:8]}"
    with BufferingProxy(ProxyConfig(upstream=mock.url, ignore_abort=True)) as proxy:
        with connect(proxy.url) as client:
            client.sendall(request_bytes("raw-text", f"[[mock id={stream_id} tokens=10 itl=10ms]]"))
            read_until(client, b"data: ")
        done = entry(control, stream_id)
    assert (done["end"], done["disconnect"], done["tokens_written"]) == ("complete", None, 10)


@pytest.mark.parametrize(("fault", "end"), [("rst:2", "rst"), ("fin:2", "fin"), ("truncated-chunk:2", "fin")])
def test_a_broken_answer_stays_broken(mock: MockServer, fault: str, end: str) -> None:
    with BufferingProxy(ProxyConfig(upstream=mock.url)) as proxy:
        answer = exchange(proxy.url, request_bytes("json-string", f"{BASE} fault={fault}]]"))
    assert (answer.whole, answer.end) == (False, end)
    assert len(answer.chunks) >= 2


def test_keep_alive_and_whole_answers(mock: MockServer) -> None:
    with BufferingProxy(ProxyConfig(upstream=mock.url)) as proxy, httpx.Client(base_url=proxy.url) as client:
        for _ in range(3):
            assert client.get("/health").json() == {"status": "ok"}
            assert client.head("/stream").status_code == 405
            assert client.get("/stream", params={"message": "x"}).text.startswith("data: ")


def test_a_dead_upstream_is_a_502() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with BufferingProxy(ProxyConfig(upstream=f"http://127.0.0.1:{port}")) as proxy:
        response = HTTP.get(proxy.url)
    assert response.status_code == 502
    assert "cannot be reached" in response.json()["error"]["message"]


def test_an_upstream_that_closes_without_an_answer_is_a_502(mock: MockServer) -> None:
    with BufferingProxy(ProxyConfig(upstream=mock.url)) as proxy:
        assert exchange(proxy.url, request_bytes("raw-text", "[[mock fault=accept-close]]")).status == 502


def test_back_pressure_reaches_the_upstream(mock: MockServer, control: httpx.Client) -> None:
    stream_id = f"p-{uuid4().hex[:8]}"
    with BufferingProxy(ProxyConfig(upstream=mock.url)) as proxy, connect(proxy.url) as client:
        client.sendall(request_bytes("plain-text", f"[[mock id={stream_id} tokens=600 text=big]]"))

        def stuck() -> bool:
            counts = []
            for _ in range(2):
                time.sleep(0.1)
                counts.append(control.get(f"/streams/{stream_id}").json()["streams"][-1]["tokens_written"])
            return counts[0] == counts[1]

        wait_for(lambda: control.get(f"/streams/{stream_id}").status_code == 200)
        wait_for(stuck)
        read_to_end(client)
        assert entry(control, stream_id)["write_blocked_ns"] > 0


def test_strip_heartbeats_removes_comments_and_nothing_else(mock: MockServer) -> None:
    prompt = "[[mock seed=3 tokens=4 ttft=60ms itl=60ms heartbeat=15ms]]"
    with BufferingProxy(ProxyConfig(upstream=mock.url, strip_heartbeats=True)) as proxy:
        stripped = exchange(proxy.url, request_bytes("json-string", prompt))
        plain = exchange(proxy.url, request_bytes("plain-text", "[[mock seed=3 tokens=4 itl=0]]"))
    direct = exchange(mock.url, request_bytes("json-string", prompt))
    assert b": heartbeat" in direct.body
    quiet = exchange(mock.url, request_bytes("json-string", "[[mock seed=3 tokens=4 itl=0 ttft=0]]"))
    assert (stripped.body, stripped.whole) == (quiet.body, True)
    assert plain.body == exchange(mock.url, request_bytes("plain-text", "[[mock seed=3 tokens=4 itl=0]]")).body


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
def test_comments_are_found_however_they_are_cut(size: int) -> None:
    source = b": one\n\ndata: a\n: two\ndata: b:\n\n:three\r\n\r\ndata: c\r\n\r\n:\n\n\ndata: d\n\n"
    comments = CommentFilter()
    kept = b"".join(comments.feed(source[at : at + size]) for at in range(0, len(source), size))
    assert kept == b"data: a\ndata: b:\n\ndata: c\r\n\r\n\ndata: d\n\n"


EVENTS = b"data: a\ndata:b\n\ndata: c\r\n\r\n: note\n\ndata:d"


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
def test_an_event_waits_for_two_line_feeds(size: int) -> None:
    reader = WholeEvents()
    passed = [reader.feed(EVENTS[at : at + size]) for at in range(0, len(EVENTS), size)]
    assert b"".join(passed) == EVENTS[: EVENTS.rindex(b"\n\n") + 2]
    assert all(piece.endswith(b"\n\n") for piece in passed if piece)
    assert b"".join(passed) + reader.finish() == EVENTS


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
def test_data_without_a_space_is_dropped(size: int) -> None:
    reader = SpacedData()
    passed = b"".join(reader.feed(EVENTS[at : at + size]) for at in range(0, len(EVENTS), size))
    assert passed + reader.finish() == b"data: a\n\ndata: c\r\n\r\n: note\n\n"


@pytest.mark.parametrize("kind", [WholeEvents, SpacedData])
def test_a_line_without_an_end_is_not_held_without_a_bound(kind: type[WholeEvents | SpacedData]) -> None:
    reader, piece = kind(), b"x" * 1_048_576
    for _ in range(2 * MOST_HELD // len(piece) + 1):
        reader.feed(piece)
    assert len(reader.finish()) <= MOST_HELD


def test_an_answer_without_an_end_is_not_held_without_a_bound() -> None:
    written: list[int] = []
    config = ProxyConfig(upstream="http://m", until_close=True)
    holder = Holder(config, lambda data: written.append(len(data)), compress=False)
    piece, count = b"x" * 1_048_576, 2 * MOST_HELD // 1_048_576 + 1
    for _ in range(count):
        holder.feed(piece)
    assert count * len(piece) - sum(written) <= MOST_HELD
    holder.finish()
    assert sum(written) == count * len(piece)


def test_a_proxy_that_reads_one_form_of_streams_only(mock: MockServer) -> None:
    prompt = "[[mock seed=3 tokens=4 ttft=0 itl=0 fault=no-space]]"
    with BufferingProxy(ProxyConfig(upstream=mock.url, spaced_data=True)) as proxy:
        assert b"data" not in exchange(proxy.url, request_bytes("json-string", prompt)).body
    with BufferingProxy(ProxyConfig(upstream=mock.url, whole_events=True)) as proxy:
        held = exchange(proxy.url, request_bytes("json-string", prompt.replace("no-space", "crlf")))
    assert (len(held.chunks), held.body.count(b"data: ")) == (1, 5)


def test_cut_after_idle(mock: MockServer, control: httpx.Client) -> None:
    stream_id = f"p-{uuid4().hex[:8]}"
    prompt = f"[[mock id={stream_id} tokens=6 ttft=0 itl=20ms fault=stall@3]]"
    with BufferingProxy(ProxyConfig(upstream=mock.url, cut_idle_ms=150)) as proxy:
        answer = exchange(proxy.url, request_bytes("json-string", prompt))
        assert (answer.whole, answer.end, len(answer.chunks)) == (False, "fin", 3)
        assert entry(control, stream_id)["end"] == "disconnected"
        steady_answer = exchange(proxy.url, request_bytes("json-string", "[[mock tokens=6 itl=60ms]]"))
        assert steady_answer.whole
        silent = exchange(proxy.url, request_bytes("json-string", "[[mock fault=no-answer]]"))
        assert silent.status == 502


@pytest.mark.parametrize(("on_break", "before"), [("error", b"\n\n"), ("glued", b"")])
def test_an_error_event_in_place_of_a_cut(mock: MockServer, on_break: Literal["error", "glued"], before: bytes) -> None:
    prompt = "[[mock seed=1 tokens=6 ttft=0 itl=0 fault=fin-mid-event:3]]"
    half = exchange(mock.url, request_bytes("json-string", prompt)).chunks
    with BufferingProxy(ProxyConfig(upstream=mock.url, on_break=on_break)) as proxy:
        answer = exchange(proxy.url, request_bytes("json-string", prompt))
    assert (answer.whole, answer.body) == (True, b"".join(half) + before + ERROR_EVENT)


def test_cut_after_so_long(mock: MockServer) -> None:
    with BufferingProxy(ProxyConfig(upstream=mock.url, cut_after_ms=100)) as proxy:
        answer = exchange(proxy.url, request_bytes("json-string", "[[mock script=endless ttft=0 itl=20ms]]"))
        assert (answer.status, answer.whole) == (200, False)
        assert exchange(proxy.url, request_bytes("json-string", "[[mock tokens=2 ttft=0 itl=0]]")).whole


@pytest.mark.parametrize(("fault", "asked"), [("status:500", 3), ("status:429", 3), ("status:400", 1)])
def test_a_refusal_is_asked_for_again(mock: MockServer, control: httpx.Client, fault: str, asked: int) -> None:
    stream_id = f"p-{uuid4().hex[:8]}"
    with BufferingProxy(ProxyConfig(upstream=mock.url, retries=2)) as proxy:
        answer = exchange(proxy.url, request_bytes("json-string", f"[[mock id={stream_id} fault={fault}]]"))
    assert answer.status == int(fault[-3:])
    assert len(control.get(f"/streams/{stream_id}", params={"wait": 5}).json()["streams"]) == asked


@pytest.mark.parametrize("knob", [{"on_break": "nonsense"}, {"retries": -1}, {"cut_after_ms": 0}])
def test_knobs_that_make_no_sense(knob: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ProxyConfig(upstream="http://m", **knob)


def test_garbage_behind_a_request_leaves_the_upstream(mock: MockServer, control: httpx.Client) -> None:
    stream_id = f"p-{uuid4().hex[:8]}"
    with BufferingProxy(ProxyConfig(upstream=mock.url)) as proxy, connect(proxy.url) as client:
        client.sendall(request_bytes("raw-text", f"[[mock id={stream_id} script=silent]]", headers=()))
        data = read_until(client, b"\r\n\r\n")
        client.sendall(b"\0\0\r\n\r\n")
        rest, how = read_to_end(client, data)
        assert (rest.count(b"HTTP/1.1 "), how) == (1, "fin")
        assert entry(control, stream_id)["end"] == "disconnected"


def test_an_endless_head_is_refused(mock: MockServer) -> None:
    with BufferingProxy(ProxyConfig(upstream=mock.url)) as proxy, connect(proxy.url) as client:
        client.sendall(b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 40_000)
        assert b" 431 " in read_until(client, b"\r\n")


HEADS = (b"GET /", b"GET / HTTP/1.1\r\nHost: m\r\nX: ", b"GET / HTTP/1.1\r\nHost: m\r\nX")
CHUNKED = b"POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("begin", [*HEADS, CHUNKED + b"1;", CHUNKED + b"1\r\na\r\n0\r\nX: "])
def test_a_line_of_a_request_that_never_ends_is_refused_before_it_is_kept(begin: bytes) -> None:
    reader, piece = RequestReader(lambda: None), b"y" * 1_460
    refusal, sent = reader.feed(begin, 0), 0
    while refusal is None:
        refusal = reader.feed(piece, 0)
        sent += len(piece)
        assert sent <= HEAD_LIMIT + len(piece)
    assert refusal.status in (400, 431)


def test_a_long_body_and_many_requests_have_no_line_that_never_ends() -> None:
    reader = RequestReader(lambda: None)
    post = b"POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    for at in range(0, len(post), 1_460):
        assert reader.feed(post[at : at + 1_460], 0) is None
    assert reader.take() is not None
    for _ in range(HEAD_LIMIT // 16):
        assert reader.feed(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n", 0) is None
        assert reader.take() is not None


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 "])
def test_a_line_of_an_upstream_that_never_ends_is_a_502(begin: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream, ThreadPoolExecutor() as threads:
        sent = threads.submit(_send_without_end, upstream, begin)
        with BufferingProxy(ProxyConfig(upstream=f"http://127.0.0.1:{upstream.getsockname()[1]}")) as proxy:
            assert HTTP.get(proxy.url).status_code == 502
        assert sent.result() < 64 * HEAD_LIMIT  # what the buffers of both sockets hold was sent as well


def _send_without_end(server: socket.socket, begin: bytes) -> int:
    """Sends a line to the first client until that has closed the connection; returns how many bytes."""
    client, _ = server.accept()
    with client:
        client.sendall(begin)
        for sent in range(0, 4_096 * HEAD_LIMIT, HEAD_LIMIT):
            try:
                client.sendall(b"y" * HEAD_LIMIT)
            except OSError:
                return sent
    return sent


@pytest.mark.parametrize(
    "wrong",
    [
        {"upstream": "ftp://x"},
        {"upstream": "x"},
        {"upstream": "http://x", "hold_ms": 0},
        {"upstream": "http://x", "port": 65_536},
        {"upstream": "http://x:65536"},
        {"upstream": "http://user:secret@x"},
        {"upstream": "https://user:secret@x"},
        {"upstream": "http://x/?key=secret"},
        {"upstream": "http://x/a b"},
        {"upstream": "http://x/\u00e9"},
        {"upstream": "http://\u00e9/"},
        {"upstream": "http://x", "key": "k\r\nX: y"},
        {"upstream": "http://x", "key": "k\u20ac"},
        {"upstream": "http://x", "key": ""},
    ],
)
def test_a_bad_knob_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"expected|out of range") as refused:
        BufferingProxy(ProxyConfig(**wrong))
    assert "secret" not in str(refused.value)
