"""Which driver waits for the sockets of this process."""

from streamgauge.scenarios.epoll_driver import epoll_driver
from streamgauge.scenarios.native_driver import native_driver
from streamgauge.transport.exchange import Driver


def driver() -> Driver:
    """The native reader where it is available, else the one in pure Python."""
    return native_driver() or epoll_driver()
