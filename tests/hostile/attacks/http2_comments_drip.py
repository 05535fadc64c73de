"""A comment now and then."""

from tests.hostile.attack import DATA, H2_HEAD, TOKEN, Family, drip, ends, frame

ATTACK = drip(
    ends("timeout", "stalled"), H2_HEAD + frame(DATA, 0, 1, TOKEN), frame(DATA, 0, 1, b": hb\n\n"), Family.HTTP2
)
