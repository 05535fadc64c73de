"""The two ways a TCP connection ends, each of them for certain."""

import asyncio
import contextlib
import os
import socket
import struct
import sys

# Closing with this set sends an RST and drops what is unsent (socket(7), SO_LINGER).
LINGER_ZERO = struct.pack("ii", 1, 0)


def reset_connection(transport: asyncio.Transport) -> None:
    """Close with an RST, dropping what is unsent."""
    handle = transport.get_extra_info("socket")
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    transport.abort()


def close_with_fin(transport: asyncio.Transport) -> None:
    """Close, FIN first: a bare close with unread bytes would send an RST instead."""
    handle = transport.get_extra_info("socket")
    if sys.platform != "win32":
        # The loop's own socket object can't shut down; a duplicate of its descriptor can.
        # OSError: the peer was faster.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(handle.fileno())) as duplicate:
            duplicate.shutdown(socket.SHUT_WR)
    transport.abort()
