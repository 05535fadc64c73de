"""The connection ends in the middle of the stream."""

from tests.hostile.attack import DATA, GOAWAY, H2_HEAD, TOKEN, Attack, Family, ends, frame

ATTACK = Attack(
    ends("truncated"),
    H2_HEAD + frame(DATA, 0, 1, TOKEN) + frame(GOAWAY, 0, 0, bytes(4) + b"\x00\x00\x00\x0b"),
    family=Family.HTTP2,
)
