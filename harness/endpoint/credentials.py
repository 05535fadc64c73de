"""The endpoint's key: taken from this machine's environment, and never sent to another machine."""

import os
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from streamgauge.endpoint.target import ENDS_A_HEADER, AnyTarget, Target
from streamgauge.errors import UsageError
from streamgauge.leaks import is_like_one
from streamgauge.protocol.dialects.base import AUTHORIZATION
from streamgauge.secrets import in_body, in_header, in_url, is_secret, learn

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_SECRETS: Final = "and workers are sent no secrets"


def with_key(target: AnyTarget) -> AnyTarget:
    """The target with the key from the variable `api_key_env`. Raises UsageError when that variable is not set."""
    if not target.api_key_env:
        return target
    key = key_in(target.api_key_env, "--api-key-env")
    value = f"Bearer {key}" if target.key_header == AUTHORIZATION else key
    return msgspec.structs.replace(target, headers={**target.headers, target.key_header: value})


def key_in(variable: str, option: str) -> str:
    """The key in an environment variable, hidden from now on.

    Raises UsageError when the variable is not set, or its value cannot stand in a header. The message quotes no key.
    """
    if not _VARIABLE.fullmatch(variable):  # often the key itself, so it is not quoted
        raise UsageError(f"{option} takes the name of an environment variable", f"write for example {option} API_KEY")
    key = os.environ.get(variable)
    if not key:
        raise UsageError(f"the environment variable {variable} is not set", f"export it, or drop {option}")
    learn([key])
    if ENDS_A_HEADER.search(key):
        raise UsageError(
            f"the environment variable {variable} holds a line break or NUL, and a header cannot hold either",
            "it is often the last character: set the variable with printf %s, which adds no line break, not with echo",
        )
    return key


def secrets_of(target: Target) -> Iterator[str]:
    """The secrets of a target: in its headers, its URLs, and its body or arguments."""
    for name, value in target.headers.items():
        yield from in_header(value) if is_secret(name) or is_like_one(value) else in_url(value)
    for url in (target.url, target.mock, target.state_url):
        if url is not None:
            yield from in_url(url)
            # Not by urlsplit: the URL is not checked yet, and may be none.
            yield from (value for _, value in parse_qsl(url.partition("?")[2]) if is_like_one(value))
    yield from () if target.body is None else in_body(target.body)
    yield from () if target.signalr is None else in_body(target.signalr.invocation()[:-1])


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
