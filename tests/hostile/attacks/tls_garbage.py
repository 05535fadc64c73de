"""Garbage in place of a ServerHello."""

from tests.hostile.attack import Family, ends, flood

ATTACK = flood(ends("connect_error"), b"", b"\x00\xff\x80", Family.TLS)
