"""Turns the user's input into a usable target: reads the target file, completes the URL, adds the key, checks all."""

import base64
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx
import msgspec

from streamgauge.endpoint.credentials import secrets_of, with_key
from streamgauge.endpoint.target import ENDS_A_HEADER, AnyTarget, Target
from streamgauge.endpoint.target_keys import keys_of, meant_by
from streamgauge.errors import UsageError
from streamgauge.files import read_file
from streamgauge.protocol.dialects.base import AUTHORIZATION
from streamgauge.protocol.outcome import Ends
from streamgauge.protocol.typed import from_toml
from streamgauge.secrets import in_url, learn, mask_url
from streamgauge.transport.tls import tls_context

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def load_target(path: Path) -> Target:
    """Read a target file. Raises UsageError that says what is wrong with it and which keys it may hold."""
    try:
        return from_toml(read_file(path), Target)
    except OSError as error:
        raise UsageError(f"target file {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = meant_by(str(error), Target) or f"it is TOML with the keys: {', '.join(keys_of(Target))}"
        raise UsageError(f"target file {path} is not usable: {error}", hint) from None


def as_target(given: str | Target) -> Target:
    """A usable target from a URL or a target. Raises UsageError on every field that cannot be used."""
    return ready(Target(url=given) if isinstance(given, str) else given)


def ready(target: AnyTarget) -> AnyTarget:
    """The target with its complete URL and its key. Raises UsageError on every field that cannot be used."""
    learn(secrets_of(target))
    mock = without_userinfo(target.mock, "--mock").rstrip("/") if target.mock else None
    state_url = without_userinfo(target.state_url, "--state-url") if target.state_url else None
    complete = at_vendor_path(at_url(msgspec.structs.replace(target, mock=mock, state_url=state_url), target.url))
    complete = with_key(complete)
    learn(secrets_of(complete))
    if complete.ca or complete.cert:
        tls_context(insecure=complete.insecure, ca=complete.ca, cert=complete.cert, http2=complete.http2)
    for option, seconds in (("--timeout", complete.timeout_s), ("--content-timeout", complete.content_timeout_s)):
        if seconds <= 0:
            raise UsageError(f"{option} must be more than 0", "write for example 30s")
    if complete.end not in set(Ends):
        raise UsageError(f"end = {complete.end!r} is not an end of streams", f"write one of: {', '.join(Ends)}")
    _check_fields(complete)
    return complete


def at_url(target: AnyTarget, url: str, *, instead: bool = False) -> AnyTarget:
    """The target with another URL. A user and password in the URL become the header Authorization, as in a browser.

    `instead` says whether they may replace another key in that header. Otherwise the two raise UsageError, as does a
    URL that cannot be requested.
    """
    full = check_url(url)
    parts = urlsplit(full)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return msgspec.structs.replace(target, url=full)
    own = {name: value for name, value in target.headers.items() if name.lower() != AUTHORIZATION.lower()}
    has_key = len(own) < len(target.headers) or (target.api_key_env and target.key_header == AUTHORIZATION)
    if has_key and not instead:
        raise UsageError(
            "the URL has a user and a password, and there is another key for the Authorization header", "drop one"
        )
    basic = base64.b64encode(unquote(userinfo).encode()).decode()
    url = urlunsplit(parts._replace(netloc=host))
    return msgspec.structs.replace(target, url=url, headers={**own, AUTHORIZATION: f"Basic {basic}"})


def without_userinfo(url: str, option: str) -> str:
    """A URL whose requests carry the target's headers or none. Raises UsageError when it has a user or password."""
    full = check_url(url)
    if "@" in urlsplit(full).netloc:
        raise UsageError(f"{option} takes a URL without a user and password: they are not sent there", "take them out")
    return full


def at_vendor_path(target: AnyTarget) -> AnyTarget:
    """Complete a URL that is only a host with the path at which the vendor serves the dialect. Other URLs stay."""
    dialect, parts = target.named_dialect(), urlsplit(target.url)
    if dialect is None or dialect.path is None or parts.path not in ("", "/"):
        return target
    path = dialect.path.replace("{model}", quote(target.model or dialect.model, safe=""))
    return msgspec.structs.replace(target, url=urlunsplit(parts._replace(path=path)))


def check_url(url: str) -> str:
    """The URL, with http:// added where the scheme is missing. Raises UsageError on a URL that cannot be requested."""
    full = url if _SCHEME.match(url) else f"http://{url}"
    learn(in_url(full))
    parts = urlsplit("")
    try:
        parts = urlsplit(full)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        valid = valid and bool(httpx.URL(full).host)  # it decodes an international name, which may be malformed
    except (ValueError, httpx.InvalidURL):  # UnicodeError is a ValueError
        valid = False
    if not valid or any(character.isspace() for character in full):
        raise UsageError(
            f"{mask_url(url)!r} is not a URL that can be requested", "write for example http://localhost:8080/chat"
        )
    return full if parts.path else urlunsplit(parts._replace(path="/"))


def _check_fields(target: Target) -> None:
    """Refuse fields that would break out of their place in a request head, and a [stream] table that cannot be used.

    No value of a header is quoted: it may be a secret.
    """
    if target.stream is not None:
        target.stream.dialect()
    if target.signalr is not None:
        target.signalr.invocation()
        given = {"method": target.method, "body": target.body, "dialect": target.named_dialect(), "http2": target.http2,
                 "compressed": target.compressed}  # fmt: skip
        if others := [name for name, value in given.items() if value]:
            what = f"a SignalR hub is asked in a way of its own: {', '.join(others)} cannot be given"
            raise UsageError(what, "leave it out; [signalr] arguments say what the method gets")
    if target.method and not _TOKEN.fullmatch(target.method):
        raise UsageError(f"--method {target.method!r} is not an HTTP method", "write for example POST")
    for name, value in target.headers.items():
        if not _TOKEN.fullmatch(name):
            raise UsageError(f"{name!r} cannot be the name of a header", "use letters, digits and -")
        if ENDS_A_HEADER.search(value):
            raise UsageError(f"the value of the header {name} holds a line break or NUL", "take it out")
