"""A status of 5,000 digits."""

from tests.hostile.attack import END_HEADERS, H2_BEGIN, HEADERS, Attack, Family, ends, frame

ATTACK = Attack(
    ends("protocol_error"),
    H2_BEGIN + frame(HEADERS, END_HEADERS, 1, b"\x08\x7f\x89\x26" + b"2" * 5_000),
    family=Family.HTTP2,
)
