"""The command `clients` as its user runs it, on the mock and on saved bodies."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streamgauge.cli import app
from streamgauge.conformance.matrix import ClientVerdict
from streamgauge.errors import CannotMeasure, ExitCode, UsageError
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer

BODY = b'data: {"token":"Hel","done":false}\n\ndata: {"token":"","done":true}\n\n'


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms")) as server:
        yield server.url


def clients(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app(), ["clients", *map(str, arguments)], input=stdin)


@pytest.mark.parametrize(
    ("path", "client"),
    [
        ("/v1/chat/completions", "openai-python raw"),
        ("/v1/completions", "openai-python raw"),
        ("/v1/completions", "go-openai"),
        ("/v1/responses", "openai-node raw"),
        ("/v1/messages", "anthropic-python raw"),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", "genai-python raw"),
        ("/api/chat", "ollama-python raw"),
    ],
)
def test_a_clean_stream_of_each_vendor_passes(mock: str, path: str, client: str, tmp_path: Path) -> None:
    done = clients(mock + path, "--json", tmp_path / "m.json")

    assert done.exit_code == ExitCode.OK, done.output
    rows = {row["client"]: row for row in json.loads((tmp_path / "m.json").read_text())["rows"]}
    assert rows[client]["result"]["verdict"] == ClientVerdict.READS


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("bom", ["loses data", "event 1 of", "byte 0  <U+FEFF>data: {"]),
        ("raw-separators", ["httpx iter_lines", "JSONDecodeError: Unterminated string"]),
        ("no-terminal", ["all: ends as if all were well: it does not miss the end marker (data: [DONE])"]),
    ],
)
def test_what_a_fault_of_the_mock_does_to_them(mock: str, fault: str, told: list[str]) -> None:
    done = clients(f"{mock}/v1/chat/completions", "--prompt", f"hi [[mock fault={fault}]]")

    assert done.exit_code == (ExitCode.FAILED if fault == "bom" else ExitCode.OK)
    assert [text for text in told if text not in done.output] == []


def test_the_key_is_masked_where_the_endpoint_repeats_it(mock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "chat.completion.chunk")
    done = clients(f"{mock}/v1/chat/completions", "--api-key-env", "KEY", "--prompt", "hi [[mock fault=bom]]")
    assert '"object":"***"' in done.output
    assert "chat.completion.chunk" not in done.output


def test_a_saved_body_and_one_on_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "body.sse"
    file.write_bytes(BODY.replace(b"\n", b"\r\n"))
    saved, piped = clients("--file", file), clients("--file", "-", stdin=file.read_bytes())

    assert saved.exit_code == piped.exit_code == ExitCode.OK
    assert "loses data" in saved.output
    assert saved.output.replace(str(file), "") == piped.output.replace("standard input", "")


def test_the_dialect_of_a_saved_body_can_be_said(tmp_path: Path) -> None:
    file = tmp_path / "body.sse"
    file.write_bytes(b"data: Hello\n\n")
    assert "openai-python raw" not in clients("--file", file).output.split("not for it")[0]
    assert "JSONDecodeError" in clients("--file", file, "--dialect", "openai-chat").output


@pytest.mark.parametrize("arguments", [(), ("http://x/", "--file", "body.sse"), ("--file", "absent.sse")])
def test_what_cannot_be_asked(arguments: tuple[str, ...]) -> None:
    assert isinstance(clients(*arguments).exception, UsageError)


@pytest.mark.parametrize("body", [b"", b"\n\n", b'{"error":"no"}', b": only a comment\n\n"])
def test_what_holds_no_stream(body: bytes) -> None:
    assert isinstance(clients("--file", "-", stdin=body).exception, CannotMeasure)


def test_a_stream_that_none_of_them_is_for(mock: str) -> None:
    done = clients(f"{mock}/plain", "--dialect", "plain-text")
    assert isinstance(done.exception, CannotMeasure), done.output
    assert "reads event streams" in done.output


def test_check_replays_what_it_has_seen(tmp_path: Path) -> None:
    file = tmp_path / "checks.json"
    with MockServer(MockConfig(tokens=8, ttft="1ms", itl="1ms", faults=("raw-separators",))) as server:
        url = f"{server.url}/v1/chat/completions"
        asked = [url, "--mock", server.url, "--clients", "--only", "framing.no-bom", "--json", str(file)]
        done = CliRunner().invoke(app(), ["check", *asked])

    assert done.exit_code == ExitCode.OK, done.output
    assert f"clients  {url}" in done.output
    matrix = json.loads(file.read_text())["targets"][0]["checks"]["clients"]
    verdicts = {row["client"]: row["result"]["verdict"] for row in matrix["rows"]}
    assert (verdicts["openai-python raw"], verdicts["httpx iter_lines"]) == (ClientVerdict.READS, ClientVerdict.RAISES)
