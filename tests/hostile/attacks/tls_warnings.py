"""Warning alerts without an end."""

from tests.hostile.attack import Family, ends, flood

ATTACK = flood(ends("connect_error"), b"", b"\x15\x03\x03\x00\x02\x01\x00", Family.TLS)
