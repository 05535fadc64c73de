"""No answer to the preface."""

from tests.hostile.attack import Attack, Family, ends

ATTACK = Attack(ends("timeout"), stays=True, family=Family.HTTP2)
