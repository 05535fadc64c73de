"""The token that a master and its workers share: only processes that know it take part in a load.

The token never travels. Both ends derive a key from it (`master_key`), and that key opens their connection.
"""

import hashlib
import secrets
from typing import Final

from streamgauge.errors import UsageError
from streamgauge.secrets import learn

TOKEN_ENV: Final = "STREAMGAUGE_TOKEN"
FEWEST_CHARACTERS: Final = 16

_SALT: Final = b"streamgauge: master and workers, 1"
_COST: Final = 2**14  # of scrypt: 50 ms and 16 MB; each guess at a weak token in recorded traffic costs as much


def new_token() -> str:
    """A random token of 192 bits."""
    return secrets.token_urlsafe(24)


def check_token(token: str) -> str:
    """The user's token, from now on hidden in what leaves this process. Raises UsageError when it is too short."""
    if len(token) < FEWEST_CHARACTERS:
        raise UsageError(
            f"the token has {len(token)} characters, and fewer than {FEWEST_CHARACTERS} can be guessed",
            "drop it on the master, which then makes one and prints it",
        )
    learn([token])
    return token


def master_key(token: str) -> bytes:
    """The master's secret key (32 bytes, Curve25519). A worker derives it too, to know the master's public key."""
    return hashlib.scrypt(token.encode(errors="surrogateescape"), salt=_SALT, n=_COST, r=8, p=1, dklen=32)
