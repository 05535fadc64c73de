"""A field of 4,000 bytes in the table of HPACK, named 4,000 times."""

from tests.hostile.attack import END_HEADERS, H2_BEGIN, HEADERS, Attack, Family, ends, frame

ATTACK = Attack(
    ends("protocol_error"),
    H2_BEGIN + frame(HEADERS, END_HEADERS, 1, b"\x88\x40\x01a\x7f\xa1\x1e" + b"b" * 4_000 + b"\xbe" * 4_000),
    family=Family.HTTP2,
)
