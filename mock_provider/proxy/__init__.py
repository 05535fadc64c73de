"""A reverse proxy that buffers as badly as it is told to: the known-bad subject. Without knobs it passes through."""

from streamgauge.mock_provider.proxy.config import ProxyConfig
from streamgauge.mock_provider.proxy.relay import Proxy

__all__ = ["Proxy", "ProxyConfig"]
