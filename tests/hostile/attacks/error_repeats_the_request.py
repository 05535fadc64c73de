"""An error that repeats the Authorization and the path of the request, in a field and in the body."""

from tests.hostile.attack import Attack, ends

_BODY = b'{"error":{"message":"\\u001b[2J unknown key in Authorization: Bearer sk-hostile0123456789abcdef"}}'
ATTACK = Attack(
    ends("http_error"),
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="sk-hostile0123456789abcdef"\r\n'
    b"Content-Type: application/json\r\nConnection: close\r\n\r\n" + _BODY,
)
