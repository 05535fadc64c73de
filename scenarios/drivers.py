"""Which driver waits for the sockets of this process."""

from streamgauge.scenarios.epoll_driver import epoll_driver
from streamgauge.scenarios.native_driver import native_driver
from streamgauge.transport.exchange import Driver
from streamgauge.transport.native import WHY_NOT


def reader_in_words() -> str:
    """What reads the sockets of this process, for its records."""
    native = native_driver()
    return f"Python ({WHY_NOT})" if native is None else f"native, {native.priority}"


def driver() -> Driver:
    """The native reader where it is available, else the one in pure Python."""
    return native_driver() or epoll_driver()
