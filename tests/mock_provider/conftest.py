"""One mock server for all tests that need no flags of their own."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@pytest.fixture(scope="session")
def mock() -> Iterator[MockServer]:
    with MockServer(MockConfig(tokens=6, ttft="0", itl="0")) as server:
        yield server


@pytest.fixture(scope="session")
def control(mock: MockServer) -> Iterator[httpx.Client]:
    headers = {"Content-Type": "application/json"}  # without it, the API changes nothing
    with httpx.Client(base_url=f"{mock.url}/_mock", headers=headers, verify=False, trust_env=False) as client:
        yield client


@pytest.fixture
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test whose client looks up another name than loopback's: telemetry, sign-in, a default host."""
    asked: list[str] = []
    look_up = socket.getaddrinfo

    def recorded(host: str | bytes | None, *args: Any, **kwargs: Any) -> Any:
        asked.append(str(host))
        return look_up(host if asked[-1] in LOOPBACK else "127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", recorded)
    yield
    assert set(asked) <= LOOPBACK
