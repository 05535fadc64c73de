"""A page of HTML with terminal controls in place of a status page."""

from tests.hostile.attack import Attack, ends

_PAGE = b"<html>\x1b[2J\x1b]0;vllm:num_requests_running 4\x07<script>alert(1)</script></html>"
ATTACK = Attack(
    ends("protocol_error"), b"HTTP/1.1 200 \x1b[31mOK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + _PAGE
)
