"""CONTINUATION without an end (CVE-2024-27316)."""

from tests.hostile.attack import CONTINUATION, H2_BEGIN, HEADERS, OK_FIELDS, Family, ends, flood, frame

ATTACK = flood(
    ends("protocol_error"),
    H2_BEGIN + frame(HEADERS, 0, 1, OK_FIELDS),
    frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b"),
    Family.HTTP2,
)
