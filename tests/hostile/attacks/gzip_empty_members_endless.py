"""Empty gzip members without an end."""

import gzip

from tests.hostile.attack import coded, ends, flood

ATTACK = flood(ends("protocol_error"), coded(b"gzip"), gzip.compress(b""))
