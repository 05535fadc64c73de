"""A status page with a known series, again and again without an end."""

from tests.hostile.attack import RUNNING, STATUS, ends, flood

ATTACK = flood(ends("protocol_error"), STATUS, RUNNING + b'{engine="0"} 1\n')
