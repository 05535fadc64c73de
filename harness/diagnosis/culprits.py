"""Finds the product that holds a stream back, and the changes that stop it."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from streamgauge.diagnosis.patterns import ConfigFix, Pattern
from streamgauge.diagnosis.product import Buffering, Kind, Product, applications, products, products_in
from streamgauge.units import ns_to_ms
from streamgauge.wire import Head

COMPRESSION_FIX: Final = ConfigFix(
    "the hop that compresses text/event-stream",
    ["leave text/event-stream out of the compressed types", "or flush the compressor after each event"],
)
_COMPRESSION_CHECK: Final = "flush.compression-flushes"


class Culprit(NamedTuple):
    """A proxy on the path, and how it holds streams back."""

    product: Product
    buffering: Buffering

    @property
    def says(self) -> str:
        """The proxy and what it does by default."""
        return f"{self.product.name}: {self.buffering.why}"


def culprit_of(head: Head | None, pattern: Pattern, window_ns: int | None) -> Culprit | None:
    """The proxy that the headers name, else the proxy with this typical time between bursts; None when unknown."""
    for culprit in _proxies():
        if culprit.product.is_marked_in(head):
            return culprit
    if pattern is Pattern.TIME_COALESCED and window_ns is not None:
        for culprit in _proxies():
            window = culprit.buffering.window_ms
            if window is not None and window[0] <= ns_to_ms(window_ns) <= window[1]:
                return culprit
    return None


def proxy_fixes(culprit: Culprit | None) -> list[ConfigFix]:
    """The changes that stop `culprit` from buffering. With None, the changes for the suspected proxies."""
    known = [culprit] if culprit else [suspect for suspect in _proxies() if suspect.buffering.suspected]
    return [fix for proxy in known for fix in proxy.buffering.config_fixes]


def compression_fixes(culprit: Culprit | None) -> list[ConfigFix]:
    """The changes that stop compression from holding tokens back: the general fix, then the culprit's own."""
    own = culprit.product.fix_for(_COMPRESSION_CHECK) if culprit else None
    return [COMPRESSION_FIX] + ([ConfigFix(culprit.product.name, own.content.split("\n"))] if culprit and own else [])


def application_fixes(head: Head | None) -> list[ConfigFix]:
    """The changes that make the application flush: of the applications that the headers name, else of all."""
    named = products_in([head]) & applications()
    makers = [product for product_id, product in products().items() if product_id in (named or applications())]
    return [fix for product in makers if product.buffering for fix in product.buffering.config_fixes]


def _proxies() -> Iterable[Culprit]:
    return (Culprit(one, one.buffering) for one in products().values() if one.kind is Kind.PROXY and one.buffering)
