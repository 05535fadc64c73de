"""The profiles there are, and which one belongs to a dialect or a name.

A vendor's profiles stand beside the checks of its dialect, as PROFILES of the module called after the group. A vendor
without any gets a profile that changes no level. Profiles of no vendor stand here.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from streamgauge.conformance.checks import MODULES
from streamgauge.conformance.groups import VENDOR_GROUPS
from streamgauge.conformance.profile import PLAIN, Profile, Rule
from streamgauge.conformance.requirement import MAY, MUST, SHOULD
from streamgauge.errors import UsageError
from streamgauge.protocol.dialects import DIALECTS
from streamgauge.protocol.dialects.base import Dialect

_PASSED_ON: Final = "a proxy passes on what its upstream says, and it is the upstream that has to mend it"

ASPNET: Final = Profile(
    "aspnet",
    "an ASP.NET Core endpoint of one's own, held to what its guides ask for",
    (
        Rule(
            "errors.machine-readable",
            MUST,
            "AddProblemDetails() and an SseItem of type error are one line each",
        ),
        Rule(
            "custom.explicit-done-event",
            MUST,
            "an exception in the enumerator cuts the connection, and most clients take that for the end",
        ),
    ),
)

PROXY: Final = Profile(
    "proxy",
    "a proxy or gateway that passes on somebody else's stream as it is",
    (
        *(Rule(f"{group}.*", MAY, _PASSED_ON) for group in (*VENDOR_GROUPS, "custom")),
        Rule("text.json-valid", MAY, _PASSED_ON),
        Rule("text.delta-not-cumulative", MAY, _PASSED_ON),
        Rule("text.concat-equals-final", MAY, _PASSED_ON),
        Rule("termination.explicit-end", SHOULD, _PASSED_ON),
        Rule("security.no-raw-provider-error", None, "a gateway exists to pass on the provider's errors"),
        Rule("http.validation-before-stream", MAY, "a proxy leaves it to its upstream to judge requests"),
        Rule("headers.no-content-encoding", MUST, "it is the proxy that compresses, and so holds tokens back"),
        Rule("headers.x-accel-buffering", MAY, "it is the header of those behind a proxy"),
    ),
)


def of_vendors(vendor_dialects: Iterable[Dialect], modules: Mapping[str, object]) -> Iterator[Profile]:
    """The profiles that a module of checks declares, and one without rules for each vendor that has none there."""
    declared = set()
    for dialect in vendor_dialects:
        for profile in getattr(modules.get(dialect.name.replace("-", "_")), "PROFILES", ()):
            declared.add(profile.name)
            yield profile
        if dialect.vendor is not None and dialect.vendor not in declared:
            declared.add(dialect.vendor)
            yield Profile(dialect.vendor, dialect.api)


PROFILES: Final[Mapping[str, Profile]] = {
    profile.name: profile
    for profile in (*of_vendors([dialect for dialect in DIALECTS if dialect.api], MODULES), ASPNET, PROXY, PLAIN)
}


def by_name(name: str) -> Profile:
    """The profile called `name`. Raises UsageError with the nearest name on an unknown one."""
    if name in PROFILES:
        return PROFILES[name]
    near = difflib.get_close_matches(name, PROFILES, n=1)
    raise UsageError(
        f"unknown profile {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""),
        f"use one of: {', '.join(PROFILES)}",
    )


def of_dialect(dialect: Dialect | None, products: Collection[str] = ()) -> Profile:
    """The profile of the dialect's vendor; for a shape of no vendor that of the product which serves it, as its headers
    name it (`Server: Kestrel`: aspnet), or else `plain`.
    """
    if dialect is None:
        return PLAIN
    if dialect.vendor is not None:
        return PROFILES.get(dialect.vendor, PLAIN)
    return next((PROFILES[product] for product in sorted(products) if product in PROFILES), PLAIN)
