"""The endpoint's key: taken from this machine's environment, and never sent to another machine."""

import os
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from streamgauge.endpoint.target import ENDS_A_HEADER, AnyTarget, Target
from streamgauge.errors import UsageError
from streamgauge.protocol.dialects.base import AUTHORIZATION
from streamgauge.secrets import is_secret

_NO_SECRETS: Final = "and workers are sent no secrets"


def with_key(target: AnyTarget) -> AnyTarget:
    """The target with the key from the variable `api_key_env`. Raises UsageError when that variable is not set."""
    if not target.api_key_env:
        return target
    key = os.environ.get(target.api_key_env)
    if not key:
        raise UsageError(
            f"the environment variable {target.api_key_env} is not set", "export it, or drop --api-key-env"
        )
    check_key(key, target.api_key_env)
    value = f"Bearer {key}" if target.key_header == AUTHORIZATION else key
    return msgspec.structs.replace(target, headers={**target.headers, target.key_header: value})


def check_key(key: str, variable: str) -> None:
    """Raise UsageError on a key that cannot stand in a header. The message does not quote the key."""
    if ENDS_A_HEADER.search(key):
        raise UsageError(
            f"the environment variable {variable} holds a line break or NUL, and a header cannot hold either",
            "it is often the last character: set the variable with printf %s, which adds no line break, not with echo",
        )


def without_key(target: Target) -> Target:
    """The target as it may be sent to a worker on another machine: without the key that `api_key_env` names.

    Raises UsageError when another header or the URL holds a secret.
    """
    headers = dict(target.headers)
    if target.api_key_env:
        headers.pop(target.key_header, None)
    if secret := next((name for name in headers if is_secret(name)), None):
        raise UsageError(
            f"the header {secret} looks like a secret, {_NO_SECRETS}",
            "name the variable that holds the key with --api-key-env: each worker takes it from its own environment",
        )
    parts = urlsplit(target.url)
    if parts.username or any(is_secret(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise UsageError(f"the URL holds a secret, {_NO_SECRETS}", "use --api-key-env instead")
    return msgspec.structs.replace(target, headers=headers)
