"""What a check demands, in words: the entry that stands beside each check's code, and that `--list` prints.

Four axes are kept apart: the verdict is a run's, the level, the severity and the basis are the requirement's.
"""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import Final

from streamgauge.conformance.groups import GROUPS


class Level(StrEnum):
    """How binding a requirement is. The level alone decides what an unmet requirement does to a run."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"

    @property
    def unmet(self) -> str:
        """What follows when a requirement of this level is unmet; `explain` and the documentation print it."""
        return _UNMET[self]

    @property
    def below(self) -> "Level":
        """The level of the lesser part of a requirement of this level."""
        return Level.SHOULD if self is Level.MUST else Level.MAY


_UNMET: Final = {
    Level.MUST: "fails the run",
    Level.SHOULD: "warns, and fails the run only with --fail-on warn (or --strict)",
    Level.MAY: "is information, and never fails the run",
}


MUST: Final = Level.MUST
SHOULD: Final = Level.SHOULD
MAY: Final = Level.MAY


class Severity(StrEnum):
    """How much harm an unmet requirement does, whatever its level."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Basis(StrEnum):
    """Why it is demanded. Only SPEC and DIALECT are violations of something written down."""

    SPEC = "spec"
    DIALECT = "dialect"
    GUIDE = "guide"
    COMPAT = "compat"
    OPS = "ops"

    @property
    def meaning(self) -> str:
        """In a few words."""
        return _BASES[self]


_BASES: Final = {
    Basis.SPEC: "a standard demands it",
    Basis.DIALECT: "the vendor's documented protocol demands it",
    Basis.GUIDE: "the published guides to streaming answers ask for it",
    Basis.COMPAT: "the standard allows what it forbids, but widely used clients break",
    Basis.OPS: "the standard allows what it forbids, but it causes trouble in operation",
}

_ID: Final = re.compile(r"([a-z]+(?:-[a-z]+)*)\.[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(slots=True, frozen=True)
class Requirement:
    """One requirement, `group.name`. `statement` is one sentence that says what must hold. `references` name where that
    is written. `breaks` says who suffers, where that is known. `lesser` is a second sentence, a part that binds one
    level less. `fix` says in a sentence what to change; the code to paste stands in `diagnosis/products/`, a file a
    product. `causes` are the defects for which that sentence would be wrong advice, each with a fix of its own; a
    product's file names them as `group.name:cause`.

    Raises ValueError when a part is missing or the id belongs to no group: at import, so that it can't be shipped.
    """

    id: str
    level: Level
    severity: Severity
    basis: Basis
    statement: str
    _: KW_ONLY
    references: tuple[str, ...]
    fix: str
    breaks: str | None = None
    lesser: str | None = None
    causes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id) or self.group not in GROUPS:
            raise ValueError(
                f"{self.id!r} is not a check id: expected group.name, where group is one of {', '.join(GROUPS)}"
            )
        if isinstance(self.references, str) or not self.references or not all(self.references):
            raise ValueError(f"{self.id} needs references: a tuple of where the rule is written")
        fixes = [(f"fix of {cause}", fix) for cause, fix in self.causes.items()]
        for name, text in (("statement", self.statement), ("fix", self.fix), ("lesser", self.lesser), *fixes):
            if text is not None and not text.endswith("."):
                raise ValueError(f"the {name} of {self.id} is not a sentence: {text!r}")

    def fix_for(self, cause: str | None) -> str:
        """What to change: the fix of the cause, or the general one."""
        return self.fix if cause is None else self.causes[cause]

    @property
    def group(self) -> str:
        return self.id.partition(".")[0]
