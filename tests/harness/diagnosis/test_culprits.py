"""Which product holds tokens back, by its own marks, and what to change there."""

import pytest

from streamgauge.diagnosis.culprits import (
    COMPRESSION_FIX,
    application_fixes,
    compression_fixes,
    culprit_of,
    proxy_fixes,
)
from streamgauge.diagnosis.patterns import Pattern
from streamgauge.diagnosis.product import applications, products
from streamgauge.units import MS
from streamgauge.wire import Head


def answer(*headers: tuple[str, str]) -> Head:
    return Head(200, "OK", "1.1", headers)


def named(head: Head | None, pattern: Pattern = Pattern.BLOCK_BUFFERED, window_ns: int | None = None) -> str | None:
    culprit = culprit_of(head, pattern, window_ns)
    return culprit.product.name if culprit else None


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (("Server", "nginx/1.24.0"), "nginx"),
        (("SERVER", "NGINX"), "nginx"),
        (("Server", "openresty/1.25"), "nginx"),
        (("Server", "Apache/2.4.62 (Debian)"), "Apache httpd"),
        (("Server", "Caddy"), "Caddy"),
        (("Via", "1.1 Caddy"), "Caddy"),
        (("Server", "cloudflare"), "Cloudflare"),
        (("Server", "envoy"), "Envoy"),
        (("Server", "Microsoft-IIS/10.0"), "IIS"),
        (("Via", "1.1 varnish (Varnish/7.1)"), "Varnish"),
    ],
)
def test_a_header_names_the_product(header: tuple[str, str], name: str) -> None:
    assert named(answer(header)) == name


@pytest.mark.parametrize("head", [None, answer(), answer(("Server", "Kestrel")), answer(("Via", "nginx"))])
def test_nobody_is_accused_without_a_mark(head: Head | None) -> None:
    """An application is never taken for the hop that holds its stream back."""
    assert named(head, window_ns=200 * MS) is None


@pytest.mark.parametrize(("window_ms", "is_named"), [(169, False), (170, True), (200, True), (260, True), (261, False)])
def test_the_window_of_haproxy_gives_it_away(window_ms: int, is_named: bool) -> None:
    assert (named(answer(), Pattern.TIME_COALESCED, window_ms * MS) == "HAProxy") is is_named


def test_a_header_counts_more_than_a_window() -> None:
    assert named(answer(("Server", "nginx")), Pattern.TIME_COALESCED, 200 * MS) == "nginx"


def test_where_no_product_is_known_the_commonest_one_is_suspected() -> None:
    """Its own lines, and the header by which an application disarms it."""
    config, header = proxy_fixes(None)

    assert "proxy_buffering off;" in config.lines
    assert header.lines == ["X-Accel-Buffering: no"]


def test_a_known_proxy_gets_its_own_fix_only() -> None:
    (fix,) = proxy_fixes(culprit_of(answer(("Via", "1.1 varnish")), Pattern.FULLY_BUFFERED, None))

    assert fix.lines == ["set beresp.do_stream = true;"]


def test_compression_has_a_general_fix_and_the_products_own() -> None:
    culprit = culprit_of(answer(("Server", "nginx")), Pattern.COMPRESSION_HELD, None)
    general, own = compression_fixes(culprit)

    assert general == COMPRESSION_FIX
    assert own.where == "nginx"
    assert own.lines[0].startswith("gzip_types ")
    assert compression_fixes(None) == [COMPRESSION_FIX]


def test_an_application_that_holds_tokens_back_gets_the_fix_for_its_own_stack() -> None:
    (fix,) = application_fixes(answer(("Server", "Kestrel")))

    assert "FlushAsync" in "".join(fix.lines)


@pytest.mark.parametrize("head", [None, answer(), answer(("Server", "nginx"))])
def test_an_application_without_a_mark_may_be_any(head: Head | None) -> None:
    assert len(application_fixes(head)) == len(applications())


def test_every_fix_says_where_and_what() -> None:
    fixes = [fix for one in products().values() if one.buffering for fix in one.buffering.config_fixes]
    for fix in [*fixes, COMPRESSION_FIX]:
        assert fix.where
        assert any(line.strip() for line in fix.lines)


def test_one_proxy_at_most_is_suspected() -> None:
    suspected = [one.name for one in products().values() if one.buffering and one.buffering.suspected]
    assert suspected == ["nginx"]
