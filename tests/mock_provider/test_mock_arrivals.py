"""The arrival of a request is when the kernel got it, not when a busy server came to read it."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.mock_provider.arrivals_bench import Bench
from tests.mock_provider.mock_wire import HTTP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what arrives")


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_bytes_are_stamped_when_they_arrive_and_not_when_they_are_read(bench: Bench) -> None:
    """From the first ones on, which came before the connection was accepted."""
    for number in range(3):
        bench.client.sendall(b"%d" % number)
        time.sleep(0.05)  # the loop is busy elsewhere
        resumed_ns = time.time_ns()
        bench.until(lambda number=number: len(bench.reader.got) > number)

        data, at_ns = bench.reader.got[number]
        assert data == b"%d" % number
        assert at_ns < resumed_ns
    assert bench.reader.unstamped == []


def test_a_fin_is_an_end_without_an_error(bench: Bench) -> None:
    """And what came before it is delivered."""
    bench.client.sendall(b"last")
    bench.client.shutdown(socket.SHUT_WR)
    bench.until(lambda: bench.reader.ends or bench.reader.unstamped)

    assert b"".join(data for data, _ in bench.reader.got) + b"".join(bench.reader.unstamped) == b"last"
    assert bench.reader.ends in ([None], [])


def test_an_rst_is_an_end_with_one(bench: Bench) -> None:
    """The ledger tells them apart."""
    bench.client.sendall(b"x")
    bench.until(lambda: bench.reader.got)
    bench.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    bench.client.close()
    bench.until(lambda: bench.reader.ends)

    assert isinstance(bench.reader.ends[0], ConnectionResetError)


def test_the_ledger_has_that_arrival() -> None:
    """Loopback delivers before the sender's call returns, however late the server reads."""
    with MockServer(MockConfig(tokens=1, ttft="1ms", itl="1ms")) as mock:
        host, port = mock.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            body = b'{"messages":[{"role":"user","content":"x"}],"stream":true}'
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nContent-Length: %d\r\n\r\n" % len(body)
            before_ns = time.time_ns()
            client.sendall(head + body)
            sent_ns = time.time_ns()
            while b"[DONE]" not in client.recv(65536):
                pass
        (entry,) = HTTP.get(f"{mock.url}/_mock/streams").json()["streams"]

    assert before_ns <= entry["arrival_ns"] <= sent_ns


def test_without_a_descriptor_to_spare_a_request_is_read_all_the_same() -> None:
    """In a process of its own, whose limit leaves room for the connection alone."""
    code = """
import os, resource
from tests.mock_provider.arrivals_bench import Bench
bench = Bench()
free = [os.dup(0) for _ in range(4)]
for one in free:
    os.close(one)
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (free[3], most))  # two are the loop's own while it runs
bench.client.sendall(b"read")
bench.until(lambda: bench.reader.unstamped)
print(bench.reader.unstamped, bench.reader.got)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "[b'read'] []\n", done.stderr
