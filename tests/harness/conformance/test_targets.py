"""Files of targets for `check`."""

from pathlib import Path

import pytest

from streamgauge.conformance.targets import load_targets
from streamgauge.errors import UsageError

SEVERAL = """
mock = "http://127.0.0.1:9000"
headers = { X-Team = "core" }

[[target]]
name = "relay"
url = "http://relay/chat"
dialect = "token-done"
public = true

[[target]]
url = "http://gateway/v1/chat/completions"
mock = "http://127.0.0.1:9001"
headers = { api-key = "${GATEWAY_KEY}" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "targets.toml"


def test_several_targets_share_what_is_above_them(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "k-123")
    file.write_text(SEVERAL)

    relay, gateway = load_targets(file)

    assert (relay.label, relay.public, relay.dialect, relay.line) == ("relay", True, "token-done", 5)
    assert relay.names == ("relay", "http://relay/chat")
    assert (relay.mock, gateway.mock) == ("http://127.0.0.1:9000", "http://127.0.0.1:9001")
    assert gateway.label == "http://gateway/v1/chat/completions"
    assert gateway.headers == {"X-Team": "core", "api-key": "k-123"}
    assert gateway.line == 11
    assert gateway.file == file.as_posix()
    monkeypatch.chdir(file.parent)
    assert load_targets(file)[0].file == "targets.toml"


def test_a_file_of_one_target(file: Path) -> None:
    file.write_text('url = "http://relay/chat"\nmethod = "POST"\n')

    (only,) = load_targets(file)

    assert (only.url, only.method, only.line) == ("http://relay/chat", "POST", 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('url = "http://a/"\nheaders = { Authorization = "Bearer sk-1" }', "the header Authorization looks like"),
        ('url = "http://user:pass@a/"', "the URL holds a secret"),
        ('url = "http://a/?api_key=123"', "the URL holds a secret"),
        ('url = "http://a/"\nheaders = { X = "${NOT_SET_ANYWHERE}" }', "NOT_SET_ANYWHERE is not set"),
        ('url = "http://a/"\nheader = "x"', "unknown field `header`"),
        ('url = "http://a/"\nfile = "x"', "unknown field `file`"),
        ('[[target]]\nurl = "http://a/"\n[[target]]\nname = "b"', "line 3: .*`url`"),
        ('[[target]]\nurl = "http://a/"\n[[target]]\nurl = "http://a/"', "two targets are called http://a/"),
        ("target = []", "not a list of tables"),
        ("nonsense", "is not usable"),
    ],
)
def test_what_a_file_may_not_say(file: Path, text: str, told: str) -> None:
    """Above all no key: such files are committed."""
    file.write_text(text)

    with pytest.raises(UsageError, match=told) as refused:
        load_targets(file)

    assert "sk-1" not in refused.value.message + (refused.value.hint or "")
