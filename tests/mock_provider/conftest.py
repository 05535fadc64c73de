"""One mock server for all tests that need no flags of their own."""

from collections.abc import Iterator

import httpx
import pytest

from mock_provider.config import MockConfig
from mock_provider.embedded import MockServer


@pytest.fixture(scope="session")
def mock() -> Iterator[MockServer]:
    with MockServer(MockConfig(tokens=6, ttft="0", itl="0")) as server:
        yield server


@pytest.fixture(scope="session")
def control(mock: MockServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{mock.url}/_mock") as client:
        yield client
