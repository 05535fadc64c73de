"""Streams as the mock composes them, a write each, without a server."""

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.compose import ComposedStream, compose
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.dialects import DIALECTS
from streamgauge.mock_provider.directive import read_directive
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import resolve
from streamgauge.mock_provider.stream import Write

BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
_REQUEST = Request("POST", "/", "1.1", {}, b"", 0, 0, keep_alive=True)


def writes(dialect_name: str, directive: str) -> list[bytes]:
    """The writes of one response: its head, one chunk an event, and the last chunk."""
    dialect = BY_NAME[dialect_name]
    ask = ChatRequest(f"[[mock id=t {directive}]]", include_usage=True)
    plan = resolve(
        read_directive(ask.prompt, {}),
        MockConfig(ttft="0", itl="0"),
        features=dialect.features | {"stream", "http/1.1"} | ({"lf"} if dialect.newline == b"\n" else set()),
        dialect_heartbeat_ns=None,
        max_tokens=None,
    )
    composition = compose(ComposedStream(_REQUEST, dialect, ask, plan, dialect.encoder(ask, plan)))
    return [action.data for action in composition.actions if isinstance(action, Write)]
