"""A ServerHello whose bytes come now and then."""

from tests.hostile.attack import Family, drip, ends

ATTACK = drip(ends("connect_error"), b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x00", Family.TLS)
