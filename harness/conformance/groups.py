"""The groups of checks, in the order in which they are printed.

Each group is a module of `checks` with `_` for `-`, and perhaps more modules whose names begin with that. The group of
a vendor's dialect follows from the dialect.
"""

from collections.abc import Mapping
from typing import Final

from streamgauge.protocol.dialects import DIALECTS

VENDOR_GROUPS: Final[Mapping[str, str]] = {dialect.name: dialect.api for dialect in DIALECTS if dialect.api}

GROUPS: Final[Mapping[str, str]] = {
    "http": "methods, status codes and request bodies",
    "headers": "the head of the answer",
    "framing": "the bytes of an event stream",
    "text": "whether the text reaches the user unchanged",
    **VENDOR_GROUPS,
    "custom": "the shapes that application code invents",
    "termination": "how a stream ends",
    "errors": "how a failure is reported",
    "cancel": "whether work stops when the reader leaves",
    "fidelity": "whether what the model is asked and what it answers pass unchanged",
    "flush": "whether tokens leave when they are made",
    "liveness": "whether a client can tell a silent stream from a dead one",
    "resume": "whether a stream can be taken up again",
    "limits": "what happens at the edges of size, time and number",
    "promise": "whether the endpoint keeps what its target file promises",
    "security": "what must not leak or be let in",
}
