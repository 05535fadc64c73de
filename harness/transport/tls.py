"""The TLS settings of a client: which certificates it trusts, and which certificate it presents."""

import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final

import httpx

from streamgauge.errors import UsageError
from streamgauge.files import open_regular

_PEM: Final = "it must be PEM: blocks that begin with -----BEGIN"
_FORM: Final = "write it as FILE, or as FILE:KEY when the key is in a file of its own"


@lru_cache(16)
def tls_context(
    *, insecure: bool = False, ca: str | None = None, cert: str | None = None, http2: bool = False
) -> ssl.SSLContext:
    """The context for these settings. All clients of a process share it: loading the trusted CAs takes about 10 ms.

    `ca` replaces the CAs that httpx trusts, `cert` is FILE or FILE:KEY (both PEM). Raises UsageError.
    """
    if insecure and ca:
        raise UsageError("--insecure trusts any certificate, --ca trusts one CA only", "give one of the two")
    context = _trusting_only(ca) if ca else httpx.create_ssl_context(verify=not insecure)
    if cert:
        _present(context, cert)
    if http2:
        context.set_alpn_protocols(
            ["h2"]
        )  # RFC 9113 section 3.2; HTTP/1.1 is not offered, so that it cannot be measured by mistake
    return context


def _trusting_only(ca: str) -> ssl.SSLContext:
    try:
        open_regular(Path(ca)).close()  # OpenSSL would wait for ever for a pipe
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise UsageError(f"--ca {ca} holds no certificate that can be read: {error.reason or error}", _PEM) from None
    except OSError as error:
        raise UsageError(f"--ca {ca} cannot be read: {error.strerror}") from None


def _present(context: ssl.SSLContext, cert: str) -> None:
    file, key = _split(cert)
    named = file if key is None else f"{file} with key {key}"
    try:
        for name in (file, key or file):
            open_regular(Path(name)).close()
        context.load_cert_chain(file, key, password=_no_password)
    except ssl.SSLError as error:
        why = error.reason or str(error)
        if "MISMATCH" in why:
            raise UsageError(f"--cert {named}: the key does not belong to the certificate") from None
        raise UsageError(f"--cert {named} is not a certificate with its key: {why}", _PEM) from None
    except OSError as error:
        missing = next((name for name in (file, key) if name and not os.path.exists(name)), named)
        raise UsageError(f"--cert: {missing} cannot be read: {error.strerror}", _FORM) from None


def _split(cert: str) -> tuple[str, str | None]:
    """FILE[:KEY]; a colon in the name of a file that exists is part of the name."""
    file, colon, key = cert.rpartition(":")
    return (file, key) if colon and not os.path.exists(cert) else (cert, None)


def _no_password() -> str:
    """Refuse to give a password. Without this, OpenSSL would ask on the terminal and a run would wait for ever."""
    raise UsageError("the key of --cert is encrypted", "decrypt it first: openssl pkey -in KEY -out PLAIN")
