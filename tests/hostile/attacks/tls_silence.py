"""No answer to the ClientHello."""

from tests.hostile.attack import Attack, Family, ends

ATTACK = Attack(ends("connect_error"), stays=True, family=Family.TLS)
