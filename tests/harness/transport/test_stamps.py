"""Arrival stamps from the kernel, on a real loopback connection."""

import select
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from streamgauge.transport import stamps

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps arrivals")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    stamps.prime()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with ours, theirs:
        yield ours, theirs


@linux
def test_a_stamp_is_the_arrival_and_not_the_read(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert stamps.enable(ours)
    before = time.time_ns()
    theirs.sendall(b"x")
    select.select([ours], [], [], 10)
    arrived = time.time_ns()
    data, read = stamps.receive(ours)

    assert data == b"x"
    assert read.stamped
    assert before <= read.t_ns <= arrived <= read.user_ns


@linux
def test_stamps_never_go_back_and_are_never_after_the_read(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    stamps.enable(ours)
    reads = []
    for _ in range(200):
        theirs.sendall(b"x" * 100)
        reads.append(stamps.receive(ours)[1])

    assert all(read.stamped for read in reads)
    assert all(read.t_ns <= read.user_ns for read in reads)
    assert [read.t_ns for read in reads] == sorted(read.t_ns for read in reads)
    assert {read.size for read in reads} == {100}


def test_without_a_stamp_the_read_has_the_user_s_time_and_says_so(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    before = time.time_ns()
    theirs.sendall(b"x")
    _, read = stamps.receive(ours)
    assert not read.stamped
    assert before <= read.t_ns == read.user_ns <= time.time_ns()


def test_the_end_of_the_connection_is_empty_bytes(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    stamps.enable(ours)
    theirs.close()
    data, read = stamps.receive(ours)
    assert (data, read.size, read.stamped) == (b"", 0, False)


def test_a_socket_that_cannot_be_stamped_is_told() -> None:
    closed = socket.socket()
    closed.close()
    assert not stamps.enable(closed)


def test_priming_twice_is_harmless() -> None:
    stamps.prime()
    stamps.prime()
