"""Which product holds tokens back, by its own marks."""

import pytest

from streamgauge.diagnosis.culprits import APP_FIXES, COMPRESSION_FIX, CULPRITS, culprit_of
from streamgauge.diagnosis.patterns import Pattern
from streamgauge.units import MS
from streamgauge.wire import Head


def answer(*headers: tuple[str, str]) -> Head:
    return Head(200, "OK", "1.1", headers)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (("Server", "nginx/1.24.0"), "nginx"),
        (("SERVER", "NGINX"), "nginx"),
        (("Server", "Apache/2.4.62 (Debian)"), "Apache httpd"),
        (("Server", "Caddy"), "Caddy"),
        (("Server", "cloudflare"), "Cloudflare"),
    ],
)
def test_a_server_header_names_the_product(header: tuple[str, str], name: str) -> None:
    culprit = culprit_of(answer(header), Pattern.BLOCK_BUFFERED, None)
    assert culprit is not None
    assert culprit.name == name


def test_a_via_header_names_a_cache() -> None:
    culprit = culprit_of(answer(("Via", "1.1 varnish (Varnish/7.1)")), Pattern.FULLY_BUFFERED, None)
    assert culprit is not None
    assert culprit.name == "Varnish"


@pytest.mark.parametrize("head", [None, answer(), answer(("Server", "Kestrel")), answer(("Via", "nginx"))])
def test_nobody_is_accused_without_a_mark(head: Head | None) -> None:
    assert culprit_of(head, Pattern.BLOCK_BUFFERED, 200 * MS) is None


@pytest.mark.parametrize(("window_ms", "named"), [(169, False), (170, True), (200, True), (260, True), (261, False)])
def test_the_window_of_haproxy_gives_it_away(window_ms: int, named: bool) -> None:
    culprit = culprit_of(answer(), Pattern.TIME_COALESCED, window_ms * MS)
    assert (culprit is not None and culprit.name == "HAProxy") is named


def test_a_header_counts_more_than_a_window() -> None:
    culprit = culprit_of(answer(("Server", "nginx")), Pattern.TIME_COALESCED, 200 * MS)
    assert culprit is not None
    assert culprit.name == "nginx"


def test_every_fix_says_where_and_what() -> None:
    for fix in [*(culprit.fix for culprit in CULPRITS), *APP_FIXES, COMPRESSION_FIX]:
        assert fix.where
        assert fix.lines
        assert all(fix.lines)
