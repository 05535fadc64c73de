"""The client-compatibility matrix: how common clients would have read the bytes that came. Values only."""

from enum import StrEnum
from typing import Final

import msgspec


class ClientVerdict(StrEnum):
    """What a client makes of a stream, compared with the strict reading of the same bytes."""

    READS = "reads everything"
    ADDS = "adds messages"
    LOSES = "loses data"
    RAISES = "raises"
    HANGS = "hangs"
    NOT_APPLICABLE = "not for it"
    NOT_INSTALLED = "not installed"


WORST_FIRST: Final = (
    ClientVerdict.RAISES,
    ClientVerdict.HANGS,
    ClientVerdict.LOSES,
    ClientVerdict.ADDS,
    ClientVerdict.READS,
    ClientVerdict.NOT_INSTALLED,
    ClientVerdict.NOT_APPLICABLE,
)
ASIDE: Final = (ClientVerdict.NOT_APPLICABLE, ClientVerdict.NOT_INSTALLED)
BROKEN: Final = frozenset({ClientVerdict.RAISES, ClientVerdict.HANGS, ClientVerdict.LOSES})


class Replay(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One client's reading of one body, cut in one way.

    `offset` is the first byte where it differs from the strict reading; the bytes there are quoted, escaped, and `mark`
    is the character of the excerpt that shows that byte.
    """

    verdict: ClientVerdict
    cut: str = "as it arrived"
    offset: int | None = None
    excerpt: str | None = None
    mark: int | None = None
    reason: str | None = None


class ClientRow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A client and the worst that became of the streams. `otherwise` holds other ways to cut the same bytes, where they
    end differently: such a client works or fails by the luck of its reads.

    `version` is that of the package that was run; None for an emulation, which follows the rules of version `follows`.
    """

    client: str
    source: str
    version: str | None = None
    follows: str | None = None
    naive: bool = False
    scenario: str | None = None
    result: Replay
    otherwise: list[Replay] = []
    note: str | None = None

    @property
    def broken(self) -> bool:
        """A published client that does not get the whole stream."""
        return not self.naive and self.result.verdict in BROKEN


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """One row per client. `bytes` of `bodies` streams were replayed; `caveat` names the part that was left out."""

    bodies: int
    bytes: int
    rows: list[ClientRow]
    caveat: str | None = None
