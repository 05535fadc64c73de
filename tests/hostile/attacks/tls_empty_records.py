"""Handshake records without a byte."""

from tests.hostile.attack import Family, ends, flood

ATTACK = flood(ends("connect_error"), b"", b"\x16\x03\x03\x00\x00", Family.TLS)
