"""Close a TCP connection with exactly an RST or exactly a FIN."""

import asyncio
import contextlib
import os
import socket
import struct
import sys

# With this value of SO_LINGER, close sends an RST and drops unsent bytes (socket(7)).
LINGER_ZERO = struct.pack("ii", 1, 0)


def reset_connection(transport: asyncio.Transport) -> None:
    """Close with an RST, and drop unsent bytes."""
    handle = transport.get_extra_info("socket")
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    transport.abort()


def close_with_fin(transport: asyncio.Transport) -> None:
    """Close with a FIN, sent by shutdown, because a close with unread bytes sends an RST (RFC 2525 section 2.17)."""
    handle = transport.get_extra_info("socket")
    if sys.platform != "win32":
        # By a duplicate of the descriptor, because the loop's socket object has no shutdown.
        # OSError: the peer has closed first.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(handle.fileno())) as duplicate:
            duplicate.shutdown(socket.SHUT_WR)
    transport.abort()
