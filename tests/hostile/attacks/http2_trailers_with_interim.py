"""A second head in the middle of the body."""

from tests.hostile.attack import DATA, END_HEADERS, H2_HEAD, HEADERS, OK_FIELDS, TOKEN, Family, ends, flood, frame

ATTACK = flood(
    ends("protocol_error"), H2_HEAD + frame(DATA, 0, 1, TOKEN), frame(HEADERS, END_HEADERS, 1, OK_FIELDS), Family.HTTP2
)
