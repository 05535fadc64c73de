"""Whole gzip members without an end, one for each token."""

import gzip

from tests.hostile.attack import TOKEN, coded, ends, flood

ATTACK = flood(ends("protocol_error"), coded(b"gzip"), gzip.compress(TOKEN))
