"""The event loop everything here runs on."""

import asyncio
import sys


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it exists, asyncio's own on Windows."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # it can't be installed on Windows

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
