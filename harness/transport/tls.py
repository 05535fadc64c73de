"""TLS as the caller wants it: whose certificates are believed, and which one is shown."""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final

import httpx

from streamgauge.errors import UsageError

_PEM: Final = "it must be PEM: blocks that begin with -----BEGIN"
_FORM: Final = "write it as FILE, or as FILE:KEY when the key is in a file of its own"


@lru_cache(16)
def tls_context(
    *, insecure: bool = False, ca: str | None = None, cert: str | None = None, http2: bool = False
) -> ssl.SSLContext:
    """The context for these settings; one for all clients of a process, because loading authorities takes some 10 ms.

    `ca` replaces the authorities that httpx believes, `cert` is FILE or FILE:KEY (both PEM). Raises UsageError.
    """
    if insecure and ca:
        raise UsageError("--insecure believes anybody, --ca only one authority", "give one of them")
    context = _trusting(ca) if ca else httpx.create_ssl_context(verify=not insecure)
    if cert:
        _show(context, cert)
    if http2:
        context.set_alpn_protocols(["h2"])  # RFC 9113 section 3.2; nothing else, so that no other is measured
    return context


def _trusting(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise UsageError(f"--ca {ca} holds no certificate that can be read: {error.reason or error}", _PEM) from None
    except OSError as error:
        raise UsageError(f"--ca {ca} cannot be read: {error.strerror}") from None


def _show(context: ssl.SSLContext, cert: str) -> None:
    file, key = _split(cert)
    named = file if key is None else f"{file} with key {key}"
    try:
        context.load_cert_chain(file, key, password=_no_password)
    except ssl.SSLError as error:
        why = error.reason or str(error)
        if "MISMATCH" in why:
            raise UsageError(f"--cert {named}: the key does not belong to the certificate") from None
        raise UsageError(f"--cert {named} is no certificate and key: {why}", _PEM) from None
    except OSError as error:
        missing = next((name for name in (file, key) if name and not Path(name).exists()), named)
        raise UsageError(f"--cert: {missing} cannot be read: {error.strerror}", _FORM) from None


def _split(cert: str) -> tuple[str, str | None]:
    """FILE[:KEY]; a colon in the name of a file that exists is part of the name."""
    file, colon, key = cert.rpartition(":")
    return (file, key) if colon and not Path(cert).exists() else (cert, None)


def _no_password() -> str:
    """Without this, OpenSSL would ask on the terminal, and a run would wait for an answer."""
    raise UsageError("the key of --cert is encrypted", "decrypt it first: openssl pkey -in KEY -out PLAIN")
