"""Informational answers without an end (RFC 9110 section 15.2)."""

from tests.hostile.attack import ends, flood

ATTACK = flood(ends("protocol_error"), b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")
