"""Which proxy a URL goes through by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, read as httpx reads them.

httpx keeps its reading of NO_PROXY private, so the rules stand here too; tests/harness/transport/test_proxies.py
compares the two. There are two deliberate differences: an entry of NO_PROXY that is not a host name is skipped, where
httpx refuses to make a client, and an entry may be an international name, in its letters or as xn--.
"""

import base64
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote
from urllib.request import getproxies

import httpx

from streamgauge.secrets import in_url, learn

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
        """The header lines that are for the proxy and not for the endpoint."""
        return [b"Proxy-Authorization: " + self.authorization] if self.authorization else []


class UnusableProxy(ConnectionError):  # noqa: N818 - a finding, not a fault
    """The environment names a proxy whose address is not a URL, or whose scheme is not http."""


class Proxies:
    """Which proxy a URL goes through. Loopback addresses never go through one, whatever the environment says."""

    def __init__(self, by_scheme: Mapping[str, str], no_proxy: str = "") -> None:
        """`by_scheme` has the proxy for "http", "https" and "all"; `no_proxy` is the value of NO_PROXY."""
        entries = [entry.strip() for entry in no_proxy.split(",")]
        self._by_scheme = {} if "*" in entries else by_scheme
        self._exempt = [rule for entry in entries if entry and (rule := _exemption(entry)) is not None]

    @classmethod
    def of_environment(cls) -> "Proxies":
        found = getproxies()
        learn(secret for address in found.values() for secret in in_url(address if "//" in address else f"//{address}"))
        return cls(found, found.get("no", ""))

    def proxy_for(self, url: httpx.URL) -> Proxy | None:
        """None for a direct connection. Raises UnusableProxy."""
        address = self._by_scheme.get(url.scheme) or self._by_scheme.get("all")
        if not address or is_loopback(url.host) or any(rule.matches(url) for rule in self._exempt):
            return None
        return _parsed(address if "://" in address else f"http://{address}")


class _Exemption(NamedTuple):
    """One entry of NO_PROXY. An empty scheme or host and a port of None stand for any."""

    scheme: str
    host: str
    port: int | None
    itself: bool = True  # the host itself is exempt
    subdomains: bool = False

    def matches(self, url: httpx.URL) -> bool:
        if (self.scheme and self.scheme != url.scheme) or (self.port is not None and self.port != url.port):
            return False
        host = url.raw_host.decode("ascii")  # `url.host` decodes an xn-- label only when it comes first
        if not self.host or (self.itself and host == self.host):
            return True
        return self.subdomains and host.endswith(f".{self.host}") and len(host) > len(self.host) + 1


def _exemption(entry: str) -> _Exemption | None:
    """What an entry of NO_PROXY exempts, None for one that cannot be a host.

    `example.com` stands for the domain and its subdomains, `.example.com` for the subdomains alone, an address and
    `localhost` for themselves. An entry with a scheme (`https://example.com`) stands for that host alone, unless the
    host begins with `*` or `*.`. The mask of a network (`192.168.0.0/16`) is ignored.
    """
    if _is_address(address := entry.split("/")[0]) or entry.lower() == "localhost":
        return _Exemption("", address.lower(), None)
    scheme, separator, rest = entry.rpartition("://")
    if not separator:
        rest = f"*{entry}"
    elif rest.split("/")[0] == "*":
        rest = ""
    name = rest.removeprefix("*").removeprefix(".") if rest.startswith("*") else rest
    try:
        url = httpx.URL(f"{scheme.lower() or 'all'}://{name}")
    except httpx.InvalidURL:
        return None
    return _Exemption(
        "" if url.scheme == "all" else url.scheme,
        url.raw_host.decode("ascii"),
        url.port,
        itself=not rest.startswith("*."),
        subdomains=rest.startswith("*"),
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host name or address stands for this machine (RFC 6761 section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def place(host: str, port: int) -> str:
    """host:port as a URL has it, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parsed(text: str) -> Proxy:
    try:
        url = httpx.URL(text)
        host = url.host
    except (httpx.InvalidURL, UnicodeError):  # `host` decodes an international name, which may be malformed
        raise UnusableProxy("the proxy in the environment is not a URL: see HTTP_PROXY and HTTPS_PROXY") from None
    if url.scheme != "http" or not host:
        raise UnusableProxy(
            f"the proxy in the environment has the scheme {url.scheme!r}, and only http:// proxies can be used: "
            "unset it, or add the host to NO_PROXY"
        )
    credentials = None
    if url.userinfo:
        credentials = b"Basic " + base64.b64encode(unquote(url.userinfo.decode("ascii")).encode())
    return Proxy(host, url.port or DEFAULT_PORT, credentials)
