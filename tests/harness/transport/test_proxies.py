"""Which proxy a URL goes through: the rules of NO_PROXY, compared with those that httpx keeps private."""

import httpx
import pytest
from httpx._utils import URLPattern, get_environment_proxies
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.transport.proxies import Proxies, is_loopback

ENTRIES = (
    "example.com", ".example.com", "*.example.com", "EXAMPLE.com", "example.com:8080", ".example.com:8080", "com",
    "https://example.com", "http://*.example.com", "all://*example.com:8080", "https://*", "10.0.0.1", "10.0.0.0/8",
    "10.0.0.1:8080", "fd00::1", "localhost", "LOCALHOST", "", " ", "*",
)  # fmt: skip
HOSTS = (
    "example.com", "www.example.com", "a.b.example.com", "notexample.com", "example.org", "10.0.0.1", "10.0.0.0",
    "[fd00::1]",
)  # fmt: skip
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def direct_hosts(no_proxy: str, *urls: str) -> list[bool]:
    proxies = Proxies({"all": "http://proxy.example:3128"}, no_proxy)
    return [proxies.proxy_for(httpx.URL(url)) is None for url in urls]


@given(
    st.lists(st.sampled_from(ENTRIES), max_size=4),
    st.sets(st.sampled_from(["http", "https", "all"])),
    st.sampled_from(["http", "https"]),
    st.sampled_from(HOSTS),
    st.sampled_from(["", ":80", ":443", ":8080"]),
)
def test_the_environment_is_read_as_httpx_reads_it(
    no_proxy: list[str], proxied: set[str], scheme: str, host: str, port: str
) -> None:
    url = httpx.URL(f"{scheme}://{host}{port}/")
    with pytest.MonkeyPatch.context() as environment:
        for name in VARIABLES:
            environment.delenv(name, raising=False)
            environment.delenv(name.lower(), raising=False)
        for name in proxied:
            environment.setenv(f"{name}_proxy", f"{name}.example:3128")
        environment.setenv("no_proxy", ",".join(no_proxy))
        ours = Proxies.of_environment().proxy_for(url)
        patterns = [(URLPattern(pattern), proxy) for pattern, proxy in get_environment_proxies().items()]
    theirs = next((proxy for pattern, proxy in sorted(patterns, key=lambda row: row[0]) if pattern.matches(url)), None)
    assert (ours and f"http://{ours.where}") == theirs


def test_the_proxy_of_the_scheme_comes_before_the_one_for_all() -> None:
    proxies = Proxies({"all": "http://p:1", "http": "http://h:2"}, "plain.example")
    urls = ("http://x.example/", "https://x.example/", "http://plain.example/", "http://[::1]/")
    found = [proxies.proxy_for(httpx.URL(url)) for url in urls]
    assert [proxy and proxy.where for proxy in found] == ["h:2", "p:1", None, None]


def test_loopback_is_known_by_name_and_by_address() -> None:
    assert [is_loopback(host) for host in ("localhost", "a.localhost", "127.8.8.8", "::1")] == [True] * 4
    assert not is_loopback("localhost.example")


@pytest.mark.parametrize("entry", ["[", "http://", "a b", "x:port", "[::1/128]", "\ud800"])
def test_an_entry_that_is_not_a_host_is_skipped(entry: str) -> None:
    assert direct_hosts(f"{entry},plain.example", "https://plain.example/", "https://x.example/") == [True, False]


@pytest.mark.parametrize("entry", ["münchen.de", "xn--mnchen-3ya.de"])
def test_an_international_name_may_be_an_entry(entry: str) -> None:
    assert direct_hosts(entry, "http://xn--mnchen-3ya.de/", "http://www.münchen.de/", "http://x.de/") == [
        True,
        True,
        False,
    ]
