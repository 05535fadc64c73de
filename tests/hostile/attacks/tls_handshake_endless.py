"""A handshake message of 16 MB."""

from tests.hostile.attack import Family, ends, flood

ATTACK = flood(
    ends("connect_error"),
    b"\x16\x03\x03\x40\x00\x02\xff\xff\xff" + bytes(0x4000 - 4),
    b"\x16\x03\x03\x40\x00" + bytes(0x4000),
    Family.TLS,
)
