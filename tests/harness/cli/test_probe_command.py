"""`streamgauge probe`: what it says of streams without an end marker, and what it shows of the wire."""

import json
import re

import pytest
from typer.testing import CliRunner

from streamgauge.cli import app
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from tests.builders.echoing import EchoingServer
from tests.builders.h2_server import H2Server
from tests.builders.tapes import chunk, head


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--no-end-marker",), 0)])
def test_a_missing_end_marker_is_excused_only_by_the_users_word(options: tuple[str, ...], code: int) -> None:
    with MockServer(MockConfig(tokens=4, ttft="1ms", itl="1ms", faults=("no-terminal",))) as mock:
        result = CliRunner().invoke(app(), ["probe", f"{mock.url}/v1/chat/completions", *options])
    assert result.exit_code == code
    assert ("--no-end-marker accepts" in result.output) is (code == 1)


KEY = "sk-abcdef0123456789"
PIECES = [KEY[at : at + 3] for at in range(0, len(KEY), 3)]
EVENTS = [
    *(b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % piece.encode() for piece in PIECES),
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]


def test_the_wire_shows_no_key_that_is_scattered_over_events_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [head("Content-Type: text/event-stream", "Transfer-Encoding: chunked", "Connection: close")]
    with EchoingServer([*answer, *map(chunk, EVENTS), chunk(b"")]) as server:
        output = _wire(f"http://127.0.0.1:{server.port}/v1/chat/completions", monkeypatch)

    assert output.count('"content":"***"') == len(PIECES)
    assert not _contents(output) & set(PIECES)
    assert "first token '***'" in " ".join(output.split())


def test_the_wire_shows_no_key_that_is_scattered_over_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each DATA frame ends in the middle of a piece; the head repeats the key in Huffman codes."""

    def answer(server: H2Server, stream: int) -> None:
        server.h2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream"), ("x-echo", KEY)])
        body = b"".join(EVENTS)
        for at in range(0, len(body), 7):
            server.h2.send_data(stream, body[at : at + 7], end_stream=at + 7 >= len(body))
        server.flush()

    with H2Server(answer) as server:
        output = _wire(server.url, monkeypatch, "--http2")

    shown = re.sub(r"[\d.,]+ m?s\b", "", output)  # a time can hold the digits of a piece
    for piece in PIECES[:-1]:
        assert piece not in shown
    assert output.count("***") >= len(PIECES) + 1


def _wire(url: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    monkeypatch.setenv("OUR_KEY", KEY)
    return CliRunner().invoke(app(), ["probe", url, "--show-wire", "--api-key-env", "OUR_KEY", *options]).output


def _contents(output: str) -> set[str]:
    lines = [line.removeprefix("data: ") for line in output.splitlines() if line.startswith("data: {")]
    return {json.loads(line)["choices"][0]["delta"].get("content", "") for line in lines}
