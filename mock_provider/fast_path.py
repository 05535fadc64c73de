"""From texts to writes directly, for the streams of a load: plain text, one token an event, no faults.

It gives exactly the writes that the layers of `compose` give, at a third of their cost; a test compares them.
"""

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Protocol, TypeGuard, runtime_checkable

from streamgauge.mock_provider.answer import AnswerPlan, plain_texts
from streamgauge.mock_provider.dialects.base import Encoder
from streamgauge.mock_provider.http import chunk
from streamgauge.mock_provider.plan import Plan
from streamgauge.mock_provider.stream import Item, Kind, Write

# Tokens computed at a time: between two tokens come those of other streams, which empty the caches.
AHEAD = 16
_TOKEN = Kind.TOKEN


@runtime_checkable
class CacheableEncoder(Encoder, Protocol):
    """An encoder that gives the same bytes for the same text, and no bytes at OPEN and CLOSE."""

    def count_cached(self, size: int) -> None:
        """Count `size` tokens whose bytes come from the cache and not from `encode`, so that the usage is right."""


def is_cacheable(encoder: Encoder) -> TypeGuard[CacheableEncoder]:
    """Whether `encoder` is a CacheableEncoder."""
    return _is_cacheable(type(encoder))


@cache  # typing compares a class with a protocol member by member, which takes 20 µs
def _is_cacheable(kind: type[Encoder]) -> bool:
    return issubclass(kind, CacheableEncoder)


def takes_fast_path(plan: Plan) -> bool:
    """Whether an answer is only text, one token an event and a write, without faults."""
    plain = AnswerPlan(tools=plan.answer_plan.tools)
    whole = plan.tokens_per_event == plan.events_per_write == 1
    return whole and not plan.faults and plan.answer_plan == plain and plan.script in ("play", "endless", "lockstep")


def token_writes(plan: Plan, encoder: CacheableEncoder) -> Iterator[Write]:
    """The writes of the tokens of a chunked body."""
    texts = plain_texts(plan)
    known: dict[str, bytes] = {}
    token = 0
    while plan.tokens is None or token < plan.tokens:
        size = AHEAD if plan.tokens is None else min(AHEAD, plan.tokens - token)
        batch: list[Write] = []
        for text in islice(texts, size):
            data = known.get(text)
            if data is None:
                data = known[text] = chunk(encoder.encode(Item(_TOKEN, token, text, token)))
            else:
                encoder.count_cached(1)
            batch.append(Write(_TOKEN, token, data, token))
            token += 1
        yield from batch
