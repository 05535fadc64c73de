"""What the mock received in a request for an answer, as its ledger tells it. Values only."""

import msgspec

from streamgauge.protocol.numbers import Count


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message: its role, its length, the start of its text, and a hash of all of it (16 hex digits of SHA-256)."""

    role: str
    characters: Count
    sha256: str
    text: str


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """`max_tokens` is the limit of the answer's length under any vendor's name; None where the request had none.

    `messages` are all `message_count` messages, or the first 10 and the last 40 of more than 50.
    """

    model: str | None = None
    stream: bool | None = None
    include_usage: bool = False
    max_tokens: Count | None = None
    tools: Count = 0
    message_count: Count = 0
    messages: list[Message] = []
