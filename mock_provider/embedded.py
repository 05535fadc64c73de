"""A mock server or a buffering proxy inside another program: its own thread, its own event loop, a free port.

with MockServer(MockConfig(tokens=10, itl="0")) as mock, BufferingProxy(ProxyConfig(upstream=mock.url)) as proxy:
    httpx.get(f"{proxy.url}/health")
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.loop import new_event_loop
from streamgauge.mock_provider.proxy import Proxy, ProxyConfig
from streamgauge.mock_provider.server import Server

START_TIMEOUT_S = 10.0


class _Background:
    """Runs a server's start and stop in a thread; an error of the start is raised in the caller."""

    def __init__(self, name: str, start: Callable[[], Awaitable[str]], stop: Callable[[], Awaitable[None]]) -> None:
        self._start, self._stop = start, stop
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._finish: asyncio.Event | None = None
        self._error: BaseException | None = None
        self._url: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def url(self) -> str:
        """Base URL without a trailing slash; RuntimeError before the start."""
        if self._url is None:
            raise RuntimeError("not started: use `with`, or call start()")
        return self._url

    def start(self) -> None:
        """Return when the server accepts connections; OSError if the port cannot be bound."""
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise TimeoutError(f"no answer from the server's thread within {START_TIMEOUT_S} s")
        if self._error is not None:
            self._thread.join(START_TIMEOUT_S)  # its loop holds descriptors until it is closed
            raise self._error

    def stop(self) -> None:
        """Close every connection and the port; returns when the thread has ended."""
        if self._loop is not None and self._finish is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish.set)
        self._thread.join(START_TIMEOUT_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop, self._finish = asyncio.get_running_loop(), asyncio.Event()
        try:
            self._url = await self._start()
        except BaseException as error:
            self._error = error
            return
        finally:
            self._ready.set()
        await self._finish.wait()
        await self._stop()


class MockServer(_Background):
    """A mock provider in a thread; without a config, the defaults on a free loopback port."""

    def __init__(self, config: MockConfig | None = None) -> None:
        self.config = config if config is not None else MockConfig()
        self.server = Server(self.config)
        super().__init__("mock-provider", self.server.start, self.server.stop)


class BufferingProxy(_Background):
    """The buffering reverse proxy in a thread; with only an upstream it passes everything through at once."""

    def __init__(self, config: ProxyConfig) -> None:
        self.config = config
        proxy = Proxy(config)
        super().__init__("buffering-proxy", proxy.start, proxy.stop)
