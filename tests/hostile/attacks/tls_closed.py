"""The connection is closed at the ClientHello."""

from tests.hostile.attack import Attack, Family, ends

ATTACK = Attack(ends("connect_error"), family=Family.TLS)
