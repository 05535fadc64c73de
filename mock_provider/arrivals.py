"""The kernel's stamp of when the bytes of a request arrived, because a busy server reads them later.

A client measures from its own sending. If the ledger counted from the read, then the server's queue would look like a
delay of the client. The loop's transports drop the stamp (SO_TIMESTAMPNS, see socket(7)), so TCP connections without
TLS are read here, past the transport, which still writes and closes.
"""

import asyncio
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Final

# Missing in the socket module. 35 is SO_TIMESTAMPNS_OLD, whose stamp is two 64-bit words on 64-bit Linux.
_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@qq")
READ_BYTES: Final = 64 * 1024
# The transport starts to read before it can be paused; this low-water mark keeps it from waking for a request.
_NOT_YET: Final = 32 * 1024
_SUPPORTED: Final = sys.platform == "linux" and sys.maxsize > 2**32


def stamp(listener: socket.socket) -> None:
    """Make the kernel stamp all bytes that arrive on connections of `listener`."""
    if _SUPPORTED and listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


class Arrivals:
    """Reads one connection. `received` gets bytes and their arrival (epoch ns), `ended` None for a FIN or the error.

    A read has the stamp of its last segment, so `read_bytes` says how many bytes may share one.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        received: Callable[[bytes, int], None],
        ended: Callable[[OSError | None], None],
        read_bytes: int = READ_BYTES,
    ) -> None:
        self._transport = transport
        self._read_bytes = read_bytes
        self._received, self._ended = received, ended
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        own = transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _NOT_YET)
        self._loop.call_soon(self._take_over, own)

    @staticmethod
    def possible(transport: asyncio.Transport) -> bool:
        """Whether the kernel stamps this connection, and it carries no TLS, which must be read by its transport."""
        own = transport.get_extra_info("socket")
        return (
            _SUPPORTED
            and transport.get_extra_info("sslcontext") is None
            and own.family in (socket.AF_INET, socket.AF_INET6)
            and bool(own.getsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS))
        )

    def stop(self) -> None:
        """Stop reading; a second call does nothing."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _take_over(self, own: socket.socket) -> None:
        if self._transport.is_closing():
            return
        try:
            # A duplicate, because the loop allows one reader for each descriptor, and the transport is that reader.
            duplicate = os.dup(own.fileno())
        except OSError:  # no descriptor is left: the transport reads, and stamps are late
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            return
        self._transport.pause_reading()
        self._socket = socket.socket(fileno=duplicate)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._loop.add_reader(self._socket, self._read)

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data, ancillary, _, _ = self._socket.recvmsg(self._read_bytes, socket.CMSG_SPACE(_TIMESPEC.size))
        except BlockingIOError:
            return
        except OSError as error:
            self.stop()
            self._ended(error)
            return
        if not data:
            self.stop()
            self._ended(None)
            return
        now_ns = time.time_ns()
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(value) >= _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack_from(value)
                # min: a clock that was set back in between would put the stamp into the future.
                now_ns = min(now_ns, seconds * 1_000_000_000 + nanoseconds)
        self._received(data, now_ns)
