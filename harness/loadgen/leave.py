"""When the user of a stream leaves before its end."""

import msgspec


class Leave(msgspec.Struct, frozen=True):
    """When a user closes a stream early: after `tokens` token events, or `after_ns` after the request was sent."""

    tokens: int | None = None
    after_ns: int | None = None
