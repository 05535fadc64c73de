"""A coding of 60,000 characters."""

from tests.hostile.attack import TOKEN, coded, ends, flood

ATTACK = flood(ends("protocol_error"), coded(b"x" * 60_000), TOKEN)
