"""Proxies by environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY), understood as httpx understands them."""

import base64
import ipaddress
from typing import NamedTuple
from urllib.parse import unquote

import httpx
from httpx._utils import URLPattern, get_environment_proxies  # what `httpx.Client(trust_env=True)` reads them with

DEFAULT_PORT = 80


class Proxy(NamedTuple):
    """A forward proxy; `authorization` is the value of Proxy-Authorization, never to be printed."""

    host: str
    port: int
    authorization: bytes | None

    @property
    def where(self) -> str:
        return place(self.host, self.port)

    @property
    def fields(self) -> list[bytes]:
        """The header lines that are for the proxy."""
        return [b"Proxy-Authorization: " + self.authorization] if self.authorization else []


class UnusableProxy(ConnectionError):  # noqa: N818 - a finding, not a fault
    """The environment names a proxy that is no URL, or of a kind that is not spoken here."""


class Proxies:
    """Which proxy a URL goes through. Loopback addresses never go through one, whatever the environment says."""

    def __init__(self, table: dict[str, str | None]) -> None:
        patterns = [(URLPattern(pattern), proxy) for pattern, proxy in table.items()]
        self._patterns = sorted(patterns, key=lambda entry: entry[0])  # the most specific first, as in httpx

    @classmethod
    def of_environment(cls) -> "Proxies":
        return cls(get_environment_proxies())

    def proxy_for(self, url: httpx.URL) -> Proxy | None:
        """None for a direct connection. Raises UnusableProxy."""
        if not self._patterns or is_loopback(url.host):
            return None
        found = next((proxy for pattern, proxy in self._patterns if pattern.matches(url)), None)
        return None if found is None else _parsed(found)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or address (RFC 6761 section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def place(host: str, port: int) -> str:
    """host:port as in a URL, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parsed(text: str) -> Proxy:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise UnusableProxy("the proxy in the environment is not a URL (see HTTP_PROXY, HTTPS_PROXY)") from None
    if url.scheme != "http" or not url.host:
        raise UnusableProxy(
            f"the environment names a {url.scheme or 'nameless'} proxy, and only http:// proxies can be used: "
            "unset it, or add the host to NO_PROXY"
        )
    credentials = None
    if url.userinfo:
        credentials = b"Basic " + base64.b64encode(unquote(url.userinfo.decode("ascii")).encode())
    return Proxy(url.host, url.port or DEFAULT_PORT, credentials)
