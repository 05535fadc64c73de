"""Terminal sequences, direction marks and markup in tokens and errors."""

from tests.hostile.attack import SSE, Attack, ends, said

ATTACK = Attack(
    ends("error_event"),
    SSE
    + said(delta='{"content":"\\u001b]52;c;aGk=\\u0007\\u202e<script>alert(1)</script>"}')
    + b'data: {"error":{"message":"\\u001b[2J[link=http://evil]"}}\n\n',
)
