"""Which checks run: ids, groups and globs, as `--only`, `--skip` and `explain` take them."""

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.groups import GROUPS
from streamgauge.conformance.registry import Check
from streamgauge.errors import UsageError


def select(only: Sequence[str] = (), skip: Sequence[str] = ()) -> list[Check]:
    """The checks whose id or group matches `only` (all when empty) and not `skip`, in the order of GROUPS.

    Raises UsageError on a pattern that matches none.
    """
    groups = list(GROUPS)
    ordered = sorted(CHECKS.values(), key=lambda check: groups.index(check.group))
    for pattern in (*only, *skip):
        if not any(_matches(check, pattern) for check in ordered):
            names = [*CHECKS, *{check.group for check in ordered}]
            near = difflib.get_close_matches(pattern, names, n=1)
            raise UsageError(
                f"no check matches {pattern!r}" + (f" (did you mean {near[0]!r}?)" if near else ""),
                "give an id, a group or a glob such as 'framing.*'; --list prints them all",
            )
    return [
        check
        for check in ordered
        if (not only or any(_matches(check, pattern) for pattern in only))
        and not any(_matches(check, pattern) for pattern in skip)
    ]


def _matches(check: Check, pattern: str) -> bool:
    return check.group == pattern or fnmatchcase(check.id, pattern)
