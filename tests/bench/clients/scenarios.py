"""The loads of the bench, as declared values. A new scenario is one value here."""

from enum import StrEnum
from typing import Final, NamedTuple

MOCK_CORE: Final = 0
CLIENT_CORE: Final = 1


class Path(StrEnum):
    """The protocols below the stream."""

    HTTP1 = "HTTP/1.1"
    TLS = "HTTP/1.1 over TLS"
    HTTP2 = "HTTP/2"


class Neighbours(NamedTuple):
    """Processes that burn CPU beside the client: on the client's own core, or wherever the kernel puts them."""

    count: int
    pinned: bool


class Scenario(NamedTuple):
    """One kind of load. Every number of `streams` is measured; `clients` are the programs that it is measured with.

    All users send their first request within `spread_s`; 0 means in one instant. A user asks again as soon as its
    stream has ended, so streams of equal length stay in step.

    The measurement begins `settle_s` after the last first request: before the first streams end, because the worst
    moment of a client is the first time that all streams end together. Later their starts are spread by the client.
    """

    name: str
    about: str
    streams: tuple[int, ...]
    clients: tuple[str, ...]
    spread_s: float = 0.0
    ttft: str = "200ms"
    itl: str = "20ms"
    tokens: int = 100
    mock_options: tuple[str, ...] = ()
    path: Path = Path.HTTP1
    neighbours: Neighbours | None = None
    pinned: bool = True
    workers: int = 0
    settle_s: float = 1.0


OURS: Final = "streamgauge"
FLOOR: Final = "C floor"
RULER: Final = "C floor, stamped"
EVERYONE: Final = (FLOOR, RULER, OURS, "aiohttp", "httpx", "openai", "locust + httpx-sse", "FastHttpUser", "aiperf")
REFERENCES: Final = (FLOOR, OURS, "aiohttp")

SCENARIOS: Final = (
    Scenario(
        "aligned",
        "All users ask in the same instant, and all streams are equally long: streams end together, and the next first "
        "tokens arrive while the client decodes and records the streams that have just ended.",
        (100, 400, 1_000),
        EVERYONE,
    ),
    Scenario(
        "unequal",
        "The users start at random within one stream's length, so at each moment some streams begin and some end.",
        (100, 400, 1_000),
        REFERENCES,
        spread_s=2.2,
    ),
    Scenario(
        "bursts",
        "Gaps are uneven (lognormal), and the server writes five tokens at once.",
        (400,),
        REFERENCES,
        spread_s=2.2,
        itl="lognormal(20ms,0.8)",
        mock_options=("--events-per-write", "5"),
    ),
    Scenario(
        "slow",
        "Many streams of 2 tokens per second.",
        (2_000, 5_000),
        REFERENCES,
        spread_s=4.5,
        itl="500ms",
        tokens=10,
        settle_s=4.0,
    ),
    Scenario(
        "starved",
        "As aligned, with two processes that burn CPU on the client's own core.",
        (400,),
        REFERENCES,
        neighbours=Neighbours(2, pinned=True),
    ),
    Scenario(
        "tls",
        "As aligned, over TLS. The C floor reads the same streams in clear text.",
        (100,),
        REFERENCES,
        path=Path.TLS,
    ),
    Scenario(
        "http2",
        "As aligned, over HTTP/2 in clear text, by streamgauge over four connections. The C floor reads over HTTP/1.1.",
        (100,),
        (FLOOR, OURS, "httpx"),
        path=Path.HTTP2,
    ),
    Scenario(
        "distributed",
        "Streamgauge as a master and two workers, all on the client's core.",
        (400,),
        (FLOOR, OURS),
        spread_s=1.0,
        workers=2,
    ),
    Scenario(
        "busy",
        "Nothing is pinned: the mock and the client share both cores with two processes that burn CPU.",
        (50,),
        REFERENCES,
        spread_s=1.0,
        neighbours=Neighbours(2, pinned=False),
        pinned=False,
    ),
)

BY_NAME: Final = {scenario.name: scenario for scenario in SCENARIOS}
