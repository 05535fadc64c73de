"""The short way gives what the layers give."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from random import Random

import pytest

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.compose import ComposedStream, compose
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.dialects import openai_chat, openai_completions
from streamgauge.mock_provider.dialects.base import Dialect, Encoder
from streamgauge.mock_provider.directive import read_directive
from streamgauge.mock_provider.fast_path import AHEAD, CacheableEncoder, takes_fast_path
from streamgauge.mock_provider.http import Request
from streamgauge.mock_provider.plan import resolve
from streamgauge.mock_provider.stream import Action, Item
from streamgauge.mock_provider.text import KINDS


@dataclass
class Plainly:
    """An encoder of which nothing more is known."""

    inner: Encoder

    def encode(self, item: Item) -> bytes:
        return self.inner.encode(item)


CHAT = openai_chat.DIALECT
DIALECTS = [CHAT, openai_completions.DIALECT]


def streams(directive: str, *, dialect: Dialect = CHAT, usage: bool = False) -> Iterator[ComposedStream]:
    """The same stream for the short way and for the layers."""
    request = Request("POST", "/", "1.1", {}, b"", 0, 0, keep_alive=True)
    features = dialect.features | {"stream", "http/1.1", "lf"}
    plan = resolve(
        read_directive(f"[[mock id=s {directive}]]", {}),
        MockConfig(),
        features=features,
        dialect_heartbeat_ns=None,
        max_tokens=None,
    )
    ask = ChatRequest("hi", include_usage=usage)
    short = ComposedStream(request, dialect, ask, plan, dialect.encoder(ask, plan))
    assert isinstance(short.encoder, CacheableEncoder)
    assert takes_fast_path(plan)
    yield short
    yield replace(short, encoder=Plainly(dialect.encoder(ask, plan)))


def told(stream: ComposedStream) -> list[Action]:
    """All but the head, whose request id is fresh each time."""
    return list(islice(compose(stream).actions, 200))[1:]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("usage", [False, True])
@pytest.mark.parametrize("text", KINDS)
@pytest.mark.parametrize("tokens", [0, 1, AHEAD - 1, AHEAD, AHEAD + 1, 100])
def test_it_gives_what_the_layers_give(dialect: Dialect, text: str, tokens: int, usage: bool) -> None:
    seed = Random(tokens).randrange(1_000)
    short, layered = streams(f"tokens={tokens} text={text} seed={seed} finish=length", dialect=dialect, usage=usage)
    assert told(short) == told(layered)


def test_of_an_endless_stream_too() -> None:
    short, layered = streams("script=endless")
    assert told(short) == told(layered)


@pytest.mark.parametrize("bent", ["fault=bom", "tools=1", "reasoning=2", "answer=refusal", "script=silent"])
def test_what_bends_a_stream_goes_through_the_layers(bent: str) -> None:
    with pytest.raises(AssertionError):
        list(streams(bent))
