"""A status page with 100,000 replicas."""

from tests.hostile.attack import RUNNING, STATUS, Attack, ends

ATTACK = Attack(
    ends("ok", "client_limit"), STATUS + b"".join(b'%s{e="%d"} 1\n' % (RUNNING, number) for number in range(100_000))
)
