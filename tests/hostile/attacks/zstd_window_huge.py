"""A zstd frame that asks for a window of 2 GB (RFC 8878 section 3.1.1.1.2)."""

from tests.hostile.attack import coded, ends, flood

ATTACK = flood(ends("protocol_error"), coded(b"zstd", b"\x28\xb5\x2f\xfd\x00\xa8"), b"\x00")
