"""docs/security.md with its generated blocks: the limits where they are enforced, and what is fuzzed."""

from inspect import cleandoc
from pathlib import Path
from typing import Final

from streamgauge.bounds import BOUNDS
from streamgauge.endpoint.client import CONNECT_TIMEOUT_S, TOTAL_S
from streamgauge.files import MAX_BYTES
from streamgauge.protocol.cutters import LINES_AN_EVENT, MAX_IDLE_LINES
from streamgauge.protocol.encoding import MAX_DECODED_BYTES
from streamgauge.protocol.reader import MAX_EVENTS
from streamgauge.serverlane.scrape import MAX_ANSWER_BYTES, TIMEOUT_S
from streamgauge.transport.limits import FREE_PIECES, LEAST_PIECE_BYTES, MAX_ASIDE_BYTES, MAX_BODY_BYTES, MAX_HEAD_BYTES
from streamgauge.transport.memory import KEPT_SHARE_BYTES, LOAD_POOL_BYTES, POOL_BYTES, SHARE_BYTES, UNREAD_BYTES
from streamgauge.units import show_bytes
from streamgauge.wire import MAX_KEPT_BYTES
from tests.fuzz.targets import TARGETS, target
from tools.blocks import rewritten

SECURITY_PAGE: Final = Path(__file__).parent.parent / "docs" / "security.md"


def limits() -> str:
    """The limits of one response, of all responses of a process, and of a command."""
    pieces = f"{FREE_PIECES:,}, and above that at least {LEAST_PIECE_BYTES} bytes in each on average"
    rows = {
        "head of a response": show_bytes(MAX_HEAD_BYTES),
        "body of a response": f"{show_bytes(MAX_BODY_BYTES)}; "
        f"{show_bytes(MAX_KEPT_BYTES)} where `check` keeps the wire",
        "pieces of a body": pieces,
        "bytes beside the body: trailers, chunk extensions, HTTP/2 frames without data": show_bytes(MAX_ASIDE_BYTES),
        "events of a stream": f"{MAX_EVENTS:,}",
        "lines without an event": f"{MAX_IDLE_LINES:,}, and {LINES_AN_EVENT} more for each event",
        "a compressed body, decoded": show_bytes(MAX_DECODED_BYTES),
        "memory of a response": f"{show_bytes(SHARE_BYTES)} of its own; "
        f"{show_bytes(KEPT_SHARE_BYTES)} where `check` keeps the wire",
        "memory of all responses of a process beyond that": f"{show_bytes(POOL_BYTES)}; "
        f"{show_bytes(LOAD_POOL_BYTES)} in a process under load",
        "bytes of a stream that `load` has received, but not yet looked at": show_bytes(UNREAD_BYTES),
        "an answer that `--server-metrics` reads": f"{show_bytes(MAX_ANSWER_BYTES)}, {TIMEOUT_S:g} s",
        "time to connect": f"{CONNECT_TIMEOUT_S:g} s",
        "silence, also of content": "`--timeout`, `--content-timeout`",
        "time of all requests of a command": f"{TOTAL_S / 60:g} min, or its own limit (`--help`)",
        "a file that you name": show_bytes(MAX_BYTES),
    }
    return "\n".join(["| what | at most |", "|---|---|", *(f"| {what} | {most} |" for what, most in rows.items())])


def commands() -> str:
    """What each command takes at most: `--help` says the same."""
    rows = [f"| `{name}` | {bound.time} | {bound.memory_mb} MB |" for name, bound in BOUNDS.items()]
    return "\n".join(
        ["| command | ends, whatever the endpoint sends | takes more memory, at most |", "|---|---|---|", *rows]
    )


def fuzzed() -> str:
    """Each target of `make fuzz` with what must hold for any input."""
    rows = []
    for name in TARGETS:
        says = " ".join(cleandoc(target(name).run.__doc__ or "").split())
        rows.append(f"| `{name}` | {says.removesuffix('.')} |")
    return "\n".join(["| target | for any input |", "|---|---|", *rows])


BLOCKS: Final = {"commands": commands, "limits": limits, "fuzzed": fuzzed}


def security_page() -> str:
    """The page as it should be."""
    return rewritten(SECURITY_PAGE.read_text(encoding="utf-8"), BLOCKS)
