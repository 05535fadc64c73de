"""Arrival stamps from the Linux kernel (SO_TIMESTAMPNS), so that a busy client does not report its own delay.

The kernel stamps each segment as it arrives (CLOCK_REALTIME) and returns the stamp as ancillary data. When several
segments wait in a TCP socket, one `recvmsg` returns them with the stamp of the last; see socket(7) and timestamping.rst
section 1.1. That is the residual error of a stamp, and the client lag bounds it.
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
# struct tcp_info of linux/tcp.h: eight bytes, then 32-bit words. The 16th word is the smoothed round trip in µs.
_RTT: Final = struct.Struct("@8x60xI")
# Module globals instead of attributes, because every token needs them.
_unpack: Final = _TIMESPEC.unpack
_TIMESPEC_BYTES: Final = _TIMESPEC.size
_SOL_SOCKET: Final = socket.SOL_SOCKET
_new: Final = tuple.__new__  # a named tuple's own constructor takes three times as long
_SUPPORTED: Final = sys.platform == "linux" and sys.maxsize > 2**32

RECV_BYTES: Final = 64 * 1024

_keeper: int | None = None


def enable(sock: socket.socket) -> bool:
    """Ask the kernel to stamp the segments that this socket receives; False where it cannot."""
    if not _SUPPORTED:
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def handshake_ns(sock: socket.socket) -> int | None:
    """The round trip of a new connection's TCP handshake, measured by the kernel; None where that is not available."""
    if not _SUPPORTED:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT.size)
    except OSError:
        return None
    return _RTT.unpack(info)[0] * 1_000 if len(info) == _RTT.size else None


def prime() -> None:
    """Turn stamping on in the kernel before the first stream needs it.

    The kernel turns stamping on by deferred work when the first socket asks for it, and off again when the last such
    socket is closed. The first segments after that carry no stamp. So one socket stays open as long as the process.
    """
    global _keeper
    if _keeper is None and _SUPPORTED:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        enable(sock)
        _keeper = sock.detach()  # a bare descriptor: Python would close a socket object at exit, and warn about it


def receive(sock: socket.socket) -> tuple[bytes, Read]:
    """One `recvmsg` and its read. Empty bytes mean the peer has closed. Raises what the socket raises."""
    data, ancillary, _, _ = sock.recvmsg(RECV_BYTES, ANCILLARY_BYTES)
    return data, read_of(data, ancillary, time.time_ns())


def read_of(data: bytes, ancillary: list[tuple[int, int, bytes]], user_ns: int, empty_ns: int | None = None) -> Read:
    """The Read for a `recvmsg` that returned at `user_ns`, from a socket that was empty at `empty_ns`."""
    for level, kind, value in ancillary:
        if kind == SO_TIMESTAMPNS and level == _SOL_SOCKET and len(value) == _TIMESPEC_BYTES:
            seconds, nanoseconds = _unpack(value)
            stamp = seconds * 1_000_000_000 + nanoseconds
            # When the clock is set back between arrival and read, the stamp lies in the future and is useless.
            if stamp <= user_ns:
                return _new(Read, (stamp, user_ns, len(data), True, empty_ns))
    return Read(user_ns, user_ns, len(data), stamped=False, empty_ns=empty_ns)
