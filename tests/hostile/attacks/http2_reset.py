"""The stream is reset after a token."""

from tests.hostile.attack import DATA, H2_HEAD, RST_STREAM, TOKEN, Attack, Family, ends, frame

ATTACK = Attack(
    ends("truncated"),
    H2_HEAD + frame(DATA, 0, 1, TOKEN) + frame(RST_STREAM, 0, 1, b"\x00\x00\x00\x02"),
    family=Family.HTTP2,
)
