"""An informational answer now and then, and never the final one."""

from tests.hostile.attack import drip, ends

ATTACK = drip(ends("timeout"), b"", b"HTTP/1.1 102 Processing\r\n\r\n")
