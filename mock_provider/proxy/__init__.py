"""A reverse proxy with selectable buffering faults; without any it passes everything through."""

from streamgauge.mock_provider.proxy.config import ProxyConfig
from streamgauge.mock_provider.proxy.relay import Proxy

__all__ = ["Proxy", "ProxyConfig"]
