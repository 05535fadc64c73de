"""A body that is not what its coding says."""

from tests.hostile.attack import TOKEN, coded, ends, flood

ATTACK = flood(ends("protocol_error"), coded(b"gzip"), TOKEN)
