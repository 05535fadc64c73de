"""Faults alone and by twos, on streams of whatever can be said: nothing raises while they are composed."""

from itertools import product

import pytest

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.compose import ComposedStream, compose
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.dialects import DIALECTS
from streamgauge.mock_provider.dialects.gemini import ARRAY as GEMINI_ARRAY
from streamgauge.mock_provider.directive import DirectiveError, read_directive
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.faults import FAULTS
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import resolve
from streamgauge.mock_provider.stream import Action, Pause, Write
from tests.mock_provider.mock_wire import exchange, request_bytes

BY_NAME = {dialect.name: dialect for dialect in (*DIALECTS, GEMINI_ARRAY)}
REQUEST = Request("POST", "/", "1.1", {"accept-encoding": "gzip", "origin": "https://e.example"}, b"", 0, 0, True)
CONFIG = MockConfig(ttft="0", itl="0")
STREAMS = [
    ("openai-chat", "profile=mistral tokens=4"),
    ("openai-chat", "profile=openrouter reasoning=2 tools=2 tokens=4"),
    ("openai-completions", "tokens=4"),
    ("openai-responses", "reasoning=1 tools=1 tokens=3"),
    ("anthropic", "reasoning=1 tools=1 tokens=3"),
    ("gemini", "reasoning=1 tools=1 tokens=3"),
    ("gemini-array", "reasoning=1 tools=2 tokens=3"),
    ("ollama", "reasoning=1 tools=2 tokens=3"),
    ("ollama-generate", "reasoning=1 tokens=3"),
    ("cohere", "reasoning=1 tools=1 tokens=3"),
    ("raw-text", "tokens=4"),
]


def actions(name: str, words: str, *faults: str) -> list[Action]:
    dialect = BY_NAME[name]
    ask = ChatRequest(f"[[mock id=t {words} fault={','.join(faults)}]]", include_usage=True)
    plan = resolve(
        read_directive(ask.prompt, {}),
        CONFIG,
        features=dialect.features | {"stream", "http/1.1"} | ({"lf"} if dialect.newline == b"\n" else set()),
        dialect_heartbeat_ns=None,
        max_tokens=None,
    )
    return list(compose(ComposedStream(REQUEST, dialect, ask, plan, dialect.encoder(ask, plan))).actions)


def is_shown(name: str, words: str, fault: str) -> bool:
    try:
        actions(name, words, fault)
    except DirectiveError:
        return False
    return True


@pytest.mark.parametrize(("name", "words"), STREAMS, ids=[f"{name} {words}" for name, words in STREAMS])
def test_no_fault_upsets_a_stream_or_another_fault(name: str, words: str) -> None:
    shown = [fault for fault in FAULTS.values() if not fault.server_wide and is_shown(name, words, fault.name)]
    # A head, a connection and a status know nothing of what the body says.
    said = [fault.name for fault in shown if fault.items or fault.events or fault.line or fault.body]
    for pair in product(said, repeat=2):
        assert any(isinstance(action, Write) for action in actions(name, words, *pair)), pair


def body(words: str, *faults: str) -> list[bytes]:
    """The writes of a stream after its head, which has a random request id."""
    return [one.data for one in actions("openai-chat", words, *faults) if isinstance(one, Write)][1:]


def test_a_fault_without_an_argument_comes_once() -> None:
    once = body("tokens=2", "double-terminal")
    assert body("tokens=2", *["double-terminal"] * 20) == once
    pauses = [one for one in actions("openai-chat", "tokens=4", "stall:1ms@1", "stall:2ms@2") if isinstance(one, Pause)]
    assert [pause.duration_ns for pause in pauses] == [1_000_000, 2_000_000]


def test_a_fault_of_the_server_and_of_the_directive_comes_once() -> None:
    with MockServer(MockConfig(tokens=2, ttft="0", itl="0", faults=("crlf",))) as server:
        data = exchange(server.url, request_bytes("raw-text", "[[mock fault=crlf]]")).body
    assert b"\r\n" in data
    assert b"\r\r\n" not in data
