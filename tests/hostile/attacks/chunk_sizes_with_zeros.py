"""A chunk's size with zeros in front, without an end."""

from tests.hostile.attack import CHUNKED, ends, flood

ATTACK = flood(ends("protocol_error"), CHUNKED, b"0")
