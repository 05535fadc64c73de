"""A status page whose numbers are not those of a server."""

from tests.hostile.attack import RUNNING, STATUS, Attack, ends

_VALUES = [b"NaN", b"+Inf", b"-Inf", b"1e308", b"-7", b"9007199254740992", b"9" * 5_000, b"1" + b"_1" * 2_000, b"0x10"]
ATTACK = Attack(ends("ok"), STATUS + b"".join(b"%s %s\n" % (RUNNING, value) for value in _VALUES))
