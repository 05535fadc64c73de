"""A line that never ends."""

from tests.hostile.attack import DATA, H2_HEAD, TOKEN, Family, ends, flood, frame

ATTACK = flood(
    ends("protocol_error"),
    H2_HEAD + frame(DATA, 0, 1, TOKEN + b"data: "),
    frame(DATA, 0, 1, b"x" * 16_384),
    Family.HTTP2,
)
