"""The client of a mock's control API, against a mock."""

import pytest

from streamgauge import secrets
from streamgauge.endpoint.mock_ledger import TOKEN_ENV, MockControl
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure, UsageError
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer

TOKEN = "open-sesame-1234"


def control_of(server: MockServer) -> MockControl:
    return MockControl.of(Target(url=f"{server.url}/v1/chat/completions", mock=server.url))


def test_a_mock_with_a_token_is_asked_with_the_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with MockServer(MockConfig(control_token=TOKEN)) as server:
        monkeypatch.delenv(TOKEN_ENV, raising=False)
        with control_of(server) as control, pytest.raises(CannotMeasure, match="needs Authorization"):
            control.recent()
        monkeypatch.setenv(TOKEN_ENV, TOKEN)
        with control_of(server) as control:
            assert control.recent() == []
            control.release("x", 1)  # a change needs the type JSON as well
            with control.refusing(0.1):
                pass
    assert TOKEN not in secrets.hide(f"the token is {TOKEN}")


def test_a_token_that_cannot_stand_in_a_header_is_refused_unquoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_ENV, f"{TOKEN}\n")
    with MockServer() as server, pytest.raises(UsageError, match="line break") as refused:
        control_of(server)
    assert TOKEN not in str(refused.value)
