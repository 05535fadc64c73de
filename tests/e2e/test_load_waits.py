"""Load against endpoints that make streams wait: nothing that waits is left out, and the reason is named."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import BufferingProxy, MockServer
from streamgauge.mock_provider.proxy import ProxyConfig
from tests.builders.ended import ended_well

Run = Callable[..., "CompletedProcess[str]"]
CHAT = "/v1/chat/completions"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a "}}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def manifest(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "run.json").read_text())
    return found


@pytest.mark.parametrize(("slots", "serial"), [(1, True), (2, False)])
def test_an_endpoint_that_serves_one_at_a_time_is_named(
    streamgauge: Run, tmp_path: Path, slots: int, serial: bool
) -> None:
    with MockServer(MockConfig(tokens=10, ttft="100ms", itl="20ms", slots=slots)) as server:
        done = streamgauge("load", server.url + CHAT, "--users", "10", "--duration", "6s", "--out", tmp_path)

    run = manifest(tmp_path)
    assert ended_well(done.returncode, done.stderr), done.stderr
    assert ("the endpoint serves one stream at a time" in done.stdout) is serial
    assert ("the endpoint serves one stream at a time" in (tmp_path / "report.md").read_text()) is serial
    assert (run["one_at_a_time"] is not None) is serial
    assert 95 < run["alone"]["ttft_ms"] < run["summary"]["ttft_ms"]["p50"] / 3
    if serial:
        assert run["one_at_a_time"]["overlapping"] == 0
        assert run["one_at_a_time"]["in_front"] > 4


class Hanging:
    """Answers the first `good` requests in 0.3 s each, side by side, and none after them."""

    def __init__(self, good: int) -> None:
        self._left = good
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._answer, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{CHAT}"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                self._left -= 1
                await asyncio.sleep(0.1 if self._left >= 0 else 3600)
                writer.write(HEAD)
                for _ in range(10):
                    writer.write(b"%x\r\n%s\r\n" % (len(EVENT), EVENT))
                    await asyncio.sleep(0.02)
                writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(LAST), LAST))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()
            answering = asyncio.all_tasks() - {asyncio.current_task()}
            for task in answering:
                task.cancel()
            await asyncio.gather(*answering, return_exceptions=True)
            await asyncio.sleep(0.1)  # the transports close in the turns after that

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def hanging() -> Iterator[str]:
    server = Hanging(good=8)
    yield server.url
    server.stop()


def test_an_endpoint_that_hangs_is_not_good(streamgauge: Run, tmp_path: Path, hanging: str) -> None:
    """The streams that hang never end, so they have no TTFT: they have waited at least until the run ended."""
    done = streamgauge(
        "load", hanging, "--users", "6", "--duration", "6s", "--slo", "ttft p95 < 1s", "--slo", "goodput > 90%",
        "--slo", "e2e p95 < 1h", "--out", tmp_path,
    )  # fmt: skip

    summary = manifest(tmp_path)["summary"]
    assert done.returncode == 1, done.stderr
    assert summary["streams"]["incomplete"] == 6
    assert summary["ttft_ms"]["cut"] == 6
    assert "p95" in summary["ttft_ms"]["at_least"]
    assert summary["longest_cut_wait_ms"] > 1_000
    assert [result["verdict"] for result in summary["slo_results"]] == ["missed", "missed", "undecided"]
    assert summary["goodput"] < 0.7
    assert "cut waits   6 streams without a token when cut" in done.stdout
    report = (tmp_path / "report.md").read_text()
    assert "≥" in report
    assert "6 streams had no token when cut" in report
    assert '<error message="undecided' in (tmp_path / "junit.xml").read_text()


def test_the_time_that_a_gateway_adds_is_the_paths(streamgauge: Run, tmp_path: Path, paced: str) -> None:
    with BufferingProxy(ProxyConfig(upstream=paced, hold_ms=80)) as gateway:
        done = streamgauge(
            "load", gateway.url + CHAT, "--users", "3", "--duration", "4s", "--mock", paced, "--out", tmp_path
        )

    truth = manifest(tmp_path)["truth"]
    assert ended_well(done.returncode, done.stderr), done.stderr
    assert truth["direct"] is False
    assert truth["ttft_error_ms"] is None
    assert truth["ttft_added_ms"]["p50"] > 10
    assert "added by the path" in done.stdout
    assert "reported - true" not in done.stdout
    assert "ttft added by the path, stream by stream" in (tmp_path / "report.md").read_text()
