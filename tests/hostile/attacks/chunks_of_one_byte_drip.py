"""A chunk of one byte now and then."""

from tests.hostile.attack import CHUNKED, TOKEN, chunk, drip, ends

ATTACK = drip(ends("timeout", "stalled"), CHUNKED + chunk(TOKEN), chunk(b"x"))
