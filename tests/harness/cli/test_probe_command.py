"""`streamgauge probe`: what it says of streams without an end marker."""

import pytest
from typer.testing import CliRunner

from streamgauge.cli import app
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--no-end-marker",), 0)])
def test_a_missing_end_marker_is_excused_only_by_the_users_word(options: tuple[str, ...], code: int) -> None:
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms", faults=("no-terminal",))) as mock:
        result = CliRunner().invoke(app(), ["probe", f"{mock.url}/v1/chat/completions", *options])
    assert result.exit_code == code
    assert ("--no-end-marker accepts" in result.output) is (code == 1)
