"""Arrival stamps from the Linux kernel (SO_TIMESTAMPNS), so that a busy client does not report its own delay.

The kernel stamps each segment as it arrives (CLOCK_REALTIME) and hands the stamp out beside the data. `recvmsg` on a
TCP socket returns the stamp of the last segment it took from; see socket(7) and timestamping.rst section 1.1.
"""

import socket
import struct
import sys
import time
from typing import Final

from streamgauge.wire import Read

# Not in the socket module. 35 is SO_TIMESTAMPNS_OLD, whose stamp is two 64-bit words on every 64-bit Linux.
SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@qq")
ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0
# struct tcp_info of linux/tcp.h: eight bytes, then 32-bit words, of which the 16th is the smoothed round trip in µs.
_RTT: Final = struct.Struct("@8x60xI")
# Looked up for every token.
_unpack: Final = _TIMESPEC.unpack
_TIMESPEC_BYTES: Final = _TIMESPEC.size
_SOL_SOCKET: Final = socket.SOL_SOCKET
_new: Final = tuple.__new__  # a named tuple's own takes three times as long
_SUPPORTED: Final = sys.platform == "linux" and sys.maxsize > 2**32

RECV_BYTES: Final = 64 * 1024

_keeper: int | None = None


def enable(sock: socket.socket) -> bool:
    """Ask the kernel to stamp this socket's arrivals; False where it cannot."""
    if not _SUPPORTED:
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def handshake_ns(sock: socket.socket) -> int | None:
    """The round trip of a new connection's TCP handshake as the kernel measured it; None where it does not say."""
    if not _SUPPORTED:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT.size)
    except OSError:
        return None
    return _RTT.unpack(info)[0] * 1_000 if len(info) == _RTT.size else None


def prime() -> None:
    """Turn stamping on in the kernel before the first stream needs it.

    The kernel does so by deferred work when the first socket asks, and off again when the last one is gone; the first
    segments after that carry no stamp. One socket kept open for the life of the process avoids it.
    """
    global _keeper
    if _keeper is None and _SUPPORTED:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        enable(sock)
        _keeper = sock.detach()  # a bare descriptor: nobody is to close it, and nothing is to warn of that at exit


def receive(sock: socket.socket) -> tuple[bytes, Read]:
    """One `recvmsg` and its read. Empty bytes mean the peer has closed. Raises what the socket raises."""
    data, ancillary, _, _ = sock.recvmsg(RECV_BYTES, ANCILLARY_BYTES)
    return data, read_of(data, ancillary, time.time_ns())


def read_of(data: bytes, ancillary: list[tuple[int, int, bytes]], user_ns: int) -> Read:
    """The read that a `recvmsg` at `user_ns` was."""
    for level, kind, value in ancillary:
        if kind == SO_TIMESTAMPNS and level == _SOL_SOCKET and len(value) == _TIMESPEC_BYTES:
            seconds, nanoseconds = _unpack(value)
            stamp = seconds * 1_000_000_000 + nanoseconds
            # A clock set between arrival and read could put the stamp into the future; then it is of no use.
            if stamp <= user_ns:
                return _new(Read, (stamp, user_ns, len(data), True))
    return Read(user_ns, user_ns, len(data), stamped=False)
