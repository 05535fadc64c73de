"""How long each phase of opening a connection took."""

from dataclasses import dataclass


@dataclass(slots=True)
class Timings:
    """Durations in ns, filled in as the phases end; None for a phase that did not happen, or has not ended.

    `handshake_ns` is the round trip of TCP's own handshake, measured by the kernel. `connect_ns` covers all addresses
    that were tried.
    """

    dns_ns: int | None = None
    connect_ns: int | None = None
    tunnel_ns: int | None = None
    tls_ns: int | None = None
    handshake_ns: int | None = None
