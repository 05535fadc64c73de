"""What a profile is: which requirements weigh more, less or nothing for a kind of endpoint, each with a reason.

A level belongs to the requirement; a profile says that another level fits this kind of endpoint.
"""

from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from streamgauge.conformance.requirement import Level


class Rule(NamedTuple):
    """For the checks whose id matches `pattern`: another level, or None to leave them out; and why."""

    pattern: str
    level: Level | None
    why: str


class Profile(NamedTuple):
    """A kind of endpoint. Of several rules that match a check the last one counts."""

    name: str
    summary: str
    rules: tuple[Rule, ...] = ()

    def rule_for(self, check_id: str) -> Rule | None:
        """What this profile changes about a check, or None."""
        return next((rule for rule in reversed(self.rules) if fnmatchcase(check_id, rule.pattern)), None)


PLAIN: Final = Profile("plain", "no vendor: every requirement as it stands")
