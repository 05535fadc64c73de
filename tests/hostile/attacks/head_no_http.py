"""A page without a head, as HTTP/0.9 had it."""

from tests.hostile.attack import ends, flood

ATTACK = flood(ends("protocol_error"), b"<html>", b"<b>")
