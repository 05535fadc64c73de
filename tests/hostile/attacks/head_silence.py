"""Nothing at all."""

from tests.hostile.attack import Attack, ends

ATTACK = Attack(ends("timeout"), stays=True)
