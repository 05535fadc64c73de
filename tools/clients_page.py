"""docs/clients.md, which the code knows: the clients of `clients`. `make docs` writes it, a test compares it."""

from pathlib import Path
from typing import Final

from streamgauge.conformance.clients import CLIENTS
from streamgauge.conformance.clients.base import Client
from streamgauge.protocol.dialects import DIALECTS
from streamgauge.reports.text import md

CLIENTS_PAGE: Final = Path(__file__).parent.parent / "docs" / "clients.md"
_HEAD: Final = """# Clients

The clients that `streamgauge clients` and `check --clients` replay a stream through, generated from the code.

- A *real* client is the installed Python package itself, in the version named or a newer one. An *emulated* one follows
  the rules of the version named, read in its source and compared with the real one.
- *Events*: the client's messages are compared with the events of the stream. *Whole*: the client adds the stream up to
  one message, or hands on typed updates, so its text, its tool calls and the reported error are compared.
- Code that people copy, which no package publishes, does not decide the exit code.
"""


def clients_page() -> str:
    """The whole page."""
    columns = ("client", "runs", "compared", "dialects", "rules from")
    rows = [columns, ("---",) * len(columns), *map(_row, CLIENTS)]
    return _HEAD + "\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _row(client: Client) -> tuple[str, ...]:
    version = "" if client.least == "0" else client.least
    runs = f"real, {client.package} {version}" if client.package else f"emulated {client.follows or ''}"
    compared = ("whole" if client.gathers else "events") + (", copied code" if client.naive else "")
    spoken = [dialect.name for dialect in DIALECTS if client.applies(dialect, "GET") is None]
    vendors = [dialect.name for dialect in DIALECTS if dialect.vendor]
    dialects = "every event stream" if len(spoken) > len(vendors) else ", ".join(spoken)
    return md(client.name), md(runs.strip()), compared, dialects, md(client.source)
