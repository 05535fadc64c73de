"""The event loop of the mock and the proxy."""

import asyncio
import sys


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's loop; on Windows, where uvloop does not exist, asyncio's."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # it can't be installed on Windows

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
