"""Which driver waits for the sockets of this process, and the clients over it."""

from functools import partial

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.target import Target
from streamgauge.scenarios.epoll_driver import epoll_driver
from streamgauge.scenarios.http2_lines import SharedTransport, lines
from streamgauge.scenarios.native_driver import native_driver
from streamgauge.transport.exchange import Driver
from streamgauge.transport.memory import UNDER_LOAD
from streamgauge.transport.native import WHY_NOT


def reader_in_words() -> str:
    """What reads the sockets of this process, for its records."""
    native = native_driver()
    return f"Python ({WHY_NOT})" if native is None else f"native, {native.priority}"


def driver() -> Driver:
    """The native reader where it is available, else the one in pure Python."""
    return native_driver() or epoll_driver()


def client_for(target: Target, connections: int | None) -> StreamClient:
    """A client of its own connection, or one that shares `connections` HTTP/2 connections with all others."""
    if connections is None:
        return StreamClient.to(target, driver=driver(), memory=UNDER_LOAD)
    return StreamClient.to(target, kind=partial(SharedTransport, lines(connections)), memory=UNDER_LOAD)
