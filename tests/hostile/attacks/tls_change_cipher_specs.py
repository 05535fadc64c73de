"""ChangeCipherSpec without an end (RFC 8446 section 5)."""

from tests.hostile.attack import Family, ends, flood

ATTACK = flood(ends("connect_error"), b"", b"\x14\x03\x03\x00\x01\x01", Family.TLS)
